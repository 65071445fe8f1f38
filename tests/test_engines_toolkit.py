"""The tests' own registry, fakes, servers and stacks: first without any engine, then on the real ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engines import faulty_ollama
from tests.engines.errors import EngineError
from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import lives
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_embedding_only, write_llama
from tests.engines.toolchain import Engines, Ollama
from tests.promptness import assert_took_less

ROOT = Path(__file__).parents[1]


def test_registry_redirects_and_serves_ranges(tmp_path: Path) -> None:
    digest = write_llama(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    with Registry() as registry, httpx.Client(base_url=f"http://{registry.address}", trust_env=False) as client:
        manifest = registry.push("tiny", tmp_path / "tiny.gguf", params={"num_ctx": 512})
        layers = client.get("/v2/library/tiny/manifests/latest").json()["layers"]
        assert layers[0]["digest"] == digest
        assert layers[1]["mediaType"] == "application/vnd.ollama.image.params"
        blob = f"/v2/library/tiny/blobs/{digest}"
        assert client.head(blob).headers["Content-Length"] == str(len(content))
        redirect = client.get(blob)
        assert redirect.status_code == 307
        assert redirect.headers["Location"].startswith("http://localhost:")
        part = client.get(f"/data/{digest}", headers={"Range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, content[100:300])
        assert part.headers["Content-Range"] == f"bytes 100-299/{len(content)}"
        assert client.get(f"/data/{digest}").content == content
        assert client.get(f"/data/{digest}", headers={"Range": "bytes=999999999-"}).status_code == 416
        assert registry.blob_bytes_served(digest) == registry.blob_bytes_served() == 200 + len(content)
        assert client.get("/v2/library/none/manifests/latest").status_code == 404
        write_llama(tmp_path / "tiny.gguf", seed=1)
        assert registry.push("tiny:latest", tmp_path / "tiny.gguf") != manifest


def test_registry_stalls_and_throttles(tmp_path: Path) -> None:
    digest = write_llama(tmp_path / "tiny.gguf")
    size = (tmp_path / "tiny.gguf").stat().st_size
    with Registry() as registry, httpx.Client(base_url=f"http://{registry.address}", trust_env=False) as client:
        registry.push("tiny", tmp_path / "tiny.gguf")
        registry.stall.set()
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"/data/{digest}", timeout=0.2)
        assert registry.blob_bytes_served() == 0
        threading.Timer(0.1, registry.stall.clear).start()
        registry.bytes_per_second = size * 2
        began = time.monotonic()
        assert len(client.get(f"/data/{digest}").content) == size
        assert time.monotonic() - began > 0.4
        assert_took_less(2, began)


@pytest.fixture
def fake() -> Iterator[FakeOllamaWithFaults]:
    with FakeOllamaWithFaults() as fake:
        yield fake


def pull(fake: FakeOllamaWithFaults, fault: faulty_ollama.Fault, timeout: float = 5) -> tuple[list[str], str]:
    """The lines of one pull, and the name of the exception that ended it ("" for none)."""
    fake.answer("POST", "/api/pull", fault)
    lines: list[str] = []
    try:
        with httpx.stream("POST", f"{fake.url}/api/pull", json={"model": "tiny"}, timeout=timeout) as answer:
            lines.extend(answer.iter_lines())
    except httpx.HTTPError as error:
        return lines, type(error).__name__
    return lines, ""


def test_faults_of_a_pull_do_what_they_say(fake: FakeOllamaWithFaults) -> None:
    lines, ended = pull(fake, faulty_ollama.error_line("disk full"))
    assert (lines[-1], ended) == ('{"error": "disk full"}', "")
    assert pull(fake, faulty_ollama.cut_stream())[1] == "RemoteProtocolError"
    assert pull(fake, faulty_ollama.stall(), timeout=0.2)[1] == "ReadTimeout"
    lines, ended = pull(fake, faulty_ollama.no_success())
    assert ended == ""
    assert not any("success" in line for line in lines)
    lines, ended = pull(fake, faulty_ollama.garbage())
    assert ended == ""
    assert any(line.startswith("<html>") for line in lines)
    assert pull(fake, faulty_ollama.html())[0][0].startswith("<!DOCTYPE html>")
    assert len(fake.requests) == 6
    assert fake.requests[0].body == {"model": "tiny"}


def test_a_pull_without_progress_keeps_talking(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/pull", faulty_ollama.slow_no_progress(0.01))
    with httpx.stream("POST", f"{fake.url}/api/pull", json={}) as answer:
        lines = answer.iter_lines()
        assert len({next(lines) for _ in range(20)}) == 3


def test_cut_once_then_fine(fake: FakeOllamaWithFaults) -> None:
    faults = faulty_ollama.then(faulty_ollama.cut_stream(), faulty_ollama.fine_pull("sha256:" + "12" * 32))
    assert pull(fake, faults)[1] == "RemoteProtocolError"
    assert httpx.get(f"{fake.url}/api/tags").json() == {"models": []}
    assert httpx.post(f"{fake.url}/api/pull", json={"model": "tiny"}).text.endswith('{"status": "success"}\n')
    entries = httpx.get(f"{fake.url}/api/tags").json()["models"]
    assert [(entry["name"], entry["digest"]) for entry in entries] == [("tiny:latest", "12" * 32)]


def test_faults_of_plain_answers(fake: FakeOllamaWithFaults) -> None:
    fake.version = "0.1.20"
    assert httpx.get(f"{fake.url}/api/version").json() == {"version": "0.1.20"}
    fake.answer("GET", "/api/tags", faulty_ollama.half_json())
    with pytest.raises(ValueError, match="Unterminated"):
        httpx.get(f"{fake.url}/api/tags").json()
    fake.answer("GET", "/api/ps", faulty_ollama.status(503, {"error": "busy"}))
    assert httpx.get(f"{fake.url}/api/ps").status_code == 503
    assert httpx.get(f"{fake.url}/api/none").status_code == 404


PROGRAM = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    serialize_as_secret_always = False

    def create(self, props):
        return CreateResult("1", props)

class Nothing(Resource):
    def __init__(self, name, **props):
        super().__init__(Provider(), name, props)

Nothing("nothing", value=%r)
"""


