"""The kinds of drift: rules whose findings a look at a server makes, and no file alone can show.

Their examples are a declaration and what a server said, as `ollama-policy drift --record` writes it.
"""

from typing import ClassVar, Final

from ollama_policy.model.rule import Example, Rule, Severity
from ollama_policy.model.settings import Kind

_URL: Final = "http://127.0.0.1:11434"
_TIME: Final = "2026-01-01T12:00:00+00:00"
_NEVER: Final = "2318-04-12T11:47:16+00:00"
_SOON: Final = "2026-01-01T12:05:00+00:00"
_NOW, _OLD = "aa" * 32, "bb" * 32


def _model(*lines: str, name: str = '"chat"') -> Example:
    written = "".join(f"  {key:17} = {value}\n" for key, value in (line.split(" = ", 1) for line in lines))
    return Example("models.tf", f'resource "ollama_model" "m" {{\n  {"name":17} = {name}\n{written}}}\n')


def _disk(*names: str, digest: str = _NOW) -> str:
    return ", ".join(f'{{"name": "{name}", "digest": "{digest}", "size": 4000}}' for name in names)


def _memory(name: str, expires: str, digest: str = _NOW, context: int = 4096) -> str:
    return (
        f'{{"name": "{name}", "digest": "{digest}", "expires_at": "{expires}",\n'
        f'       "size": 5000, "size_vram": 0, "context_length": {context}}}'
    )


def _server(disk: str = _disk("chat"), memory: str = "", version: str = "0.34.3", more: str = "") -> Example:
    return Example(
        "snapshot.json",
        f'{{"version": 1, "servers": [{{"url": "{_URL}", "is_given": true,\n'
        f'  "version": "{version}", "server_time": "{_TIME}",\n'
        f'  "installed": [{disk}],\n'
        f'  "running": [{memory}]{more}}}]}}\n',
    )


_PINNED = _server(memory=_memory("chat", _NEVER))
_MANUAL = 'memory_management = "manual"'


class Drift(Rule):
    """What every kind has in common. `judge` is not overridden: ollama_policy.commands.drift.judge makes the findings.

    `moves`: a server that is changed at this moment may show it in passing, so that a second look has to confirm it.
    """

    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset()
    moves: ClassVar[bool] = True
    source = "Ollama's /api/tags and /api/ps"


class MissingModel(Drift):
    id = "OLL501"
    name = "missing-model"
    summary = "a declared model that the server does not have"
    why = (
        "The first client that asks for it gets HTTP 404, or waits for a download. Somebody deleted it, or it was "
        "never applied on this server."
    )
    fix = "Apply the declaration: it pulls or makes the model."
    bad = (_model(name='«"chat"»'), _server(disk=""))
    good = (_model(), _server())


class OtherContent(Drift):
    id = "OLL502"
    name = "other-content"
    severity = Severity.WARNING
    summary = "a model of another content than was declared, or than the last apply left"
    why = (
        "A name is a label that a pull or a create moves. The digest of the manifest says what it stands for: where "
        "that is another, answers, size in memory and context may be others too."
    )
    fix = "Apply the declaration; where the new content is wanted, refresh the state, or declare its digest."
    bad = (_model(f'digest = «"{_OLD}"»'), _server())
    good = (_model(f'digest = "{_NOW}"'), _server())


class NotResident(Drift):
    id = "OLL503"
    name = "not-resident"
    summary = "a model that is declared resident and is not in memory"
    why = (
        "A restart, an eviction by a larger model, a crash of its runner or a client's `keep_alive: 0` took it out. "
        "The next call loads it with the server's default, and not forever."
    )
    fix = "Apply the declaration: it loads and pins the model."
    bad = (_model('memory_management = «"manual"»'), _server())
    good = (_model(_MANUAL), _PINNED)


class PinLost(Drift):
    id = "OLL504"
    name = "pin-lost"
    summary = "a model that is declared resident, and whose timer runs"
    why = (
        "A client's own keep_alive overwrites the pin. Options of a client that differ from those it was loaded with, "
        "such as num_ctx, reload it, and the new runner takes the server's default. Either way, nothing is logged: the "
        "model leaves memory when the timer has run down. /api/ps shows the context alone, so which option it was can "
        "be told only where num_ctx is declared; else the finding names all that this version reloads by."
    )
    fix = "Apply the declaration, and correct the client: options belong into the model's `parameters`."
    bad = (_model('memory_management = «"manual"»'), _server(memory=_memory("chat", _SOON, context=8192)))
    good = (_model(_MANUAL), _PINNED)
    source = "server/sched.go: needsReload and useLoadedRunner; each option measured on 0.34.3 and 0.17.4"


class InMemory(Drift):
    id = "OLL505"
    name = "in-memory"
    summary = "a model that is declared not to be in memory, and is"
    why = "A client called it since. It takes the memory that was meant for others, for as long as its timer runs."
    fix = "Apply the declaration: it unloads the model."
    bad = (_model(_MANUAL, "resident = «false»"), _server(memory=_memory("chat", _SOON)))
    good = (_model(_MANUAL, "resident = false"), _server())


class HeldTooLong(Drift):
    id = "OLL506"
    name = "held-beyond-keep-alive"
    summary = "a model that a client holds in memory beyond its declared keep_alive"
    why = (
        "A client's own keep_alive counts more than what is declared, and stays with the runner: calls without one "
        "keep it. A pin by a client is never released. The server's own clock decides."
    )
    fix = "Apply the declaration: it arms the timer anew, without a reload."
    bad = (_model('keep_alive = «"5m"»'), _PINNED)
    good = (_model('keep_alive = "5m"'), _server(memory=_memory("chat", _SOON)))


