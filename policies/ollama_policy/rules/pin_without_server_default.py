"""OLL004: a pin that the first reload loses, because the server's own default is finite."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ollama_policy.model.declarations import is_pinned, shown_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided, text
from ollama_policy.model.settings import Kind, Subject
from ollama_provider.ollama.settings.variables import FOR_EVER, env_keep_alive

_NAME = "OLLAMA_KEEP_ALIVE"
_MODEL = 'resource "ollama_model" "chat" {{\n  name              = "llama3"\n  memory_management = {}\n}}\n'
_SERVER = (
    "services:\n  ollama:\n    image: ollama/ollama:0.34.3\n    mem_limit: 64g\n"
    "    environment:\n      OLLAMA_KEEP_ALIVE: {}\n"
)


class PinWithoutServerDefault(Rule):
    id = "OLL004"
    name = "pin-without-server-default"
    severity = Severity.INFO
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("memory_management", "resident"))
    summary = "a pinned model whose pin the first reload would lose"
    why = (
        "A pin belongs to the runner, not to the model. A client whose options reload it, an eviction, a crash or a "
        "restart make a new runner, and that one takes the server's OLLAMA_KEEP_ALIVE: the pin is lost silently."
    )
    fix = (
        "Give the server `OLLAMA_KEEP_ALIVE=-1` where all that it runs is declared here, or keep its default and watch "
        "with `ollama-policy drift`."
    )
    bad = (Example("models.tf", _MODEL.format('«"manual"»')), Example("compose.yaml", _SERVER.format("10m")))
    good = (Example("models.tf", _MODEL.format('"manual"')), Example("compose.yaml", _SERVER.format('"-1"')))
    source = "server/sched.go, load: a runner takes envconfig.KeepAlive() unless its request says otherwise"
    experiment = (
        "A client's call with another num_ctx reloads the pinned model, which then has ten minutes; with `-1` on "
        "the server the new runner is pinned again."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
        if not servers or not all(decided(server, _NAME) for server in servers):
            return
        if any(env_keep_alive(text(server.known(_NAME))) == FOR_EVER for server in servers):
            return  # which of several servers has the model is not known
        for subject in subjects:
            mode = subject.known("memory_management")
            if subject.kind is Kind.MODEL and mode is not None and is_pinned(subject):
                yield self.at(
                    mode,
                    subject,
                    f"the first reload loses the pin of {shown_name(subject)}",
                    label=f"a new runner takes the server's {_NAME}, and that is finite",
                    advice=f'give the server {_NAME} "-1", or watch for the drift with ollama-policy drift',
                )
