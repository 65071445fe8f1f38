"""OLL001: release is nobody's: neither the operator's nor bound to a time."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.declarations import AUTOMATIC, MANUAL, mode_of, runs_elsewhere, shown_name
from ollama_policy.model.rule import Example, Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Edit, Kind, Setting, Subject, insert, rewrite
from ollama_policy.rules.edits import put
from ollama_policy.rules.invalid_declaration import would_be_refused

BOUND = "5m"  # Ollama's own default
_MANUAL, _KEEP_ALIVE = "manual", "keep-alive"
_PINS = "the next apply pins it until you release it"
_UNLOADS = "the next apply unloads it"
_SETS = "the next apply restores this timer if a client has overridden it"


class AutomaticWithoutBound(Rule):
    id = "OLL001"
    name = "automatic-without-bound"
    severity = Severity.ERROR
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("memory_management", "keep_alive"))
    summary = "nothing bounds how long a model stays in memory"
    why = (
        'With `memory_management = "automatic"`, which is also the default, Ollama unloads a model when its keep_alive '
        "ends. If the declaration sets no keep_alive, the server's OLLAMA_KEEP_ALIVE applies until a client sends its "
        "own: one request with `keep_alive: -1` keeps the model in memory until the server stops. Ollama has no upper "
        "limit for keep_alive."
    )
    fix = (
        'Write `memory_management = "manual"` and release the model yourself, or set a `keep_alive`, which the '
        "resource restores if a client overrides it. `check --fix` writes the first, and the next apply pins the model "
        "until you release it. It writes the second if an apply would refuse the pin, or if you choose it: `--fix-with "
        'OLL001=keep-alive`, or `OLL001 = "keep-alive"` under `[fix]` in `ollama-policy.toml`. It writes neither if '
        "the value of `memory_management` comes from another place, such as a variable."
    )
    cures = (_MANUAL, _KEEP_ALIVE)
    bad = (
        Example("models.yaml", 'memory_management: «"automatic"»\n'),
        Example(
            "models.tf",
            'resource "ollama_model" "my_model" {\n  name = "example-model"\n  memory_management = «"automatic"»\n}\n',
        ),
    )
    good = (
        Example("models.yaml", 'memory_management: "manual"\n'),
        Example(
            "models.tf",
            'resource "ollama_model" "my_model" {\n  name              = "example-model"\n'
            '  memory_management = "automatic"\n  keep_alive        = "5m"\n}\n',
        ),
    )
    source = "server/sched.go: OLLAMA_KEEP_ALIVE applies only until a request sets its own keep_alive; issue 8049"
    experiment = (
        "A client pins the model, and the next apply leaves the pin as it is; with `keep_alive`, the apply sets the "
        "timer to five minutes again."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        is_bound = subject.value("keep_alive") is not None or not decided(subject, "keep_alive")
        if mode_of(subject) != AUTOMATIC or is_bound or runs_elsewhere(subject):
            return
        message = f"nothing bounds how long {shown_name(subject)} stays in memory"
        label = "release is left to the server's default and to every client"
        written = subject.settings.get("memory_management")
        is_refused = would_be_refused(subject, "memory_management", MANUAL)
        manual = None if is_refused else _manual(subject, written)
        why_not = ""
        if is_refused:
            why_not = f'"{MANUAL}" is not offered: an apply would refuse it here'
        elif manual is None and written is not None:
            why_not = f'"{MANUAL}" is not offered: memory_management comes from {written.origin or written.written}'
        fixes = tuple(_fixes(subject, manual, why_not, is_refused=is_refused))
        advice = f"{why_not}. {self.fix}" if why_not and not fixes else ""
        if written is None:
            yield self.about(subject, message, label=label, fixes=fixes, advice=advice)
        else:
            yield self.at(written, subject, message, label=label, fixes=fixes, advice=advice)


def _fixes(subject: Subject, manual: Edit | None, why_not: str, *, is_refused: bool) -> Iterator[Fix]:
    if manual is not None:
        is_released = subject.value("resident") is False
        effect = _UNLOADS if is_released else _PINS
        title = f'memory_management = "{MANUAL}": {effect}'
        yield Fix(title, (manual,), is_safe=True, cure=_MANUAL, effect=effect, pins=None if is_released else subject)
    bound = None if would_be_refused(subject, "keep_alive", BOUND) else put(subject, "keep_alive", BOUND)
    if bound is not None:
        title = f'keep_alive = "{BOUND}": {_SETS}'
        effect = f"{_SETS}; {why_not}" if why_not else _SETS
        # Where the other is only not to be written here, which of the two is meant is the user's to say.
        yield Fix(title, (bound,), is_safe=is_refused, cure=_KEEP_ALIVE, effect=effect)


def _manual(subject: Subject, written: Setting | None) -> Edit | None:
    if written is None:
        return insert(subject, "memory_management", MANUAL)
    return rewrite(written, MANUAL) if isinstance(written.value, str) else put(subject, "memory_management", MANUAL)
