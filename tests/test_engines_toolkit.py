"""The tests' own tools: first without any engine, then on the real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.engines import build, faulty_ollama, headers, toolchain
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.engines.locking import locked
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import child_setup, lives
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.recipes import BRIDGE, OLLAMA, PULUMI, PULUMI_COMPANIONS
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_embedding_only, write_llama
from tests.engines.toolchain import Engines, find_or_build
from tests.promptness import assert_took_less

ROOT = Path(__file__).parents[1]


def script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH besides the shell's, with an empty cache beside it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


def test_finds_fit_tools_on_path(bin_folder: Path) -> None:
    ollama = script(bin_folder, "ollama", "echo 'Warning: could not connect'; echo 'Warning: client version is 0.10.0'")
    pulumi = script(bin_folder, "pulumi", "echo v3.200.1")
    for name in PULUMI_COMPANIONS:
        script(bin_folder, name, "")
    engines = find_or_build(pytest.fail)
    assert engines == Engines(ollama, pulumi, (bin_folder,))
    path = engines.environment({"PATH": "/usr/bin", "A": "b"})["PATH"].split(os.pathsep)
    assert path == [str(Path(sys.executable).parent), str(bin_folder), "/usr/bin"]


@pytest.mark.parametrize(("said", "code"), [("0.9.9", 0), ("0.17.4", 1), ("no number", 0)])
def test_an_unfit_tool_is_not_taken(bin_folder: Path, said: str, code: int) -> None:
    script(bin_folder, "ollama", f"echo ollama version is {said}; exit {code}")
    assert toolchain.find_ollama() is None


def test_pulumi_without_its_companions_is_not_taken(bin_folder: Path) -> None:
    script(bin_folder, "pulumi", "echo v3.259.0")
    assert toolchain.find_pulumi() is None


def test_no_go_and_an_old_go_are_one_clear_line(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "GO_FALLBACK", str(bin_folder))
    with pytest.raises(
        ToolchainError, match=r"^ollama is not on PATH .* there is no Go .*install ollama or Go 1.24.1$"
    ):
        build.find_go(OLLAMA)
    script(bin_folder, "go", "echo go1.22.0; echo local")
    with pytest.raises(ToolchainError, match=r"^\S+/go is go1.22.0, too old .* install Go 1.25.11$"):
        build.find_go(PULUMI)
    script(bin_folder, "go", "echo go1.22.0; echo auto")
    assert build.find_go(PULUMI) == bin_folder / "go"


def test_a_failed_build_shows_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = script(tmp_path, "go", '[ "$1" = env ] && { echo go1.26.0; exit; }; echo it broke here; exit 3')
    monkeypatch.setattr(build, "find_go", lambda engine: go)
    lines: list[str] = []
    folder = tmp_path / "cache" / PULUMI.folder
    with pytest.raises(ToolchainError, match=r"(?s)^pulumi 3.259.0: `.*` failed, log: .*it broke here"):
        build.build(PULUMI, folder, lines.append)
    assert not folder.exists()
    assert lines[0].startswith("pulumi 3.259.0: fetching modules, 0 s")


def test_a_module_is_replaced_where_a_recipe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_go", lambda engine: script(tmp_path, "go", "exit 3"))
    with pytest.raises(ToolchainError):
        build.build(BRIDGE, tmp_path / BRIDGE.folder, lambda line: None)
    [module] = tmp_path.rglob("go.mod")
    assert f"\nreplace {BRIDGE.builds[0].replace}\n" in module.read_text()


def test_missing_headers_that_cannot_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OLLAMA.headers
    monkeypatch.setattr(headers, "SYSTEM", tmp_path / "nothing")

    def offline(command: list[str], doing: str, cwd: Path) -> str:
        raise ToolchainError("no network")

    with pytest.raises(ToolchainError, match=r"install the packages nlohmann-json3-dev libstb-dev \(no network\)$"):
        headers.include_folder(OLLAMA.headers, tmp_path, lambda file: tmp_path, offline)


def test_an_interrupted_build_stops_its_whole_group(tmp_path: Path) -> None:
    script(tmp_path, "go", '[ "$1" = env ] && { echo go1.26.0; exit; }; sleep 60 & echo $! > "$PIDS"; wait')
    pids = tmp_path / "pids"
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "XDG_CACHE_HOME": str(tmp_path),
        "PIDS": str(pids),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
    )
    while not (pids.exists() and pids.read_text()):
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert_took_less(1.5, began)
    assert process.returncode == 1
    assert said.endswith("the next run goes on from here\n")
    assert not psutil.pid_exists(child := int(pids.read_text())) or not lives(psutil.Process(child))


def test_a_second_builder_waits_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tool-1.lock"
    code = (
        "import sys, time; from pathlib import Path; from tests.engines.locking import locked\n"
        "with locked(Path(sys.argv[1]), print, 5): print('held', flush=True); time.sleep(2)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        lines: list[str] = []
        with pytest.raises(ToolchainError, match="gave up waiting"), locked(path, lines.append, deadline=0.05):
            pass
        with locked(path, lines.append, deadline=60):
            assert holder.wait(30) == 0
    assert lines[0] == "tool-1: another process is building it, waiting, 0 s"


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
def real_engines() -> Engines:
    return find_or_build(lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="module")
def real_ollama(real_engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaServer]:
    with OllamaServer(real_engines.ollama, tmp_path_factory.mktemp("ollama")) as server:
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
def test_a_program_applies_once(real_engines: Engines, tmp_path: Path) -> None:
    with PulumiStack(real_engines, tmp_path, PROGRAM % 1, {}) as stack:
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
