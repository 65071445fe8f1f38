"""The report of a real server: what it measured, what it holds, and that it leaves the server as it was."""

import html
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ollama_policy.commands.report.command import Request, run
from tests.engines.observing import pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.running import policy
from tests.engines.toolchain import Ollama

pytestmark = pytest.mark.engines


def report(*arguments: str) -> tuple[int, str]:
    return policy("report", *arguments)


@pytest.fixture
def opened() -> Iterator[Counter[str]]:
    """How often this process opens which file, by Python's own audit events; a hook cannot be taken away again."""
    counted: Counter[str] = Counter()
    is_on = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if is_on and event == "open":
            counted[str(arguments[0])] += 1

    sys.addaudithook(hook)
    yield counted
    is_on = False


@pytest.fixture
def model(ollama: OllamaServer, tiny: Path) -> str:
    ollama.create_from_gguf("tiny", tiny, parameters={"num_thread": 1})
    return "tiny"


def hold(ollama: OllamaServer, model: str) -> None:
    ollama.call("POST", "/api/generate", {"model": model, "keep_alive": -1}).raise_for_status()


def test_a_page_of_measured_calls_and_of_what_is_held(
    ollama: OllamaServer, engine: Ollama, model: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    code, text = report("--host", ollama.url, "--model", model, "--calls", "40", "-o", str(file))
    assert code == 0, text
    page = file.read_text(encoding="utf-8")
    ElementTree.fromstring(page.partition("\n")[2])  # noqa: S314 - our own
    for expected in (
        f"Ollama {engine.version} at",
        "calls 2 to 20, prompts that differ",
        "calls 21 to 40, one prompt",
        "released: timer ran out",
        "loaded again",
        "released: unload",
    ):
        assert expected in page
    assert "0 models in memory as it was found, 0 of them held" in page
    assert resident(ollama) == []


def test_memory_that_is_held_is_marked_and_remedies_follow(
    ollama: OllamaServer, model: str, tiny: Path, tmp_path: Path
) -> None:
    hold(ollama, model)
    ollama.call("DELETE", "/api/delete", {"model": model}).raise_for_status()  # its runner is an orphan now
    (tmp_path / "main.tf").write_text('resource "ollama_model" "m" {\n  name = "tiny"\n}\n')
    code, text = report(str(tmp_path), "--host", ollama.url, "--format", "markdown")
    assert code == 1, text
    assert "HELD: pinned, orphan: no name reaches it" in text
    assert "OLL507 orphan" in text
    assert "OLL501 missing-model" in text
    assert "OLL001 automatic-without-bound" in text
    assert "## Does it fit" in text
    assert "| tiny:latest | " in text
    assert "**Free what no name reaches.**" in text
    assert "**Bound keep\\_alive.**" in text
    assert pinned(ollama) == ["tiny:latest"]  # a report frees nothing


def test_a_probe_from_a_file_needs_no_server(ollama: OllamaServer, model: str, tmp_path: Path) -> None:
    hold(ollama, model)
    file = tmp_path / "probe.json"
    arguments = ["probe", model, "--host", ollama.url, "--calls", "40", "--format", "json", "-o", str(file)]
    subprocess.run([sys.executable, "-m", "ollama_policy", *arguments], timeout=120, check=False)
    code, text = report("--from", str(file), "--format", "svg")
    assert code == 0, text
    picture = ElementTree.fromstring(text.partition("\n")[2])  # noqa: S314 - our own
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert "was loaded before" in text
    assert pinned(ollama) == ["tiny:latest"]


def test_what_bench_measured_is_shown_beside(ollama: OllamaServer, model: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    rounds = ("--rounds", "4", "--calls", "2", "--tokens", "2")
    code, text = policy("bench", "pinned", model, "--host", ollama.url, *rounds, "--format", "json", "-o", str(file))
    assert code == 0, text
    code, text = report("--host", ollama.url, "--bench", str(file), "--format", "markdown")
    assert code == 0, text
    assert "## Before and after" in text
    assert "| latency p50 | " in text
    file.write_text('{"version": 1}')
    code, text = report("--host", ollama.url, "--bench", str(file))
    assert (code, text.count("\n")) == (2, 1)
    assert "bench.json: a comparison in which $ is wrong" in text


def test_a_server_that_is_not_there_and_a_model_that_is_not_there(ollama: OllamaServer) -> None:
    code, text = report("--host", "127.0.0.1:1", "--model", "tiny")
    assert code == 2, text
    assert "could not be looked at: no connection" in text
    code, text = report("--host", ollama.url, "--model", "none")
    assert (code, "it is not on the server" in text, "Traceback" in text) == (2, True, False), text


def test_ctrl_c_leaves_the_server_as_it_was(ollama: OllamaServer, model: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    arguments = ["report", "--host", ollama.url, "--model", model, "--calls", "100000", "-o", str(file)]
    with subprocess.Popen([sys.executable, "-m", "ollama_policy", *arguments], stderr=subprocess.PIPE) as started:
        until(lambda: bool(resident(ollama)))
        started.send_signal(signal.SIGINT)
        _, problem = started.communicate(timeout=60)
    assert started.returncode == 130, problem
    assert b"Traceback" not in problem
    assert not file.exists()
    until(lambda: not resident(ollama))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_look_at_the_server_and_one_read_of_the_tree(
    ollama: OllamaServer, model: str, tmp_path: Path, opened: Counter[str]
) -> None:
    hold(ollama, model)
    source = tmp_path / "main.tf"
    source.write_text(
        'resource "ollama_model" "m" {\n  name              = "tiny"\n  memory_management = "manual"\n}\n'
    )
    since = ollama.mark()
    opened.clear()
    output = tmp_path / "report.html"
    assert run(Request((str(tmp_path),), host=ollama.url, output=str(output))) in (0, 1)
    asked = Counter(request.path for request in ollama.requests(since))
    assert asked == {"/api/version": 1, "/api/tags": 1, "/api/ps": 1, "/api/show": 1}
    assert opened[str(source)] == 1
    text = output.read_text()
    assert "Does it fit" in text
    code, told = policy("remedies", str(tmp_path), "--host", ollama.url, "--format", "json")
    assert code in (0, 1), told
    for one in json.loads(told)["remedies"]:
        assert not one["recommended"] or html.escape(one["title"], quote=False) in text
