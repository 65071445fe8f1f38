"""The parameters of a model, in a Modelfile, a declaration and a request's options: their types, and what is none.

Ollama 0.34.3 gives each a type (api/types.go, Options and Runner; the same in 0.17.4, without draft_num_predict). A
Modelfile's text becomes that type in `ollama create` (api/types.go, FormatParams). /api/create takes any value, and
each later call of the model is then HTTP 500; so is a request with a wrong type (FromMap). A name that is none is
ignored, with a warning in the server's log only.
"""

import difflib
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ollama_provider.ollama.versions import Behavior, dotted


class ParameterType(StrEnum):
    """What Ollama demands of a value; the text is how it is told."""

    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    TEXTS = "a list of texts"


class RemovedParameter(NamedTuple):
    """`behavior` says since when. `is_refused`: HTTP 400; the others are ignored. `note`: what took its place."""

    behavior: Behavior
    is_refused: bool = False
    note: str = ""


class ParameterError(ValueError):
    """A value that Ollama refuses for a parameter; the text says what is expected in its place."""


_INTEGERS = (
    "num_keep seed num_predict top_k repeat_last_n num_ctx num_batch num_gpu main_gpu num_thread draft_num_predict"
).split()
_NUMBERS = "top_p min_p temperature repeat_penalty presence_penalty frequency_penalty".split()

PARAMETERS: Final[Mapping[str, ParameterType]] = {
    **dict.fromkeys(_INTEGERS, ParameterType.INTEGER),
    **dict.fromkeys(_NUMBERS, ParameterType.NUMBER),
    "use_mmap": ParameterType.BOOLEAN,
    "stop": ParameterType.TEXTS,
}

_OF_OLD = (
    "embedding_only f16_kv logits_all low_vram mirostat mirostat_eta mirostat_tau num_gqa numa penalize_newline "
    "rope_frequency_base rope_frequency_scale tfs_z vocab_only"
).split()

REMOVED_PARAMETERS: Final = {
    "typical_p": RemovedParameter(Behavior.REFUSES_TYPICAL_P, is_refused=True, note="top_p and min_p"),
    "use_mlock": RemovedParameter(Behavior.NO_USE_MLOCK, note="LLAMA_ARG_LOAD_MODE=mlock on the server, from 0.34.2"),
    **{name: RemovedParameter(Behavior.NO_OLD_OPTIONS) for name in _OF_OLD},
}

_ONE_OF: Final = f"a parameter that Ollama knows: one of {', '.join(sorted(PARAMETERS))}"
_LONGEST_CLOSE: Final = 40  # characters: nothing that is longer is close to any of them
_OF_A_REQUEST: Final = "each request, as a field beside its options"
_BELONGS_TO: Final = {
    "keep_alive": "the declaration itself (keep_alive, or memory_management), to the server (OLLAMA_KEEP_ALIVE) or to "
    "each request, as a field beside its options",
    "system": "the declaration itself (system), or to SYSTEM in a Modelfile",
    "template": "the declaration itself (template), or to TEMPLATE in a Modelfile",
    "num_parallel": "the server, as OLLAMA_NUM_PARALLEL",
    "max_loaded_models": "the server, as OLLAMA_MAX_LOADED_MODELS",
    "flash_attention": "the server, as OLLAMA_FLASH_ATTENTION",
    "kv_cache_type": "the server, as OLLAMA_KV_CACHE_TYPE",
    **dict.fromkeys(("format", "think", "raw", "stream", "truncate", "shift", "logprobs", "suffix"), _OF_A_REQUEST),
}
_KNOWN_AS: Final = {  # names that other programs give to what Ollama has under its own
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "n_predict": "num_predict",
    "context_length": "num_ctx",
    "ctx_size": "num_ctx",
    "n_ctx": "num_ctx",
    "n_gpu_layers": "num_gpu",
    "threads": "num_thread",
}

_SIGN_AND_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,400}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")
_TRUTHS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_LEAST_INTEGER, _MOST_INTEGER, _MOST_NUMBER = -(2**63), 2**63 - 1, 3.4028234663852886e38


