"""The provider's functions: `provider::ollama::model_name` and its like, which ask no server."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ollama_provider.ollama import durations
from ollama_provider.ollama.memory import Estimate, estimate, known_kv_cache_types
from ollama_provider.ollama.names import NAME_SHAPE, InvalidNameError, ModelName
from ollama_provider.ollama.versions import NEWEST_KNOWN, dotted
from ollama_provider.terraform.protocol.provider import Function, FunctionArgumentError, Parameter
from ollama_provider.terraform.protocol.values import DYNAMIC, NUMBER, STRING, object_of, plain


class ModelNameFunction(Function):
    name = "model_name"
    summary = "The normal form of a model's name"
    description = (
        "The name in full, as `/api/tags` and the `id` of an `ollama_model` show it: `llama3` is `llama3:latest`, and "
        "`registry.ollama.ai/library/llama3` is too. Ollama ignores case in names: to compare two, put `lower` around "
        "both."
    )
    parameters = (Parameter("name", STRING, f"A model's name, `{NAME_SHAPE}`."),)
    returns = STRING

    def call(self, name: str) -> str:
        try:
            return str(ModelName.parse(name))
        except InvalidNameError as error:
            raise FunctionArgumentError(0, f"{name!r} is not a model name {NAME_SHAPE}: {error}") from None


class DurationFunction(Function):
    name = "duration"
    summary = "The seconds of a duration"
    description = (
        "Seconds of a Go duration, as Ollama reads `keep_alive`: `5m` is 300 and `1h30m` is 5400. A negative one, "
        "which Ollama treats as forever, is negative. A number without a unit is an error, as it is in a request."
    )
    parameters = (Parameter("text", STRING, "A Go duration, such as `5m`, `1h30m` or `1.5h`."),)
    returns = NUMBER

    def call(self, text: str) -> Decimal:
        try:
            return Decimal(durations.parse(text)) / durations.NANOSECONDS["s"]
        except durations.InvalidDurationError as error:
            raise FunctionArgumentError(0, f"{text!r} is not a duration: {error}") from None


_PARTS = (*(part for part in Estimate._fields if part != "later"), "at_load", "total", "most")


class ModelMemoryFunction(Function):
    name = "model_memory"
    summary = "The memory that a model will take"
    description = (
        f"An estimate, in bytes by part, of what the process of one loaded model takes on a server without a GPU, as "
        f"Ollama {dotted(NEWEST_KNOWN)} serves it: `at_load` before it is asked anything, `total` when its contexts "
        "are full. Its prompt cache is added to that, and only an unload frees it: the process may grow by "
        "`prompt_cache` to `most`, where LLAMA_ARG_CACHE_RAM does not bound it. `listed_by_ollama` is its `size` in "
        "/api/ps; `predicted_by_ollama` is what Ollama takes it for before a load, by which it decides on a server "
        "with a GPU whether others go. Models of an architecture that was not measured are an error."
    )
    parameters = (
        Parameter("metadata", DYNAMIC, "The `metadata` of an `ollama_model` data source."),
        Parameter("num_ctx", NUMBER, "The context of one request, in tokens."),
        Parameter("parallel", NUMBER, "How many requests run at once, as OLLAMA_NUM_PARALLEL. Null is 1.", True),
        Parameter("kv_cache_type", STRING, "The type of KV cache, as OLLAMA_KV_CACHE_TYPE. Null is `f16`.", True),
    )
    returns = object_of(dict.fromkeys(_PARTS, NUMBER))

    def call(self, metadata: Any, num_ctx: Any, parallel: Any, kv_cache_type: str | None) -> dict[str, int]:
        shape = plain(metadata)
        if not isinstance(shape, Mapping) or not _is_count(shape.get("size")):
            raise FunctionArgumentError(0, "expected the metadata of an ollama_model data source, with its size")
        cache_type = (kv_cache_type or "f16").lower()
        if cache_type not in (known := known_kv_cache_types(NEWEST_KNOWN)):
            raise FunctionArgumentError(3, f"found {kv_cache_type!r}, expected one of {', '.join(known)}")
        context = _count(1, num_ctx)
        requests = 1 if parallel is None else _count(2, parallel)
        try:
            found = estimate(
                shape,
                weights_bytes=shape["size"],
                num_ctx=context,
                parallel=requests,
                kv_cache_type=cache_type,
            )
        except ValueError as error:
            raise FunctionArgumentError(0, str(error)) from None
        return {part: getattr(found, part) for part in _PARTS}


def _count(argument: int, value: Any) -> int:
    number = plain(value)
    if not _is_count(number):
        raise FunctionArgumentError(argument, f"found {number}, expected a whole number, 1 or more")
    return int(number)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 1
