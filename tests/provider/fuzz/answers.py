"""Answers of a server that were changed: whatever it says, a call gives a plain value or one clear error."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import httpx

from ollama_provider.ollama.answers import FOR_EVER, Connection
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from tests.policies.fuzz.mutations import mutated
from tests.provider.fuzz.fuzzing import BrokenError, changed

_URL = "http://127.0.0.1:1"
_SECRET = "hunter2-and-more"
_NAME = ModelName.parse("tiny")
_LONGEST = 6000  # characters of an error
_DETAILS = {"format": "gguf", "family": "llama", "parameter_size": "8B", "quantization_level": "Q4_K_M"}
_MODEL = {"name": "tiny:latest", "model": "tiny:latest", "digest": "ab" * 32, "size": 5, "details": _DETAILS}
_RUNNING = {**_MODEL, "expires_at": "2318-01-01T00:00:00Z", "size_vram": 5, "context_length": 8192}
_GENERATED = {
    "model": "tiny",
    "created_at": "2026-01-01T00:00:00.123456789Z",
    "response": "a",
    "done": True,
    "done_reason": "stop",
    "total_duration": 9,
    "load_duration": 5,
    "prompt_eval_count": 1,
    "prompt_eval_duration": 2,
    "eval_count": 3,
    "eval_duration": 4,
}
_SHOWN = {
    "details": {**_DETAILS, "parent_model": ""},
    "modelfile": "FROM x",
    "parameters": "num_ctx 5",
    "template": "{{ .Prompt }}",
    "model_info": {"general.architecture": "llama", "llama.block_count": 2, "tokenizer.ggml.tokens": ["a"]},
    "tensors": [{"name": "token_embd.weight", "type": "F16", "shape": [2, 2]}],
    "capabilities": ["completion"],
    "license": "MIT",
    "messages": [{"role": "user", "content": "a"}],
}
_PROGRESS = [{"status": "pulling ab", "digest": "ab", "total": 5, "completed": 2}, {"status": "success"}]
_ERROR = {"error": "model 'tiny' not found"}

# What is asked, and what is answered where all is well.
CALLS: dict[str, tuple[Callable[[Ollama], Awaitable[Any]], list[Any]]] = {
    "version": (lambda client: client.version(), [{"version": "0.34.3"}]),
    "installed": (lambda client: client.installed(), [{"models": [_MODEL, {**_MODEL, "name": "b"}]}]),
    "running": (lambda client: client.running(), [{"models": [_RUNNING]}]),
    "show": (lambda client: client.show(_NAME), [_SHOWN]),
    "pull": (lambda client: client.pull(_NAME), _PROGRESS),
    "copy": (lambda client: client.copy(_NAME, _NAME), [{}]),
    "delete": (lambda client: client.delete(_NAME), [{}]),
    "has_blob": (lambda client: client.has_blob("sha256:" + "ab" * 32), [{}]),
    "unload": (lambda client: client.unload(_NAME), [_GENERATED]),
    "load": (lambda client: client.load(_NAME, FOR_EVER), [_GENERATED]),
    "generate": (lambda client: client.generate(_NAME, "x"), [_GENERATED, _GENERATED]),
}
_STATUSES = (200, 200, 200, 200, 200, 201, 204, 301, 400, 401, 404, 429, 500, 502, 503)
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"content-type": "application/json"},
    {"content-type": "text/html"},
    {"date": "Thu, 01 Jan 2026 00:00:00 GMT"},
    {"date": "yesterday"},
    {"content-encoding": "gzip"},
    {"content-encoding": "gzip, gzip"},
    {"content-encoding": "br"},
    {"location": "http://elsewhere/"},
)


class Answers:
    """A client whose server is a few bytes."""

    name = "answers"

    def __init__(self, random: Random) -> None:
        self.random = random
        self._runner = asyncio.Runner()
        self._answer: Callable[[], httpx.Response] = lambda: httpx.Response(200)
        self._client = Ollama(Connection(_URL, _SECRET), stall_seconds=5)
        transport = httpx.MockTransport(lambda _: self._answer())
        self._client._http._client = httpx.AsyncClient(base_url=_URL, transport=transport)

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def step(self) -> tuple[str, bytes]:
        """One call with one answer. Raises BrokenError, and whatever a call should not have raised."""
        name = self.random.choice(list(CALLS))
        call, answers = CALLS[name]
        random = self.random
        documents = [_ERROR] if random.random() < 0.1 else answers
        lines = [json.dumps(changed(one, random) if random.random() < 0.7 else one) for one in documents]
        body = "\n".join(lines).encode("utf-8", "surrogatepass")
        if random.random() < 0.4:
            body = mutated(body, [json.dumps(_SHOWN).encode()], random)
        headers = random.choice(_HEADERS)
        content = gzip.compress(body, 1) if "gzip" in headers.get("content-encoding", "") else body
        status = random.choice(_STATUSES)
        self._answer = lambda: httpx.Response(status, headers=headers, stream=_Stream(content))
        try:
            self._runner.run(_within(call(self._client)))
        except OllamaError as error:
            _check(str(error))
        return name, body


async def _within(work: Awaitable[Any]) -> Any:
    async with asyncio.timeout(30):
        return await work


class _Stream(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> Any:
        for at in range(0, len(self._content), 65536):
            yield self._content[at : at + 65536]


def _check(text: str) -> None:
    if not text.isprintable():
        raise BrokenError(f"an error that is not printable: {text!r}")
    if len(text) > _LONGEST:
        raise BrokenError(f"an error of {len(text)} characters")
    if _SECRET in text:
        raise BrokenError("a secret is told")
