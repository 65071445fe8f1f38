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
        "The first client that asks for it gets HTTP 404, or waits for a download. The model was deleted, or the "
        "declaration was never applied on this server."
    )
    fix = "Apply the declaration: this pulls or creates the model."
    bad = (_model(name='«"chat"»'), _server(disk=""))
    good = (_model(), _server())


class OtherContent(Drift):
    id = "OLL502"
    name = "other-content"
    severity = Severity.WARNING
    summary = "a model whose content differs from the declaration, or from what the last apply left"
    why = (
        "A name is a label that a pull or a create moves. The digest of the manifest identifies the content. If the "
        "digest differs, answers, size in memory and context may differ too."
    )
    fix = "Apply the declaration. If you want the new content, refresh the state, or declare its digest."
    bad = (_model(f'digest = «"{_OLD}"»'), _server())
    good = (_model(f'digest = "{_NOW}"'), _server())


class NotResident(Drift):
    id = "OLL503"
    name = "not-resident"
    summary = "a model that is declared resident and is not in memory"
    why = (
        "A restart, an eviction by a larger model, a crash of its runner or a client's `keep_alive: 0` unloaded it. "
        "The next call loads it with the server's default keep_alive, and not forever."
    )
    fix = "Apply the declaration: this loads and pins the model."
    bad = (_model('memory_management = «"manual"»'), _server())
    good = (_model(_MANUAL), _PINNED)


class PinLost(Drift):
    id = "OLL504"
    name = "pin-lost"
    summary = "a model that is declared resident, but whose timer runs"
    why = (
        "A client's own keep_alive overwrites the pin. A client's options that differ from those of the load, such as "
        "num_ctx, reload the model, and the new runner uses the server's default. In both cases Ollama logs nothing: "
        "the model leaves memory when the timer ends. /api/ps shows only the context, so the finding can name the "
        "option only if num_ctx is declared; otherwise, it names all options that reload a model in this version."
    )
    fix = "Apply the declaration, and correct the client: options belong in the model's `parameters`."
    bad = (_model('memory_management = «"manual"»'), _server(memory=_memory("chat", _SOON, context=8192)))
    good = (_model(_MANUAL), _PINNED)
    source = "server/sched.go: needsReload and useLoadedRunner; each option measured on 0.34.3 and 0.17.4"


class InMemory(Drift):
    id = "OLL505"
    name = "in-memory"
    summary = "a model that is in memory, but is declared not to be"
    why = "A client called it. The model uses memory that is meant for others, for as long as its timer runs."
    fix = "Apply the declaration: this unloads the model."
    bad = (_model(_MANUAL, "resident = «false»"), _server(memory=_memory("chat", _SOON)))
    good = (_model(_MANUAL, "resident = false"), _server())


class HeldTooLong(Drift):
    id = "OLL506"
    name = "held-beyond-keep-alive"
    summary = "a model that a client holds in memory beyond its declared keep_alive"
    why = (
        "A client's own keep_alive overrides the declared one, and stays with the runner: calls without a keep_alive "
        "do not change it. Ollama never unloads a model that a client pinned. The comparison uses the server's own "
        "clock."
    )
    fix = "Apply the declaration: this restarts the timer without a reload."
    bad = (_model('keep_alive = «"5m"»'), _PINNED)
    good = (_model('keep_alive = "5m"'), _server(memory=_memory("chat", _SOON)))


class Orphan(Drift):
    id = "OLL507"
    name = "orphan"
    summary = "a runner in memory that its name no longer reaches"
    why = (
        "A model was deleted while it was in memory, or a pull or a create gave its name other content. Ollama finds a "
        "runner by its weights file: a stop by name gets an answer, but does nothing to this runner. A pinned runner "
        "stays until the server stops; one whose timer runs ends when the timer does (then the finding is an info)."
    )
    fix = (
        "Free it with `ollama-policy reclaim`, which gives its weights a name again. If the weights file is also "
        "deleted, only a restart of the server frees the memory, and `reclaim` reports that."
    )
    bad = (_model(name='«"chat"»'), _server(memory=_memory("chat", _NEVER, _OLD)))
    good = (_model(_MANUAL), _PINNED)
    source = "server/sched.go: Ollama finds a runner by its model's path; issue 4443; measured on 0.17.4 and 0.34.3"


class UndeclaredInMemory(Drift):
    id = "OLL508"
    name = "undeclared-in-memory"
    severity = Severity.WARNING
    summary = "a model in memory that is not declared"
    why = (
        "Something that the declarations do not cover uses this server. No sum includes the model's memory, and the "
        "model may evict declared ones."
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
    why = (
        "The same as OLL301, for a server: some releases leak memory because of their own defects, and no setting "
        "helps."
    )
    fix = "Update the server, and test what else changes with the newer version."
    bad = (_model(), _server(version="0.6.5"))
    good = (_model(), _server())
    source = "issues 10040, 10434, 10688 and 10433"


class UndeclaredOnDisk(Drift):
    id = "OLL510"
    name = "undeclared-on-disk"
    severity = Severity.INFO
    moves = False
    summary = "a model on disk that is not declared"
    why = "It uses no memory until a client calls it, and any client can."
    fix = "Declare it, or delete it."
    bad = (_model(), _server(disk=_disk("chat", "other")))
    good = (_model(), _server())


class OtherContext(Drift):
    id = "OLL511"
    name = "other-context"
    severity = Severity.WARNING
    summary = "a model in memory with more context than it declares"
    why = (
        "The KV cache grows with the context: a client's num_ctx reloaded the model, and each call with the same "
        "num_ctx keeps it. A pinned model can grow in the same way, if that client pins it again."
    )
    fix = "Stop the model: the next load uses the model's own parameters. Then correct the client."
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
        "child of init and keeps all of its memory. No server knows the runner, so /api/ps does not show it and "
        "nothing unloads it. A restarted server loads the model a second time beside it. `drift` finds it only on the "
        "server's machine, with psutil installed (`python -m pip install 'psutil>=6'`)."
    )
    fix = "End it with `ollama-policy reclaim`, or end the process yourself."
    bad = (
        _model(),
        _server(
            more=f',\n  "abandoned": [{{"pid": 331, "blob": "sha256:{_NOW}", "resident": 20447232, "user": "ollama"}}]'
        ),
    )
    good = (_model(), _server())
    source = "measured on 0.34.3 and 0.17.4: after a SIGKILL of the server, its runner still exists minutes later"


class PinnedUnbounded(Drift):
    id = "OLL513"
    name = "pinned-and-unbounded"
    severity = Severity.WARNING
    summary = 'an "automatic" model without a keep_alive that is pinned forever'
    why = (
        "A client's `keep_alive: -1`, or the server's OLLAMA_KEEP_ALIVE, pinned a model that is \"automatic\" and has "
        "no keep_alive. Ollama does not release its memory, and calls without a keep_alive leave the pin as it is. A "
        "plan shows no change: the declaration sets nothing that an apply could restore."
    )
    fix = (
        'Declare a keep_alive, such as "5m": an apply starts the timer without a reload. Or declare it "manual": then '
        "the pin is what you declare."
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