@lru_cache(maxsize=2**15)  # a look for close names is dear, and many models share one map of names
def refusal_of_name(name: str) -> str | None:
    """What is expected in the place of a name that is none of a parameter; None for one that Ollama knows.

    A name that a newer Ollama refuses and an older one takes counts as known: see `REMOVED_PARAMETERS`.
    """
    if name in PARAMETERS:
        return None
    if removed := REMOVED_PARAMETERS.get(name):
        if removed.is_refused:
            return None
        assert removed.behavior.since is not None
        since = f"a parameter that Ollama reads; it ignores this from {dotted(removed.behavior.since)} on"
        return f"{since}; in its place there is {removed.note}" if removed.note else since
    if where := _BELONGS_TO.get(name.lower()):
        return f"a parameter of a model; this belongs to {where}"
    close = difflib.get_close_matches(name.lower(), PARAMETERS, 1) if len(name) <= _LONGEST_CLOSE else []
    if meant := _KNOWN_AS.get(name.lower()) or (close[0] if close else None):
        return f"a parameter that Ollama knows: did you mean {meant!r}?"
    return _ONE_OF


def is_refused_by_some(name: str) -> bool:
    """Whether a newer Ollama refuses a parameter that an older one takes."""
    removed = REMOVED_PARAMETERS.get(name)
    return removed is not None and removed.is_refused


def typed(name: str, value: Any) -> Any:
    """A value in the type that Ollama demands of a known parameter; a number as text becomes the number.

    Texts are read as a Modelfile's are, and a whole number that an engine hands over as a float stays whole.
    A name that is not known keeps its value. Raises ParameterError.
    """
    kind = ParameterType.NUMBER if name == "typical_p" else PARAMETERS.get(name)
    if kind is None:
        return value
    read = _from_text(kind, value) if isinstance(value, str) else _from_json(kind, value)
    if read is None:
        raise ParameterError(_expected(kind, value))
    return read


def is_valid(name: str, value: Any) -> bool:
    """Whether `typed` takes it; a null is a parameter that is not set."""
    try:
        return value is None or typed(name, value) is not None
    except ParameterError:
        return False


def typed_all(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """All that are set, each in its type; what has none, or is not valid, stays as it is."""
    return {name: _typed_or_same(name, value) for name, value in parameters.items() if value is not None}


def refusal_in_json(name: str, value: Any) -> str | None:
    """What Ollama demands of a value in a request, where a number as text is refused; None where it is right."""
    kind = PARAMETERS.get(name)
    if kind is None:
        return None
    if isinstance(value, str):
        return f"{kind}, and no text"
    return None if _from_json(kind, value) is not None else _expected(kind, value)


def refusal_in_modelfile(name: str, value: Any) -> str | None:
    """What `ollama create` demands of a PARAMETER's text, which a reader may have given a type already."""
    kind = PARAMETERS.get(name)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _expected(kind, text) if kind is not None and _from_text(kind, text) is None else None


def _typed_or_same(name: str, value: Any) -> Any:
    try:
        return typed(name, value)
    except ParameterError:
        return value


def _from_text(kind: ParameterType, text: str) -> Any:
    if kind is ParameterType.TEXTS:
        return [text]
    if kind is ParameterType.BOOLEAN:
        return _TRUTHS.get(text)
    if kind is ParameterType.INTEGER:
        return _from_json(kind, int(text)) if _SIGN_AND_DIGITS.fullmatch(text) else None
    return _from_json(kind, _number(text)) if _DECIMAL.fullmatch(text) else None


def _number(text: str) -> int | float:
    return int(text) if _SIGN_AND_DIGITS.fullmatch(text) else float(text)


def _from_json(kind: ParameterType, value: Any) -> Any:
    if kind is ParameterType.TEXTS:
        return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    if kind is ParameterType.BOOLEAN:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if kind is ParameterType.NUMBER:
        return whole if abs(whole) <= _MOST_NUMBER else None  # which a NaN is not
    return whole if isinstance(whole, int) and _LEAST_INTEGER <= whole <= _MOST_INTEGER else None


def _expected(kind: ParameterType, value: Any) -> str:
    if kind is ParameterType.INTEGER and isinstance(value, str) and (meant := _meant_by_unit(value)):
        return f"{kind} without a unit, such as {meant}"
    if kind is ParameterType.INTEGER and _is_number(value) and not isinstance(value, float):
        return f"{kind} of 64 bits"
    if kind is ParameterType.NUMBER and _is_number(value):
        return "a finite number of 32 bits"
    return kind.value


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _SIGN_AND_DIGITS.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _meant_by_unit(text: str) -> int | None:
    """`8k` is 8192 to those who write it of a context."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*[kK]i?[bB]?\s*", text)
    return int(match[1]) * 1024 if match else None
