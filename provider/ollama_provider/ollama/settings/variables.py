"""A server's environment variables, and how Ollama reads them and a request's keep_alive.

Facts of its envconfig/config.go and api/types.go, checked against 0.17.4 and 0.33.0-rc2. `since` and `removed` are the
first releases that have a name, and that have it no longer, in the Go code of all releases from 0.0.1 on.
"""

import re
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from ollama_provider.ollama import durations
from ollama_provider.ollama.durations import NANOSECONDS
from ollama_provider.ollama.versions import LLAMA_SERVER_SINCE, Version

FOR_EVER = durations.LONGEST  # nanoseconds: what Go's longest duration means to Ollama
DEFAULT_KEEP_ALIVE = 5 * NANOSECONDS["m"]

TRUE_TEXTS = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE_TEXTS = frozenset(("0", "f", "F", "FALSE", "false", "False"))

PROMPT_CACHE_MIB = 8192  # of a runner that has one, where LLAMA_ARG_CACHE_RAM says nothing
VRAM_TIERS = (4096, 32768, 262144)

_GO_SPACES = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_GO_SPACES += "\u2028\u2029\u202f\u205f\u3000"
_INT64, _UINT64 = 2**63, 2**64
# Patterns here are compiled at their first use: most that import this module need none.
_SIGNED = r"[+-]?[0-9]+"
_UNSIGNED = r"[0-9]+"


class Reading(StrEnum):
    """How a variable's text is read."""

    DURATION = "a Go duration, or whole seconds"
    BOOLEAN = "a boolean"
    NUMBER = "a whole number"
    KV_CACHE_TYPE = "a type of KV cache"
    MEBIBYTES = "whole MiB"
    FOLDER = "a folder"
    TEXT = "a text"


class Variable(NamedTuple):
    """One variable of a server. `default` is for people; `note` says what took its place where it was removed."""

    reading: Reading
    default: str
    since: Version
    removed: Version | None = None
    note: str = ""


