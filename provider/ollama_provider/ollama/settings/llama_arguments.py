"""The variables that reach Ollama's runner past Ollama: LLAMA_ARG_*, as llama.cpp's server reads them.

From llama.cpp's common/arg.cpp, build b10970 with Ollama 0.34.3's patches: the names that `llama-server` has, and how
each one's handler reads a text. Ollama looks at none of them; a runner inherits them from the server's environment.
Texts count as they stand: unlike Ollama's own, they are not trimmed, and quotes belong to them.
"""

import math
import re
from enum import StrEnum
from typing import Final, NamedTuple

from ollama_provider.ollama.settings import kv_cache_types

PREFIX: Final = "LLAMA_ARG_"
_NO: Final = "LLAMA_ARG_NO_"

TRUE: Final = ("on", "enabled", "true", "1")
FALSE: Final = ("off", "disabled", "false", "0")
AUTO: Final = ("auto", "-1")
SPECULATIVE_TYPES: Final = (
    "none draft-simple draft-eagle3 draft-mtp draft-dflash draft-dspark "
    "ngram-simple ngram-map-k ngram-map-k4v ngram-mod ngram-cache"
).split()
MAX_DEVICES: Final = 16  # llama_max_devices(); a list must be shorter
_INT32 = 2**31
_UINT64 = 2**64
_FLOAT32_RANGE = (2.0**-126, (2 - 2**-23) * 2.0**127)  # std::stof throws below and above
_FLOAT = re.compile(
    r"[ \t\n\v\f\r]*([+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?:inf|nan)))(?s:(.*))",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """How llama.cpp reads a text."""

    WHOLE = "a whole number"
    BOOLEAN = "on or off"
    BOOLEAN_OR_AUTO = "on, off or auto"
    SWITCH = "on"  # what is not on has no effect, and is not an error
    FLOAT = "a number"
    FLOATS = "numbers, with commas between them"
    MEBIBYTES = "whole MiB, one number for each device"
    LAYERS = "a whole number, auto or all"
    CHOICE = "one of a few words"
    SPECULATIVE = "types of speculative decoding, with commas between them"
    JSON = "JSON"
    TEXT = "a text"
    REMOVED = "no value: llama-server exits if it is set"


class Argument(NamedTuple):
    """One variable. `least` is the lowest whole number that is taken; `has_opposite`: there is a LLAMA_ARG_NO_* too."""

    kind: Kind
    choices: tuple[str, ...] = ()
    least: int | None = None
    has_opposite: bool = False


_WHOLE = (
    "BATCH CACHE_RAM CACHE_REUSE CTX_CHECKPOINTS CTX_SIZE FIT_CTX IMAGE_MAX_TOKENS IMAGE_MIN_TOKENS "
    "KV_UNIFIED_PER_SLOT LOG_VERBOSITY MAIN_GPU MODELS_MAX MTMD_BATCH_MAX_TOKENS N_PARALLEL N_PREDICT PORT "
    "SPEC_DRAFT_N_MIN SSE_PING_INTERVAL THREADS THREADS_HTTP TIMEOUT TOP_K UBATCH VIDEO_TIMESTAMP_INTERVAL "
    "YARN_ORIG_CTX"
).split()
_FROM_ZERO = "CHECKPOINT_MIN_SPACING_NT N_CPU_FFN N_CPU_MOE SPEC_DRAFT_N_CPU_MOE SPEC_DRAFT_N_MAX".split()
_BOOLEANS = (
    "AGENT CACHE_IDLE_SLOTS CACHE_PROMPT CONTEXT_SHIFT CONT_BATCHING CORS_CREDENTIALS ENDPOINT_SLOTS JINJA KV_OFFLOAD "
    "KV_UNIFIED LOG_JSONL LOG_PREFIX LOG_TIMESTAMPS MMPROJ_AUTO MMPROJ_OFFLOAD MODELS_AUTOLOAD PERF PREFILL_ASSISTANT "
    "REASONING_PRESERVE REPACK SKIP_CHAT_PARSING SPEC_DRAFT_BACKEND_SAMPLING UI UI_MCP_PROXY"
).split()
_SWITCHES = (
    "BACKEND_SAMPLING CPU_MOE EMBEDDINGS ENDPOINT_METRICS ENDPOINT_PROPS NO_HOST OFFLINE RERANKING REUSE_PORT "
    "SPEC_DRAFT_CPU_MOE SWA_FULL"
).split()
_FLOATS = (
    "ROPE_FREQ_BASE ROPE_FREQ_SCALE ROPE_SCALE SPEC_DRAFT_P_MIN SPEC_DRAFT_P_SPLIT VIDEO_FPS YARN_ATTN_FACTOR "
    "YARN_BETA_FAST YARN_BETA_SLOW YARN_EXT_FACTOR"
).split()
_TEXTS = (
    "ALIAS API_KEY_FILE API_PREFIX CHAT_TEMPLATE CHAT_TEMPLATE_FILE CORS_HEADERS CORS_METHODS CORS_ORIGINS "
    " DEFRAG_THOLD DEVICE DOCKER_REPO HF_FILE HF_REPO HOST LOG_FILE MCP_SERVERS_CONFIG MCP_SERVERS_JSON "
    "MMPROJ MMPROJ_URL MODEL MODELS_DIR MODELS_PRESET MODEL_URL OVERRIDE_TENSOR REASONING_EFFORT RPC "
    "SPEC_DRAFT_HF_REPO SPEC_DRAFT_MODEL SPEC_SYNTH_LEN SPEC_SYNTH_RATES SSL_CERT_FILE SSL_KEY_FILE "
    "STATIC_PATH TAGS THINK_BUDGET_MESSAGE TOOLS TOOLS_RUNTIME UI_CONFIG UI_CONFIG_FILE VIDEO_FFMPEG_DIR"
).split()
_CHOICES = {
    "CACHE_TYPE_K": kv_cache_types.OF_LLAMA_CPP,
    "CACHE_TYPE_V": kv_cache_types.OF_LLAMA_CPP,
    "SPEC_DRAFT_CACHE_TYPE_K": kv_cache_types.OF_LLAMA_CPP,
    "SPEC_DRAFT_CACHE_TYPE_V": kv_cache_types.OF_LLAMA_CPP,
    "FIT": (*TRUE, *FALSE),
    "LAZY_MODE": ("on", "auto", "off"),
    "LOAD_MODE": ("auto", "none", "mmap", "mlock", "mmap+mlock", "dio"),
    "NUMA": ("distribute", "", "isolate", "numactl"),
    "POOLING": ("none", "mean", "cls", "last", "rank"),
    "ROPE_SCALING_TYPE": ("none", "linear", "yarn"),
    "SPLIT_MODE": ("none", "layer", "row", "tensor"),
    "THINK": ("none", "auto", "deepseek", "deepseek-legacy"),
}

ARGUMENTS: Final[dict[str, Argument]] = {
    **{f"{PREFIX}{name}": Argument(Kind.WHOLE) for name in _WHOLE},
    **{f"{PREFIX}{name}": Argument(Kind.WHOLE, least=0) for name in _FROM_ZERO},
    f"{PREFIX}THINK_BUDGET": Argument(Kind.WHOLE, least=-1),
    **{f"{PREFIX}{name}": Argument(Kind.BOOLEAN, has_opposite=True) for name in _BOOLEANS},
    **{f"{PREFIX}{name}": Argument(Kind.BOOLEAN_OR_AUTO) for name in ("FLASH_ATTN", "LOG_COLORS", "REASONING")},
    **{f"{PREFIX}{name}": Argument(Kind.SWITCH) for name in _SWITCHES},
    **{f"{PREFIX}{name}": Argument(Kind.FLOAT) for name in _FLOATS},
    f"{PREFIX}TENSOR_SPLIT": Argument(Kind.FLOATS),
    f"{PREFIX}FIT_TARGET": Argument(Kind.MEBIBYTES),
    **{f"{PREFIX}{name}": Argument(Kind.LAYERS) for name in ("N_GPU_LAYERS", "N_GPU_LAYERS_DRAFT")},
    **{f"{PREFIX}{name}": Argument(Kind.CHOICE, choices) for name, choices in _CHOICES.items()},
    f"{PREFIX}SPEC_TYPE": Argument(Kind.SPECULATIVE),
    f"{PREFIX}CHAT_TEMPLATE_KWARGS": Argument(Kind.JSON),
    **{f"{PREFIX}{name}": Argument(Kind.TEXT) for name in _TEXTS},
    **{f"{PREFIX}{name}": Argument(Kind.REMOVED) for name in ("DRAFT_MAX", "DRAFT_MIN")},
}

# In the builds of Ollama 0.32.15 (b10488) and 0.34.0 (b10760), and no longer in that of 0.34.3: what took their place.
REMOVED: Final = {
    f"{PREFIX}MLOCK": f"{PREFIX}LOAD_MODE=mlock",
    f"{PREFIX}MMAP": f"{PREFIX}LOAD_MODE=mmap",
    f"{PREFIX}DIO": f"{PREFIX}LOAD_MODE=dio",
}

# What Ollama gives every runner on its command line, which wins: what sets it instead (llm/llama_server.go of 0.34.3).
OVERRIDDEN: Final = {
    f"{PREFIX}CTX_SIZE": "OLLAMA_CONTEXT_LENGTH",
    f"{PREFIX}N_PARALLEL": "OLLAMA_NUM_PARALLEL",
    f"{PREFIX}FLASH_ATTN": "OLLAMA_FLASH_ATTENTION",
    f"{PREFIX}BATCH": "num_batch in a request or a Modelfile",
    f"{PREFIX}UBATCH": "num_batch in a request or a Modelfile",
    f"{PREFIX}MODEL": "",
    f"{PREFIX}HOST": "",
    f"{PREFIX}PORT": "",
    f"{PREFIX}UI": "",
    f"{PREFIX}OFFLINE": "",
    f"{PREFIX}LOG_VERBOSITY": "",
    f"{PREFIX}LOG_PREFIX": "",
    f"{PREFIX}LOG_TIMESTAMPS": "",
}
# The same, where OLLAMA_KV_CACHE_TYPE is set.
OVERRIDDEN_BY_KV_CACHE_TYPE: Final = (f"{PREFIX}CACHE_TYPE_K", f"{PREFIX}CACHE_TYPE_V")


class Misreading(NamedTuple):
    """A text that does not say what it seems to. `is_refused`: llama-server ends at it, so no model loads.

    `what` is what happens, in a few words; `expected` is what may stand there.
    """

    is_refused: bool
    what: str
    expected: str


def name_of(variable: str) -> str:
    """The argument that a variable is about: `LLAMA_ARG_UI` for `LLAMA_ARG_NO_UI` too."""
    positive = PREFIX + variable.removeprefix(_NO)
    is_opposite = variable.startswith(_NO) and positive in ARGUMENTS and ARGUMENTS[positive].has_opposite
    return positive if is_opposite else variable


def is_opposite(variable: str) -> bool:
    """Whether it is a LLAMA_ARG_NO_*: any text, an empty one too, says no."""
    return name_of(variable) != variable


def misreading(variable: str, text: str) -> Misreading | None:
    """What is wrong with the text of a variable of ARGUMENTS, as a process gets it; None where it says what it means.

    Texts of kind TEXT are not judged: what is right of a path, an address or a device, only the machine can tell.
    """
    argument = ARGUMENTS.get(variable)
    if argument is None or argument.kind is Kind.TEXT:
        return None
    if argument.kind is Kind.REMOVED:
        return Misreading(True, "llama.cpp removed it, and refuses to start with it", "nothing: delete it")
    readers = {
        Kind.WHOLE: _whole_problem,
        Kind.FLOAT: _float_problem,
        Kind.FLOATS: _floats_problem,
        Kind.MEBIBYTES: _mebibytes_problem,
        Kind.LAYERS: _layers_problem,
        Kind.SWITCH: _switch_problem,
        Kind.SPECULATIVE: _speculative_problem,
        Kind.JSON: _json_problem,
    }
    if argument.kind in readers:
        return readers[argument.kind](argument, text)
    words = argument.choices or (*TRUE, *FALSE, *(AUTO if argument.kind is Kind.BOOLEAN_OR_AUTO else ()))
    return None if text in words else _refused(f"one of {', '.join(word for word in words if word)}")


def whole(text: str) -> int | None:
    """What C++'s std::stoi makes of a text: white space, a sign and digits; what follows is left. None: it throws."""
    number, _ = _leading_whole(text)
    return number if number is not None and -_INT32 <= number < _INT32 else None


def _leading_whole(text: str) -> tuple[int | None, str]:
    rest = text.lstrip(" \t\n\v\f\r")
    sign = rest[:1] if rest[:1] in ("+", "-") else ""
    digits = rest[len(sign) :]
    end = next((at for at, character in enumerate(digits) if not "0" <= character <= "9"), len(digits))
    if end == 0:
        return None, text
    return (int(sign + digits[:end]) if end <= 20 else _UINT64), digits[end:]


def _refused(expected: str) -> Misreading:
    return Misreading(True, "llama-server exits, and no model loads", expected)


def _read_as(number: float, unit: str, expected: str) -> Misreading:
    return Misreading(False, f"llama.cpp reads {number:g}{unit} and ignores the rest", expected)


def _whole_problem(argument: Argument, text: str) -> Misreading | None:
    is_mebibytes = argument is ARGUMENTS[f"{PREFIX}CACHE_RAM"]
    expected = "digits only" + (", in MiB" if is_mebibytes else "")
    number, read = whole(text), _leading_whole(text)[0]
    if number is None and read is not None:
        least = -_INT32 if argument.least is None else argument.least
        return _refused(f"{expected}, from {least} to {_INT32 - 1}")
    if number is None or (argument.least is not None and number < argument.least):
        return _refused(expected if argument.least is None else f"{expected}, from {argument.least} on")
    if argument is ARGUMENTS[f"{PREFIX}N_PARALLEL"] and number == 0:
        return _refused(f"{expected}, and not 0")
    return _read_as(number, " MiB" if is_mebibytes else "", expected) if _leading_whole(text)[1].strip() else None


def _devices(text: str) -> list[str] | None:
    """A list as C++'s sregex_token_iterator cuts it, or None where it has more values than llama.cpp has room for."""
    parts = re.split("[,/]+", text)
    if len(parts) > 1 and not parts[-1]:
        del parts[-1]
    return parts if len(parts) < MAX_DEVICES else None


def _mebibytes_problem(_: Argument, text: str) -> Misreading | None:
    expected = "digits only, in MiB"
    parts = _devices(text)
    if parts is None:
        return _refused(f"at most {MAX_DEVICES - 1} values")
    for part in parts:
        number, rest = _leading_whole(part)
        if number is None or number >= _UINT64:
            return _refused(expected if number is None else f"{expected}, at most {_UINT64 - 1}")
        if rest.strip():
            return _read_as(number, " MiB", expected)
        if number < 0:
            return Misreading(False, "llama.cpp reads a negative number as a very large one", expected)
    return None


def _float_problem(_: Argument, text: str) -> Misreading | None:
    found = _FLOAT.match(text)
    if found is None:
        return _refused("a number")
    word = found[1].lower()
    try:
        number = float.fromhex(word) if "x" in word else float(word)
    except OverflowError:
        number = math.inf
    is_named = word.lstrip("+-") in ("inf", "nan")
    least, most = _FLOAT32_RANGE
    if number and not is_named and not least <= abs(number) <= most:
        return _refused("a number that fits into 32 bits")
    return _read_as(number, "", "a number") if found[2].strip() else None


def _floats_problem(argument: Argument, text: str) -> Misreading | None:
    parts = _devices(text)
    if parts is None:
        return _refused(f"at most {MAX_DEVICES - 1} values")
    return next(filter(None, (_float_problem(argument, part) for part in parts)), None)


def _speculative_problem(_: Argument, text: str) -> Misreading | None:
    for name in text.split(","):
        if name == "none":
            return None  # llama.cpp reads no further
        if name not in SPECULATIVE_TYPES:
            return _refused(f"one or more of {', '.join(SPECULATIVE_TYPES)}")
    return None


def _json_problem(_: Argument, text: str) -> Misreading | None:
    import json  # noqa: PLC0415 - a check of files without it pays nothing

    try:
        json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return _refused("a JSON object")
    return None


def _finite(text: str) -> float:
    """Raises ValueError for what llama.cpp's parser takes for no number: NaN, Infinity, and 1e999."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _layers_problem(argument: Argument, text: str) -> Misreading | None:
    return None if text in ("auto", "all") else _whole_problem(argument, text)


def _switch_problem(_: Argument, text: str) -> Misreading | None:
    if text in TRUE or text in FALSE or text == "":
        return None
    return Misreading(False, "llama.cpp does not read it as on, so it has no effect", f"one of {', '.join(TRUE)}")
