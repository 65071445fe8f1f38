"""`docker run`, and what is written like it (podman, nerdctl), as words: the server it starts from an Ollama image."""

import re
from collections.abc import Sequence
from typing import Final

from ollama_policy.model import images
from ollama_policy.model.settings import (
    GPU_COUNT,
    IMAGE,
    MEMORY_LIMIT,
    Insertion,
    Kind,
    Setting,
    SourceFile,
    Span,
    Style,
    Subject,
    Unknown,
)
from ollama_policy.sources.common.env_files import Dialect, shared_variables
from ollama_policy.sources.common.environment import Lookup, value_of
from ollama_policy.sources.common.sizes import sized
from ollama_policy.sources.common.source import Tree
from ollama_policy.sources.syntax.placed_text import PlacedText, Word

# Options without a value (docker run --help, podman run --help); all others take one.
_SWITCHES: Final = frozenset(
    "detach disable-content-trust help init interactive no-healthcheck oom-kill-disable privileged publish-all quiet"
    " read-only replace rm sig-proxy tls-verify tty use-api-socket env-host no-hosts rmi rootfs".split()
)
_SHORT_SWITCHES: Final = "dhiPqt"
_PROGRAMS: Final = frozenset(("docker", "podman", "nerdctl"))
_DEVICES: Final = re.compile(r'"?device=([\w,:.-]+)"?')


def container_server(words: Sequence[Word], file: SourceFile, tree: Tree | None, lookup: Lookup) -> Subject | None:
    """The server of a `docker run` of Ollama's image; `words` begin with the program. None for any other command."""
    if len(words) < 3 or words[0].text.text.rpartition("/")[2] not in _PROGRAMS:
        return None
    verb = 2 if words[1].text.text == "container" else 1
    if words[verb].text.text not in ("run", "create"):
        return None
    span = Span(words[0].span.start, words[verb].span.end)
    place = Insertion(span.end, " -e ", "=", "")
    subject = Subject(Kind.SERVER, "docker run", file, span, Style.BARE, insertion=place)
    files: list[str] = []
    entrypoint = ""
    at = verb + 1
    while at < len(words):
        word = words[at]
        text = word.text.text
        at += 1
        if text.startswith("$") and not all(word.quoted):
            subject.unknown = Unknown(f"{text} may hold more options")
            continue
        if not text.startswith("-") or text == "-":
            setting = value_of(IMAGE, word.text, word.span, file, "", lookup)
            if not images.is_ollama(setting.value if isinstance(setting.value, str) else text):
                return None
            subject.add(setting)
            if not _serves([entrypoint, *(word.text.text for word in words[at:])]):
                return None
            break
        option, value = _option(word)
        if option is None:
            continue
        if value is None:
            if at >= len(words):
                return None
            value = words[at]
            at += 1
        if option == "entrypoint":
            entrypoint = value.text.text
        elif option == "env-file":
            files.append(value.text.text)
        else:
            _take(subject, option, value, file, lookup)
    if IMAGE not in subject.settings:
        return None
    named = {setting.key for setting in subject.settings.values()}
    for name in files:
        found = tree.sibling(file, name) if tree is not None and "$" not in name else None
        if found is None or tree is None:
            subject.unknown = Unknown(f"the env file {name} is not in the tree")
            continue
        for setting in shared_variables(found, tree, Dialect.DOCKER, f"--env-file {name}", span.start):
            if setting.key not in named:  # --env wins
                subject.add(setting)
    return subject


def _serves(command: list[str]) -> bool:
    """Whether a container of the image serves: many only pull a model, or ask another's server."""
    entrypoint, *words = command
    if entrypoint.rpartition("/")[2] in ("", "ollama"):
        return not words or words[0] == "serve"
    return "ollama serve" in " ".join(words)


def _option(word: Word) -> tuple[str | None, Word | None]:
    """The option's name, with its value where it stands in the same word; no name for a switch."""
    text = word.text.text
    if text.startswith("--"):
        name, equals, _ = text[2:].partition("=")
        if name in _SWITCHES:
            return None, None
        return name, _rest(word, len(f"--{name}=".encode())) if equals else None
    for index, letter in enumerate(text[1:], 1):
        if letter in _SHORT_SWITCHES:
            continue
        rest = len(text[: index + 1].encode())
        rest += text[index + 1 : index + 2] == "="
        return letter, _rest(word, rest) if rest < len(word.text.data) else None
    return None, None


def _rest(word: Word, at: int) -> Word:
    text = word.text.cut(at)
    start = word.text.ends[at - 1]
    end = word.span.end if not word.quoted[at - 1] else text.span.end
    return Word(text, Span(start, end), word.quoted[at:], word.is_closed)


def _take(subject: Subject, option: str, value: Word, file: SourceFile, lookup: Lookup) -> None:
    match option:
        case "e" | "env":
            assignment = value.assignment()
            if assignment is not None:
                subject.add(value_of(assignment[0], assignment[1], assignment[2], file, "", lookup))
                return
            name = value.text.text
            found = lookup(name)
            if isinstance(found, Setting):
                subject.add(Setting(name, found.value, found.span, found.file, f"-e {name}", is_literal=False))
            elif name.isidentifier():
                subject.add(Setting(name, found, value.span, file, f"-e {name}", is_literal=False))
            else:
                subject.unknown = Unknown(f"{name} is put together when it runs")
        case "m" | "memory":
            subject.add(sized(value_of(MEMORY_LIMIT, value.text, value.span, file, "", lookup)))
        case "gpus":
            subject.add(Setting(GPU_COUNT, _gpus(value.text), value.span, file, is_literal=False))
        case "name" if value.text.data and b"$" not in value.text.data:
            subject.address = f"docker run {value.text.text}"
        case _:
            pass


def _gpus(text: PlacedText) -> int | Unknown:
    devices = _DEVICES.fullmatch(text.text)
    if devices is not None:
        return devices[1].count(",") + 1
    return (
        int(text.text)
        if text.text.isdecimal() and len(text.text) < 4
        else Unknown(f"{text.text} of the machine's GPUs")
    )
