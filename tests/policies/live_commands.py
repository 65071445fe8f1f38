"""How each command that asks a server is called in the tests of what all of them promise: a command a line.

A call is about the model `chat`, which a fake server has, in a folder with declarations and an empty `server.log`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveCommand:
    """`also` are further ways to call it.

    `asks_what_files_name`: it asks the servers of declarations, too. `shows_models`: it asks for a model's metadata.
    `reports_failures`: a server that fails is part of what it prints, and no error. `acts_by`: the calls, without a
    server, that change one; each is refused where nobody names a server. `takes_model_after`: what stands before a
    model's name.
    """

    call: str
    also: tuple[str, ...] = ()
    asks_what_files_name: bool = False
    shows_models: bool = False
    reports_failures: bool = False
    acts_by: tuple[str, ...] = ()
    takes_model_after: str = ""

    @property
    def calls(self) -> tuple[str, ...]:
        return (self.call, *self.also)


LIVE_COMMANDS = {
    "drift": LiveCommand("drift . --timeout 20s", asks_what_files_name=True, reports_failures=True),
    "fit": LiveCommand("fit . --no-registry", asks_what_files_name=True, shows_models=True, reports_failures=True),
    "report": LiveCommand(
        "report . -o report.html",
        ("report --format markdown", "report --model chat -o report.html", "report --model chat --plan"),
        acts_by=("report --model m",),
        takes_model_after="report --model",
    ),
    "remedies": LiveCommand("remedies .", shows_models=True),
    "adopt": LiveCommand("adopt", shows_models=True),
    "reclaim": LiveCommand(
        "reclaim . --yes",
        ("reclaim .", "reclaim --plan", "reclaim --reload chat", "reclaim --reload chat --plan"),
        acts_by=("reclaim --yes",),
        takes_model_after="reclaim --yes --reload",
    ),
    "probe": LiveCommand(
        "probe chat --calls 1",
        ("probe chat --plan",),
        shows_models=True,
        acts_by=("probe m",),
        takes_model_after="probe",
    ),
    "bench": LiveCommand(
        "bench pinned chat --rounds 4 --calls 1",
        ("bench pinned chat --plan",),
        acts_by=("bench pinned m",),
        takes_model_after="bench pinned",
    ),
    "logs": LiveCommand("logs server.log"),
}
# A log is a file: its server is asked only where --host names it, and only for what the log does not tell.
ASKS_ALWAYS = {name: one for name, one in LIVE_COMMANDS.items() if name != "logs"}
CALLS = {call: one for one in LIVE_COMMANDS.values() for call in one.calls}
CALLS_THAT_ASK_ALWAYS = {call: one for one in ASKS_ALWAYS.values() for call in one.calls}
