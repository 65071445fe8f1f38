"""The provider's functions, which are called before any configuration."""

from collections.abc import Iterator
from typing import Any

import pytest

from ollama_provider.ollama.memory import estimate
from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import Function
from ollama_provider.terraform.protocol.values import decode, dynamic, encode
from ollama_provider.terraform.provider import OllamaProvider
from tests.provider.terraform.host import Host

FUNCTIONS: dict[str, Function] = {function.name: function for function in OllamaProvider({}).functions}


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(lambda: OllamaProvider({})) as host:
        yield host


def call(host: Host, name: str, *arguments: Any) -> Any:
    """The result, or which argument is wrong and why."""
    function = FUNCTIONS[name]
    values = [
        wire.DynamicValue(msgpack=encode(argument, parameter.type))
        for argument, parameter in zip(arguments, function.parameters, strict=True)
    ]
    response = host.call("CallFunction", name=name, arguments=values)
    if response.HasField("error"):
        return response.error.function_argument, response.error.text
    return decode(response.result.msgpack, function.returns)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llama3", "llama3:latest"),
        ("llama3:latest", "llama3:latest"),
        ("registry.ollama.ai/library/llama3", "llama3:latest"),
        ("me/Llama3:8B", "me/Llama3:8B"),
        ("hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M"),
    ],
)
def test_names_have_one_form(host: Host, text: str, name: str) -> None:
    assert call(host, "model_name", text) == name
    assert call(host, "model_name", name) == name


@pytest.mark.parametrize("text", ["", "a b", "a/b/c/d", "llama3:", "a\x1b[2J"])
def test_what_is_no_name_is_an_error_of_its_argument(host: Host, text: str) -> None:
    argument, why = call(host, "model_name", text)
    assert (argument, why.startswith(f"{text!r} is not a model name")) == (0, True)
    assert why.isprintable()


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("-1m", -60), ("0", 0), ("100ms", "0.1")]
)
def test_durations_are_exact_seconds(host: Host, text: str, seconds: Any) -> None:
    assert str(call(host, "duration", text)) == str(seconds)


@pytest.mark.parametrize(
    ("text", "hint"), [("300", "write 300s for seconds"), ("1d", "write hours, such as 24h"), ("", "300s, 5m, 1h30m")]
)
def test_what_is_no_duration_says_what_to_write(host: Host, text: str, hint: str) -> None:
    argument, why = call(host, "duration", text)
    assert argument == 0
    assert hint in why


SHAPE: dict[str, Any] = {
    "general.architecture": "llama",
    "general.parameter_count": 8_030_261_248,
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 14336,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.attention.layer_norm_rms_epsilon": 1e-05,
    "llama.context_length": 131072,
    "llama.vocab_size": 128256,
}
METADATA = SHAPE | {"size": 4_920_000_000}
OTHER = {key.replace("llama.", "other."): value for key, value in METADATA.items()} | {"general.architecture": "other"}


@pytest.mark.parametrize(
    ("num_ctx", "parallel", "kv_cache_type"),
    [(4096, 1, "f16"), (32768, 4, "q8_0"), (8192, None, None), (8192, 2, "F16")],
)
def test_memory_is_what_the_estimate_says_by_part(
    host: Host, num_ctx: int, parallel: int | None, kv_cache_type: str | None
) -> None:
    found = call(host, "model_memory", dynamic(METADATA), num_ctx, parallel, kv_cache_type)
    expected = estimate(
        SHAPE,
        weights_bytes=METADATA["size"],
        num_ctx=num_ctx,
        parallel=parallel or 1,
        kv_cache_type=(kv_cache_type or "f16").lower(),
    )
    assert found == {name: getattr(expected, name) for name in found}
    assert found.keys() == {*expected._fields, "at_load", "total", "most"} - {"later"}
    assert found["most"] == found["total"] + found["prompt_cache"] > found["total"]
    if kv_cache_type == "f16":
        assert found["kv_cache"] == 2**29, "of Llama 3.1 8B at 4096"


@pytest.mark.parametrize(
    ("metadata", "num_ctx", "parallel", "kv_cache_type", "argument", "text"),
    [
        (METADATA, 0, 1, "f16", 1, "found 0, expected a whole number, 1 or more"),
        (METADATA, 4096.5, 1, "f16", 1, "found 4096.5, expected a whole number, 1 or more"),
        (METADATA, 4096, -1, "f16", 2, "found -1, expected a whole number, 1 or more"),
        (METADATA, 4096, 1, "q8", 3, "found 'q8', expected one of f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl"),
        (SHAPE, 4096, 1, "f16", 0, "expected the metadata of an ollama_model data source, with its size"),
        ("llama3", 4096, 1, "f16", 0, "expected the metadata of an ollama_model data source, with its size"),
        ({"size": 5}, 4096, 1, "f16", 0, "the memory of the architecture None is not known"),
        (OTHER, 1, 1, "f16", 0, "architecture 'other' is not known"),
        (METADATA | {"clip.has_vision_encoder": True}, 1, 1, "f16", 0, "'llama' with a projector is not known"),
        (METADATA | {"llama.attention.head_count_kv": None}, 1, 1, "f16", 0, "head_count_kv is a list"),
        (METADATA | {"llama.block_count": "32"}, 1, 1, "f16", 0, "llama.block_count is '32'"),
    ],
)
def test_memory_that_cannot_be_known_is_an_error_of_its_argument(
    host: Host, metadata: Any, num_ctx: Any, parallel: Any, kv_cache_type: Any, argument: int, text: str
) -> None:
    found, why = call(host, "model_memory", dynamic(metadata), num_ctx, parallel, kv_cache_type)
    assert (found, text in why) == (argument, True), why