class Orphan(Drift):
    id = "OLL507"
    name = "orphan"
    summary = "a runner in memory that its name does not reach any more"
    why = (
        "A model was deleted while it was in memory, or its name got another content by a pull or a create. Ollama "
        "finds a runner by its weights file: stop-by-name answers, and does nothing to this one. A pinned one stays "
        "until the server ends; one whose timer runs goes by itself (an info then)."
    )
    fix = (
        "Free it with `ollama-policy reclaim`, which gives its weights a name again. Where their file is deleted, too, "
        "only a restart of the server frees it, and `reclaim` says so."
    )
    bad = (_model(name='«"chat"»'), _server(memory=_memory("chat", _NEVER, _OLD)))
    good = (_model(_MANUAL), _PINNED)
    source = "server/sched.go: runners are found by their model's path; issue 4443; measured on 0.17.4 and 0.34.3"


class UndeclaredInMemory(Drift):
    id = "OLL508"
    name = "undeclared-in-memory"
    severity = Severity.WARNING
    summary = "a model in memory that is declared nowhere"
    why = (
        "Something uses this server that the declarations do not know. Its memory is in no sum, and it may evict what "
        "is declared."
    )
    fix = "Declare it, or stop it."
    bad = (_model(), _server(disk=_disk("chat", "other"), memory=_memory("other", _SOON)))
    good = (_model(), _server(memory=_memory("chat", _SOON)))


class LeakingServer(Drift):
    id = "OLL509"
    name = "leaking-server"
    severity = Severity.WARNING
    moves = False
    summary = "a server whose version of Ollama is known to leak"
    why = "As OLL301 says of a configuration: some releases lose memory by defects of their own, and no setting helps."
    fix = "Update the server, and test what else a newer version brings."
    bad = (_model(), _server(version="0.6.5"))
    good = (_model(), _server())
    source = "issues 10040, 10434, 10688 and 10433"


class UndeclaredOnDisk(Drift):
    id = "OLL510"
    name = "undeclared-on-disk"
    severity = Severity.INFO
    moves = False
    summary = "a model on disk that is declared nowhere"
    why = "It takes no memory until a client calls it, and any client can."
    fix = "Declare it, or delete it."
    bad = (_model(), _server(disk=_disk("chat", "other")))
    good = (_model(), _server())


class OtherContext(Drift):
    id = "OLL511"
    name = "other-context"
    severity = Severity.WARNING
    summary = "a model in memory with more context than it declares"
    why = (
        "The KV cache grows with the context: a client's num_ctx reloaded the model with its own, and each call that "
        "brings the same keeps it. A pinned model can grow so, too, where that client pins."
    )
    fix = "Stop it: the next load takes the model's own parameters. And fix the client."
    bad = (
        _model('base = "llama3"', "parameters = «{ num_ctx = 4096 }»"),
        _server(disk=_disk("chat", "llama3"), memory=_memory("chat", _SOON, context=8192)),
    )
    good = (
        _model('base = "llama3"', "parameters = { num_ctx = 4096 }"),
        _server(disk=_disk("chat", "llama3"), memory=_memory("chat", _SOON)),
    )
    source = "server/sched.go: needsReload; the context_length of /api/ps"


class AbandonedProcess(Drift):
    id = "OLL512"
    name = "abandoned-runner"
    moves = False
    summary = "a runner process whose server was killed"
    why = (
        "A server that is killed, by SIGKILL or by the kernel for lack of memory, leaves its runners: each becomes a "
        "child of init and keeps all of its memory. No server knows it, so /api/ps does not show it, nothing unloads "
        "it, and a server that is started anew loads the model a second time beside it. Seen only on the machine of "
        "the server, where psutil is installed (`python -m pip install 'psutil>=6'`)."
    )
    fix = "End it with `ollama-policy reclaim`, or end the process yourself."
    bad = (
        _model(),
        _server(
            more=f',\n  "abandoned": [{{"pid": 331, "blob": "sha256:{_NOW}", "resident": 20447232, "user": "ollama"}}]'
        ),
    )
    good = (_model(), _server())
    source = "measured on 0.34.3 and 0.17.4: the server killed by SIGKILL, its runner is there minutes later"


class PinnedUnbounded(Drift):
    id = "OLL513"
    name = "pinned-and-unbounded"
    severity = Severity.WARNING
    summary = "a model that is left to Ollama, and is pinned forever"
    why = (
        'A client\'s `keep_alive: -1`, or OLLAMA_KEEP_ALIVE of the server, pinned a model that is "automatic" and has '
        "no keep_alive. Its memory does not come back by itself, and calls without a keep_alive keep it so. No plan "
        "has a change for it: nothing is declared that an apply could restore."
    )
    fix = (
        'Declare a keep_alive, such as "5m": an apply arms the timer, without a reload. Or declare it "manual": the '
        "pin is then what is declared."
    )
    bad = (_model('memory_management = «"automatic"»'), _PINNED)
    good = (_model('keep_alive = "5m"'), _server(memory=_memory("chat", _SOON)))
    source = (
        "server/sched.go: a runner keeps the keep_alive of the last call that had one; measured on 0.34.3 and 0.17.4"
    )


KINDS: Final[tuple[type[Drift], ...]] = (
    MissingModel,
    OtherContent,
    NotResident,
    PinLost,
    InMemory,
    HeldTooLong,
    Orphan,
    UndeclaredInMemory,
    LeakingServer,
    UndeclaredOnDisk,
    OtherContext,
    AbandonedProcess,
    PinnedUnbounded,
)