VARIABLES = {
    "OLLAMA_KEEP_ALIVE": Variable(Reading.DURATION, "5m", (0, 1, 29)),
    "OLLAMA_LOAD_TIMEOUT": Variable(Reading.DURATION, "5m", (0, 3, 10)),
    "OLLAMA_MAX_LOADED_MODELS": Variable(Reading.NUMBER, "0, which is 3 for each GPU", (0, 1, 33)),
    "OLLAMA_NUM_PARALLEL": Variable(Reading.NUMBER, "1", (0, 1, 33)),
    "OLLAMA_MAX_QUEUE": Variable(Reading.NUMBER, "512", (0, 1, 34)),
    "OLLAMA_CONTEXT_LENGTH": Variable(Reading.NUMBER, "0, which depends on the VRAM", (0, 5, 13)),
    "OLLAMA_GPU_OVERHEAD": Variable(Reading.NUMBER, "0", (0, 3, 10), note="bytes for each GPU"),
    "OLLAMA_MAX_TRANSFER_STREAMS": Variable(Reading.NUMBER, "4", (0, 23, 3)),
    "OLLAMA_FLASH_ATTENTION": Variable(Reading.BOOLEAN, "by model and GPU", (0, 1, 39)),
    "OLLAMA_SCHED_SPREAD": Variable(Reading.BOOLEAN, "false", (0, 1, 45)),
    "OLLAMA_VULKAN": Variable(Reading.BOOLEAN, "by version", (0, 12, 11)),
    "OLLAMA_IGPU_ENABLE": Variable(Reading.BOOLEAN, "by GPU", (0, 30, 0)),
    "OLLAMA_NOPRUNE": Variable(Reading.BOOLEAN, "false", (0, 0, 19)),
    "OLLAMA_NOHISTORY": Variable(Reading.BOOLEAN, "false", (0, 1, 39)),
    "OLLAMA_AUTH": Variable(Reading.BOOLEAN, "false", (0, 8, 0)),
    "OLLAMA_NO_CLOUD": Variable(Reading.BOOLEAN, "false", (0, 16, 2)),
    "OLLAMA_DEBUG_LOG_REQUESTS": Variable(Reading.BOOLEAN, "false", (0, 18, 3)),
    "OLLAMA_GO_TEMPLATE": Variable(Reading.BOOLEAN, "true", (0, 30, 0)),
    "OLLAMA_CREATE_REMOTE": Variable(Reading.BOOLEAN, "false", (0, 34, 1)),
    "OLLAMA_KV_CACHE_TYPE": Variable(Reading.KV_CACHE_TYPE, "f16", (0, 5, 0)),
    "OLLAMA_MODELS": Variable(Reading.FOLDER, "~/.ollama/models", (0, 1, 6)),
    "OLLAMA_HOST": Variable(Reading.TEXT, "127.0.0.1:11434", (0, 0, 1)),
    "OLLAMA_ORIGINS": Variable(Reading.TEXT, "", (0, 0, 14)),
    "OLLAMA_DEBUG": Variable(Reading.TEXT, "", (0, 1, 21), note="a boolean or a level"),
    "OLLAMA_LLM_LIBRARY": Variable(Reading.TEXT, "", (0, 1, 21)),
    "OLLAMA_LIBRARY_PATH": Variable(Reading.TEXT, "", (0, 6, 7)),
    "OLLAMA_EXPERIMENT": Variable(Reading.TEXT, "", (0, 6, 0)),
    "OLLAMA_REMOTES": Variable(Reading.TEXT, "ollama.com", (0, 12, 0)),
    "OLLAMA_EDITOR": Variable(Reading.TEXT, "", (0, 16, 0)),
    "OLLAMA_API_KEY": Variable(Reading.TEXT, "", (0, 23, 0)),
    "LLAMA_ARG_CACHE_RAM": Variable(
        Reading.MEBIBYTES, f"{PROMPT_CACHE_MIB}", LLAMA_SERVER_SINCE, note="negative: the tokens of the context"
    ),
    "LLAMA_ARG_FIT": Variable(Reading.TEXT, "on", LLAMA_SERVER_SINCE),
    "LLAMA_ARG_FIT_TARGET": Variable(Reading.MEBIBYTES, "", LLAMA_SERVER_SINCE),
    "OLLAMA_MAX_VRAM": Variable(
        Reading.NUMBER, "0", (0, 1, 29), (0, 7, 0), "OLLAMA_GPU_OVERHEAD keeps a part of each GPU free"
    ),
    "OLLAMA_NEW_ESTIMATES": Variable(Reading.BOOLEAN, "", (0, 11, 5), (0, 11, 11), "it is how Ollama estimates"),
    "OLLAMA_INTEL_GPU": Variable(Reading.BOOLEAN, "", (0, 1, 45), (0, 12, 11), "OLLAMA_VULKAN runs on such GPUs"),
    "OLLAMA_NEW_ENGINE": Variable(Reading.BOOLEAN, "", (0, 5, 12), LLAMA_SERVER_SINCE, "llama.cpp runs every GGUF"),
    "OLLAMA_MULTIUSER_CACHE": Variable(
        Reading.BOOLEAN, "", (0, 3, 13), LLAMA_SERVER_SINCE, "LLAMA_ARG_CACHE_RAM bounds the prompt cache, in MiB"
    ),
    "OLLAMA_TMPDIR": Variable(Reading.TEXT, "", (0, 1, 32), (0, 6, 6), "TMPDIR is the system's own"),
    "OLLAMA_RUNNERS_DIR": Variable(Reading.TEXT, "", (0, 1, 33), (0, 3, 11), "libraries are OLLAMA_LIBRARY_PATH"),
}  # fmt: skip

# Names that people write for a server and that no release ever read, with what they mean.
NEVER_VARIABLES = {
    "OLLAMA_NUM_CTX": "OLLAMA_CONTEXT_LENGTH, or num_ctx in a request or a Modelfile",
    "OLLAMA_NUM_GPU": "num_gpu in a request or a Modelfile",
    "OLLAMA_GPU_LAYERS": "num_gpu in a request or a Modelfile",
    "OLLAMA_NUM_THREAD": "num_thread in a request or a Modelfile",
    "OLLAMA_NUM_THREADS": "num_thread in a request or a Modelfile",
    "OLLAMA_KEEPALIVE": "OLLAMA_KEEP_ALIVE",
    "OLLAMA_FLASH_ATTN": "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_MAX_MODELS": "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_MAX_MEMORY": "a memory limit of the container or unit; for GPUs OLLAMA_GPU_OVERHEAD",
    "OLLAMA_MEM_LIMIT": "a memory limit of the container or unit; for GPUs OLLAMA_GPU_OVERHEAD",
    "OLLAMA_MMAP": "use_mmap in a request",
    "OLLAMA_CACHE_RAM": "LLAMA_ARG_CACHE_RAM",
    "OLLAMA_PORT": "OLLAMA_HOST, which takes host:port",
}
# The same, for what Ollama has no variable at all: why.
NEVER_SETTABLE = {
    "OLLAMA_MLX_CACHE_RAM": "no variable bounds the 8 GiB prefix cache of an MLX runner",
    "OLLAMA_MLX_MAX_PAGED_OUT_BYTES": "no variable bounds the 8 GiB prefix cache of an MLX runner",
}


