"""The header of a model out of a registry that answers as Ollama's own does, and out of bad ones."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ollama_provider.ollama import registry_header
from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError, UnreachableError
from ollama_provider.ollama.gguf_header import read_header_of
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.registry_header import RegistryModel, registry_model
from tests.engines.registry import Registry
from tests.engines.tiny_architectures import Shape, write_architecture

NAME = ModelName.parse("registry.example/library/tiny:latest")


def found(name: ModelName, transport: httpx.AsyncBaseTransport | None = None) -> RegistryModel:
    async def ask() -> RegistryModel:
        async with httpx.AsyncClient(transport=transport, timeout=5, trust_env=False) as client:
            return await registry_model(name, client, insecure=True)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "llama.gguf"
    write_architecture(file, "llama", Shape(layers=4, width=512, vocabulary=2000))
    return file


@pytest.mark.parametrize("first_range", [2**20, 100])
def test_a_part_of_the_file_is_enough(llama: Path, first_range: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_header, "_FIRST_RANGE", first_range)
    with Registry() as registry:
        registry.push("tiny:latest", llama)
        model = found(ModelName.parse(registry.reference("tiny")))
        served = registry.blob_bytes_served()
    assert model.header == read_header_of(llama)
    assert model.size == llama.stat().st_size > 10 * 2**20
    assert served <= 2**20


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)


MANIFEST = {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'0' * 64}", "size": 99}]}


@pytest.mark.parametrize(
    ("manifest", "kind", "said"),
    [
        (httpx.Response(404), NotFoundError, "HTTP 404"),
        (httpx.Response(401), RefusedError, "HTTP 401"),
        (httpx.Response(200, text="<html>"), RefusedError, "what it answers is not a model"),
        (httpx.Response(200, content=b"\xff\xfe"), RefusedError, "what it answers is not a model"),
        (httpx.Response(200, text="[]"), RefusedError, "its manifest names no GGUF"),
        (httpx.Response(200, text="[" * 100_000), RefusedError, "nested more than 64 deep"),
        (httpx.Response(200, text='{"layers": ' + "9" * 4000 + "}"), RefusedError, "a number of 4,000 digits"),
        (httpx.Response(200, json={"layers": 7}), RefusedError, "its manifest names no GGUF"),
        (
            httpx.Response(200, json={"layers": [MANIFEST["layers"][0] | {"digest": "../../x\x1b"}]}),
            RefusedError,
            r"its manifest has a layer '../../x\x1b' of 99 bytes",
        ),
    ],
)
def test_a_bad_manifest_is_one_clear_error(manifest: httpx.Response, kind: type[OllamaError], said: str) -> None:
    with pytest.raises(kind) as error:
        found(NAME, answering(lambda _: manifest))
    assert str(error.value).startswith(
        "reading what registry.example/library/tiny:latest is made of at registry.example"
    )
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (httpx.Response(206, content=b"<html>"), "the file begins with b'<htm', expected b'GGUF'"),
        (httpx.Response(206, content=b"GGUF\3\0\0\0"), "the file ends in its header"),
        (httpx.Response(200, content=b"GGUF"), "HTTP 200"),
        (httpx.Response(416), "HTTP 416"),
    ],
)
def test_a_bad_blob_is_one_clear_error(blob: httpx.Response, said: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return blob if "/blobs/" in request.url.path else httpx.Response(200, text=json.dumps(MANIFEST))

    with pytest.raises(RefusedError, match=said):
        found(NAME, answering(answer))


def test_a_registry_that_is_not_there() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(UnreachableError) as error:
        found(NAME, answering(answer))
    assert str(error.value).endswith(" at registry.example: refused")
