"""What the settings of one server say, as Ollama reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ollama_policy.model.images import Image
from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, VERSION, Kind, Setting, Subject, Unknown
from ollama_provider.ollama.settings.variables import VARIABLES, env_uint, text_of, trimmed
from ollama_provider.ollama.versions import Version, is_within, version_in

if TYPE_CHECKING:
    from ollama_policy.model.rule import Target  # whose package imports the rules, and these this module


def image_of(server: Subject) -> Image | None:
    """The server's image, where it is known."""
    text = server.value(IMAGE)
    return Image.parse(text) if isinstance(text, str) else None


def version_of(server: Subject, target: "Target") -> Version | None:
    """The version of Ollama: as its own settings pin it, else as the user says, else None."""
    text = server.value(VERSION)
    own = version_in(text) if isinstance(text, str) else None
    if own is None and (image := image_of(server)) is not None:
        own = image.version
    return own or target.version


def versions_of(subjects: Sequence[Subject], target: "Target") -> list[Version | None]:
    """Which Ollama a request of the tree may go to: those of its servers, else what the user names; None: not known."""
    servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
    return list(dict.fromkeys(version_of(server, target) for server in servers)) or [target.version]


def has(name: str, version: Version | None) -> bool:
    """Whether a version reads a variable; where the version is not known, whether any that is not removed does."""
    variable = VARIABLES[name]
    if version is None:
        return variable.removed is None
    return is_within(version, variable.since, variable.removed)


def text(setting: Setting | None) -> str:
    """What Ollama sees of a decided variable; empty where it is not set."""
    return "" if setting is None or not setting.is_known or setting.value is None else trimmed(text_of(setting.value))


def raw_text(setting: Setting) -> str:
    """The text of a decided variable as a process gets it: llama.cpp's LLAMA_ARG_* count so, with spaces and quotes."""
    return text_of(setting.value)


def said(server: Subject, name: str, target: "Target") -> Setting | None:
    """The setting of a variable, where it is decided, not empty, and read by the server's version."""
    setting = server.known(name)
    return setting if text(setting) and has(name, version_of(server, target)) else None


def decided(subject: Subject, key: str) -> bool:
    """Whether it is certain what a setting is, or that it is not there."""
    setting = subject.settings.get(key)
    return subject.shows_all if setting is None else not isinstance(setting.value, Unknown)


def number(server: Subject, name: str, target: "Target") -> int | None:
    """What a variable that is a number says; None where Ollama uses its default."""
    return env_uint(text(said(server, name, target)))


def memory_limit(server: Subject, target: "Target") -> int | None:
    """Bytes that the server may use: its own limit, or what the machine has, whichever is less."""
    own = server.value(MEMORY_LIMIT)
    limits = [limit for limit in (own, target.memory_bytes) if isinstance(limit, int) and limit > 0]
    return min(limits) if limits else None


def gpu_count(server: Subject, target: "Target") -> int | None:
    """How many GPUs Ollama sees, as the server's settings or the user say; 0 where neither does; None: undecided."""
    if target.gpu_count is not None:
        return target.gpu_count
    if isinstance(server.settings.get(GPU_COUNT), Setting) and not decided(server, GPU_COUNT):
        return None
    own = server.value(GPU_COUNT)
    return own if isinstance(own, int) else int(target.gpu_memory_bytes is not None)


def most_runners(server: Subject, target: "Target") -> int | None:
    """How many models may be loaded at once: Ollama's default is 3 for each GPU, and 3 without one. None: undecided."""
    name = "OLLAMA_MAX_LOADED_MODELS"
    if not decided(server, name):
        return None
    count = gpu_count(server, target)
    return number(server, name, target) or (None if count is None else 3 * max(1, count))


def may_have_gpu(server: Subject) -> bool:
    """Whether weights may lie elsewhere than in the server's own memory."""
    if not decided(server, GPU_COUNT) or server.value(GPU_COUNT):
        return True
    image = image_of(server)
    return image is not None and "rocm" in image.tag
