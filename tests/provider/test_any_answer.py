"""Whatever a server answers is a value or an OllamaError, and nothing else: real answers, changed at random."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from tests.engines.faulty_ollama import resident, tag

TINY = ModelName.parse("tiny")
SHOWN = {
    "modelfile": "FROM /blobs/sha256-ab",
    "parameters": "num_ctx 4096",
    "details": {"parent_model": "base"},
    "capabilities": ["completion"],
    "model_info": {"general.architecture": "llama", "llama.context_length": 4096, "llama.block_count": 2},
    "projector_info": {"clip.x": 1},
}
LINES = [{"status": "pulling", "digest": "sha256:ab", "total": 9, "completed": 1}, {"status": "success"}]
DONE = [{"response": "x"}, {"done": True, "eval_count": 1, "prompt_eval_count": 2, "load_duration": 3}]
CALLS: dict[str, tuple[list[Any], Callable[[Ollama], Awaitable[Any]]]] = {
    "version": ([{"version": "0.34.3"}], Ollama.version),
    "tags": ([{"models": [tag("tiny:latest")]}], Ollama.installed),
    "ps": ([{"models": [resident("tiny:latest")]}], Ollama.running),
    "show": ([SHOWN], lambda client: client.show(TINY)),
    "pull": (LINES, lambda client: client.pull(TINY, progress=lambda _: None)),
    "generate": (DONE, lambda client: client.generate(TINY, "x")),
    "blob": ([{}], lambda client: client.has_blob("sha256:ab")),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**30) | st.just(-1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, one in inner for path in paths(one, (*at, key)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = copy.deepcopy(value)
    value[path[0]] = changed(value[path[0]], path[1:], new)
    return value


def answered(status: int, body: bytes, call: Callable[[Ollama], Awaitable[Any]]) -> None:
    async def ask() -> None:
        async with Ollama(Connection("http://gpu:1"), stall_seconds=5) as client:
            transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
            client._http._client = httpx.AsyncClient(transport=transport, base_url="http://gpu:1")
            await call(client)

    try:
        asyncio.run(ask())
    except OllamaError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 5000


@pytest.mark.slow
@pytest.mark.parametrize("which", CALLS)
@settings(max_examples=60)
@given(st.data())
def test_an_answer_with_another_value_somewhere(which: str, data: st.DataObject) -> None:
    lines, call = CALLS[which]
    path = data.draw(st.sampled_from(paths(lines)[1:]))
    body = b"\n".join(json.dumps(one).encode() for one in changed(lines, path, data.draw(VALUES)))
    answered(data.draw(st.sampled_from([200, 200, 200, 404, 500])), body, call)


@pytest.mark.parametrize("which", CALLS)
@settings(max_examples=40)
@given(st.data())
def test_an_answer_with_other_bytes_somewhere(which: str, data: st.DataObject) -> None:
    lines, call = CALLS[which]
    body = b"\n".join(json.dumps(one).encode() for one in lines)
    at = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 20))
    answered(
        data.draw(st.sampled_from([200, 500])), body[:at] + data.draw(st.binary(max_size=8)) + body[at + cut :], call
    )