@pytest.fixture(scope="module")
def real_ollama(engine: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaServer]:
    with OllamaServer(engine.program, tmp_path_factory.mktemp("ollama")) as server:
        yield server


@pytest.mark.engines
def test_real_ollama_pulls_and_logs(real_ollama: OllamaServer, tmp_path: Path) -> None:
    write_llama(tmp_path / "tiny.gguf")
    with Registry() as registry:
        digest = registry.push("tiny", tmp_path / "tiny.gguf", system="Be brief.")
        name = registry.reference("tiny")
        mark = real_ollama.mark()
        answer = real_ollama.call("POST", "/api/pull", {"model": name, "insecure": True})
        assert answer.text.endswith('{"status":"success"}\n')
        assert {entry["name"]: entry["digest"] for entry in real_ollama.tags()}[name] == digest
        assert registry.blob_bytes_served() > 200_000
        logged = real_ollama.requests(mark)
        assert [(request.method, request.path, request.status) for request in logged] == [("POST", "/api/pull", 200)]


@pytest.mark.engines
def test_real_ollama_goes_on_with_an_interrupted_pull(real_ollama: OllamaServer, tmp_path: Path) -> None:
    digest = write_llama(tmp_path / "big.gguf", layers=8, width=512, heads=8)
    size = (tmp_path / "big.gguf").stat().st_size
    with Registry() as registry:
        registry.push("big", tmp_path / "big.gguf")
        body = {"model": registry.reference("big"), "insecure": True}
        registry.bytes_per_second = size / 4
        with httpx.stream("POST", f"{real_ollama.url}/api/pull", json=body) as answer:
            for _ in answer.iter_lines():
                if registry.blob_bytes_served(digest) > size / 4:
                    break
        registry.bytes_per_second = None
        assert real_ollama.call("POST", "/api/pull", body).text.endswith('{"status":"success"}\n')
        # The second pull asks only for the rest.
        assert size <= registry.blob_bytes_served(digest) < size * 1.2


@pytest.mark.engines
@pytest.mark.both_engines
def test_real_ollama_loads_and_is_killed_with_its_runner(real_ollama: OllamaServer, tmp_path: Path) -> None:
    write_llama(tmp_path / "tiny.gguf", seed=2)
    real_ollama.create_from_gguf("mine", tmp_path / "tiny.gguf", parameters={"num_predict": 3})
    answer = real_ollama.call("POST", "/api/generate", {"model": "mine", "prompt": "a", "stream": False})
    assert answer.json()["eval_count"] == 3
    assert [entry["name"] for entry in real_ollama.ps()] == ["mine:latest"]
    (runner,) = real_ollama.runners()
    assert real_ollama.runner_resident_bytes() > 1_000_000
    url = real_ollama.url
    real_ollama.kill()
    assert not lives(runner)
    real_ollama.start()
    assert (real_ollama.url, real_ollama.ps()) == (url, [])
    assert "mine:latest" in [entry["name"] for entry in real_ollama.tags()]


@pytest.mark.engines
def test_an_embedding_model_embeds_and_does_not_generate(real_ollama: OllamaServer, tmp_path: Path) -> None:
    write_embedding_only(tmp_path / "bert.gguf")
    real_ollama.create_from_gguf("bert", tmp_path / "bert.gguf")
    assert real_ollama.call("POST", "/api/generate", {"model": "bert", "prompt": "a"}).status_code == 400
    embedded = real_ollama.call("POST", "/api/embed", {"model": "bert", "input": "Hello"})
    assert len(embedded.json()["embeddings"][0]) == 64


@pytest.mark.engines
def test_a_program_applies_once(engines: Engines, tmp_path: Path) -> None:
    with PulumiStack(engines, tmp_path, PROGRAM % 1, {}) as stack:
        assert stack.up().changes == {"create": 2}
        again = stack.up()
        assert again.changes == {"same": 2}
        assert again.steps[-1].urn.endswith("::nothing")
        stack.set_program(PROGRAM % 2)
        assert stack.preview().changes == {"same": 1, "update": 1}
        assert len(stack.export()["deployment"]["resources"]) == 3
        stack.set_program("1 / 0")
        with pytest.raises(EngineError, match="ZeroDivisionError"):
            stack.up()
        assert stack.destroy().changes == {"delete": 2}
        assert stack.strays() == []
