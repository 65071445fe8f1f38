"""What every rule is: facts about itself as class attributes, and a judgement of one subject, or of all."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from ollama_policy.model.settings import Edit, Kind, Setting, SourceFile, Span, Subject

if TYPE_CHECKING:
    from ollama_provider.ollama.names import ModelName


class Severity(StrEnum):
    """error: Ollama refuses it, ignores it silently, or memory will not come back; warning: likely so; info."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Example(NamedTuple):
    """A whole file by name and text. In a bad one the finding's exact range stands between `«` and `»`."""

    path: str
    text: str


class Fix(NamedTuple):
    """A way out: what it does, in a few words, and the edits that do it. `check --help` says what `is_safe` means.

    Where a rule has several ways out to choose from, `cure` is this one's name. `effect` is what follows from it that
    the edit does not show. `pins` is the declaration that the next apply pins then: whether it can, the tree tells.
    """

    title: str
    edits: tuple[Edit, ...]
    is_safe: bool = False
    cure: str = ""
    effect: str = ""
    pins: Subject | None = None


class Finding(NamedTuple):
    """One thing that is wrong, at its place. `label` is said under the excerpt; `advice` where no edit can be made."""

    rule: type["Rule"]
    message: str
    file: SourceFile
    span: Span
    address: str
    label: str = ""
    fixes: tuple[Fix, ...] = ()
    advice: str = ""
    value: str = ""  # what was found, as text: part of what a baseline knows a finding by
    severity: Severity | None = None  # where it is another than its rule's


class Models(Protocol):
    """What is known of models beyond the text of their declarations. A rule reads no file: this is handed to it."""

    def least_bytes(self, subjects: Sequence[Subject], target: "Target") -> "dict[ModelName, int]":
        """What each resident takes at least, by name; what is not known is not there."""

    def runs_elsewhere(self, name: "ModelName") -> bool:
        """Whether the server says that another one runs the model."""


class Target(NamedTuple):
    """What the checked configuration is meant for, where the user says so. None: not said."""

    version: tuple[int, int, int] | None = None
    memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None
    gpu_count: int | None = None
    snapshot: str | None = None  # a file of what servers said: what models that are not in the tree are made of
    models: Models | None = None


def _shown(setting: Setting) -> str:
    return str(setting.value) if setting.is_known else setting.written


class Rule:
    """A rule. Subclasses set every attribute and override `judge`, or `judge_all` where one subject is not enough.

    A setting whose value is Unknown is not to be judged: the pipeline reports those of `keys` as undecided.
    """

    id: ClassVar[str]
    name: ClassVar[str]
    severity: ClassVar[Severity]
    kind: ClassVar[Kind]
    keys: ClassVar[frozenset[str]]
    summary: ClassVar[str]  # one line
    why: ClassVar[str]  # what happens in Ollama, a short paragraph
    fix: ClassVar[str]  # what to do
    bad: ClassVar[tuple[Example, ...]]
    good: ClassVar[tuple[Example, ...]]
    source: ClassVar[str]  # where the fact is from
    example_target: ClassVar[Target] = Target()  # what the examples are meant for
    experiment: ClassVar[str] = ""  # what a real Ollama does with the bad example, and with the fix: sentences
    not_shown: ClassVar[str] = ""  # or why no test shows it
    cures: ClassVar[tuple[str, ...]] = ()  # the names of its fixes, where a person may choose; the first by default
    since: ClassVar[str] = "0.1.0"  # of this package

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        """The findings in one subject of `kind`."""
        return iter(())

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        """The findings that only the whole tree shows; `subjects` are of every kind."""
        return iter(())

    def at(
        self,
        setting: Setting,
        subject: Subject,
        message: str,
        *,
        label: str = "",
        fixes: tuple[Fix, ...] = (),
        advice: str = "",
    ) -> Finding:
        """A finding at a setting's value."""
        return Finding(
            type(self), message, setting.file, setting.span, subject.address, label, fixes, advice, _shown(setting)
        )

    def about(
        self, subject: Subject, message: str, *, label: str = "", fixes: tuple[Fix, ...] = (), advice: str = ""
    ) -> Finding:
        """A finding about a whole subject: something that is not there."""
        return Finding(type(self), message, subject.file, subject.span, subject.address, label, fixes, advice)