def text_of(value: object) -> str:
    """A value as the text that a process gets: formats with types of their own write `1` and `true` without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def trimmed(text: str) -> str:
    """What Ollama sees of a value: without outer spaces, and then without outer quotes. Empty is as good as not set."""
    return text.strip(_GO_SPACES).strip("\"'")


def env_keep_alive(text: str) -> int | None:
    """Nanoseconds that OLLAMA_KEEP_ALIVE says, FOR_EVER where negative; None: the default is used, silently."""
    nanoseconds = _env_duration(trimmed(text))
    return FOR_EVER if nanoseconds is not None and nanoseconds < 0 else nanoseconds


def env_load_timeout(text: str) -> int | None:
    """Nanoseconds that OLLAMA_LOAD_TIMEOUT says, FOR_EVER for 0 or less; None: the default is used, silently."""
    nanoseconds = _env_duration(trimmed(text))
    return FOR_EVER if nanoseconds is not None and nanoseconds <= 0 else nanoseconds


def _env_duration(text: str) -> int | None:
    try:
        return durations.parse(text)
    except durations.InvalidDurationError:
        if not re.fullmatch(_SIGNED, text) or len(text.lstrip("+-0")) > len(str(_INT64)):
            return None
        seconds = int(text)
        if not -_INT64 <= seconds < _INT64:
            return None
        return (seconds * NANOSECONDS["s"] + _INT64) % _UINT64 - _INT64  # Go's product wraps around


def env_bool(text: str) -> bool | None:
    """What a boolean variable says: anything that is not a boolean is true. None: the default is used."""
    return None if trimmed(text) == "" else trimmed(text) not in FALSE_TEXTS


def env_uint(text: str) -> int | None:
    """What a number says; None: the default is used, with a warning in the log where the text is not empty."""
    digits = trimmed(text)
    if not re.fullmatch(_UNSIGNED, digits) or len(digits.lstrip("0")) > len(str(_UINT64)):
        return None
    return int(digits) if int(digits) < _UINT64 else None


class RefusedKeepAliveError(ValueError):
    """A request's keep_alive that Ollama answers with HTTP 400; the message says why, and what to write if it can."""


def request_keep_alive(value: object) -> int | None:
    """Nanoseconds that a request's keep_alive says, FOR_EVER where negative; None where it says nothing (null).

    Numbers are seconds, cut to whole nanoseconds; those beyond what Go can hold become "unload now" (0). Texts are Go
    durations, never bare numbers other than 0. Raises RefusedKeepAliveError,
    for NaN and infinity too: JSON has neither.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RefusedKeepAliveError("it is neither a number nor a text")
    if isinstance(value, str):
        try:
            nanoseconds = durations.parse(value)
        except durations.InvalidDurationError as error:
            raise RefusedKeepAliveError(str(error)) from None
        return FOR_EVER if nanoseconds < 0 else nanoseconds
    if isinstance(value, float) and not isfinite(value):
        raise RefusedKeepAliveError("JSON has no such number")
    if value < 0:
        return FOR_EVER
    if value >= _INT64 / NANOSECONDS["s"]:
        return 0
    return int(float(value) * NANOSECONDS["s"])


_AMOUNT = (
    r"(?P<sign>[+-]?)(?P<number>[0-9]{1,9})[\s_-]*"
    r"(?:(?P<s>s|secs?|seconds?)|(?P<m>m|mins?|minutes?)|(?P<h>h|hrs?|hours?)|(?P<d>d|days?)|(?P<w>w|wks?|weeks?))?"
    r"\s*(?:#.*)?"
)
_FOR_EVER_WORDS = frozenset("forever inf infinite infinity never always unlimited".split()) | {"forever"}
_LONGEST_MEANT = 100  # characters
_HOURS = {"d": 24, "w": 7 * 24}


def meant_duration(text: str) -> str | None:
    """The Go duration that somebody meant by a text that is none: `10m` for `10 minutes`, `24h` for `1d`; else None."""
    plain = trimmed(text).strip(_GO_SPACES)
    if len(plain) > _LONGEST_MEANT:
        return None
    if plain.lower() in _FOR_EVER_WORDS:
        return "-1m"
    match = re.fullmatch(_AMOUNT, plain, re.IGNORECASE)
    if match is None or int(match["number"]) == 0:
        return None
    if match["sign"] == "-":
        return "-1m"
    unit = next((name for name in "smhdw" if match[name]), "s")
    meant = f"{int(match['number']) * _HOURS.get(unit, 1)}{unit if unit not in _HOURS else 'h'}"
    return meant if _env_duration(meant) is not None else None
