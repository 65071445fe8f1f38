"""The provider's functions, which are called before any configuration."""

from collections.abc import Iterator
from typing import Any

import pytest

from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import Function
from ollama_provider.terraform.protocol.values import decode, encode
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
    assert (argument, why.startswith(f"{text!r} is no model name")) == (0, True)
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
