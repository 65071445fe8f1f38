"""`ollama-policy reclaim` on a real Ollama: orphans as clients make them, freed without a restart, and nothing else."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from ollama_policy.cli import cli
from ollama_policy.commands.reclaim import reloading
from ollama_policy.commands.reclaim.command import Request, run
from ollama_policy.live.runners import processes
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.sizes import text_of
from tests.engines.observing import call, installed, pinned, resident, seconds_left, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.tiny_models import sha256
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.both_engines]
CACHING = {"layers": 16, "width": 128, "heads": 8, "kv_heads": 8}
PROGRAM = Path(sys.executable).parent / "ollama-policy"


@pytest.fixture
def reclaim(ollama: OllamaServer) -> Callable[..., Result]:
    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(cli, ["reclaim", "--host", ollama.url, *map(str, arguments)])

    return run


@pytest.fixture
def declare(tmp_path: Path) -> Callable[..., Path]:
    """Writes declarations, by model name, and gives their folder."""

    def write(**models: str) -> Path:
        folder = tmp_path / "declared"
        folder.mkdir(exist_ok=True)
        blocks = [
            f'resource "ollama_model" "{name}" {{\n  name = "{name}"\n  memory_management = "manual"\n{more}\n}}\n'
            for name, more in models.items()
        ]
        (folder / "models.tf").write_text("".join(blocks))
        return folder

    return write


def pin(server: OllamaServer, name: str) -> None:
    call(server, name, keep_alive=-1)


def delete(server: OllamaServer, name: str) -> None:
    server.call("DELETE", "/api/delete", {"model": name}).raise_for_status()


def derive(server: OllamaServer, name: str, base: str, **fields: Any) -> None:
    body = {"model": name, "from": base, "stream": False, **fields}
    server.call("POST", "/api/create", body).raise_for_status()


def upload(server: OllamaServer, file: Path) -> None:
    """Leaves the weights on the server under no name, as OLLAMA_NOPRUNE or an upload that was cut off do."""
    url = f"{server.url}/api/blobs/{sha256(file)}"
    httpx.post(url, content=file.read_bytes(), trust_env=False).raise_for_status()


def weights_of(server: OllamaServer, name: str, folder: Path) -> Path:
    """A copy of the file that a model of the library runs: some versions write an uploaded one anew."""
    models = server.folder / "models"
    manifest = json.loads((models / "manifests/registry.ollama.ai/library" / name / "latest").read_bytes())
    [digest] = [layer["digest"] for layer in manifest["layers"] if layer["mediaType"].endswith("image.model")]
    return shutil.copyfile(models / "blobs" / digest.replace(":", "-"), folder / name)


def report_of(result: Result) -> dict[str, Any]:
    report: dict[str, Any] = valid("reclaim", result.stdout)
    return report


def test_a_pinned_model_that_was_deleted_goes_through_another_name_and_its_process_ends(
    ollama: OllamaServer, reclaim: Callable[..., Result], tiny: Path
) -> None:
    ollama.create_from_gguf("gone", tiny)
    derive(ollama, "twin", "gone", system="be brief")
    pin(ollama, "gone")
    delete(ollama, "gone")
    [runner] = ollama.runners()
    resident_bytes = runner.memory_info().rss
    planned = reclaim("--plan")
    assert planned.exit_code == 1
    assert "orphan: its name is not on disk any more\n    through twin:latest, on the same weights\n" in planned.stdout
    held = text_of(ollama.ps()[0]["size"])
    assert planned.stdout.startswith(f"{ollama.url}: 1 of 1 model in memory to free, {held}\n")
    assert pinned(ollama) == ["gone:latest"], "a dry run frees nothing"
    asked = reclaim()
    assert (asked.exit_code, pinned(ollama)) == (1, ["gone:latest"]), "nobody was there to be asked"
    assert "give --yes" in asked.stderr
    assert run(Request((), Connection(ollama.url)), lambda: False) == 1
    assert pinned(ollama) == ["gone:latest"], "and who was asked said no"
    result = reclaim("--yes")
    assert result.exit_code == 0, result.output
    assert f"freed 1 of 1, {held} by Ollama's count: /api/ps shows them no more\n" in result.stdout
    [said] = re.findall(rf"1 runner process ended \({runner.pid}\): ([\d.]+) MiB resident\n", result.stdout)
    assert float(said) == pytest.approx(resident_bytes / 2**20, rel=0.1)
    assert (ollama.ps(), ollama.runners(), list(installed(ollama))) == ([], [], ["twin:latest"])
    assert reclaim("--yes").exit_code == 0


def test_a_pinned_name_that_was_made_anew_loses_its_old_runner_and_keeps_the_new_one(
    ollama: OllamaServer, reclaim: Callable[..., Result], declare: Callable[..., Path], ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("moved", ggufs(1))
    derive(ollama, "other", "moved", system="be brief")
    pin(ollama, "moved")
    ollama.create_from_gguf("moved", ggufs(2))
    pin(ollama, "moved")
    assert pinned(ollama) == ["moved:latest", "moved:latest"]
    new = installed(ollama)["moved:latest"]
    result = reclaim("--yes", "--format", "json", declare(moved=""))
    assert result.exit_code == 0, result.output
    assert [(entry["why"], entry["freed"]) for entry in report_of(result)["entries"]] == [("moved", True)]
    assert [model["digest"] for model in ollama.ps()] == [new]
    assert pinned(ollama) == ["moved:latest"]
    assert len(ollama.runners()) == 1


def test_a_name_that_was_made_anew_on_the_same_weights_is_its_own_way(
    ollama: OllamaServer, reclaim: Callable[..., Result], tiny: Path
) -> None:
    ollama.create_from_gguf("same", tiny)
    pin(ollama, "same")
    ollama.create_from_gguf("same", tiny, system="be brief")
    result = reclaim("--yes")
    assert result.exit_code == 0, result.output
    assert ollama.ps() == []


def test_weights_without_a_name_get_one_for_a_moment(
    ollama: OllamaServer, reclaim: Callable[..., Result], ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    weights = []
    for name, seed in (("one", 1), ("two", 2)):
        ollama.create_from_gguf(name, ggufs(seed))
        pin(ollama, name)
        weights.append(weights_of(ollama, name, tmp_path))
        delete(ollama, name)
    for file in weights:
        upload(ollama, file)
    result = reclaim("--yes")
    assert result.exit_code == 0, result.output
    assert (ollama.ps(), ollama.tags(), ollama.runners()) == ([], [], [])


def test_what_cannot_be_had_again_is_said_with_what_a_restart_costs(
    ollama: OllamaServer, reclaim: Callable[..., Result], declare: Callable[..., Path], ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("gone", ggufs(1))
    ollama.create_from_gguf("kept", ggufs(2))
    pin(ollama, "kept")
    pin(ollama, "gone")
    delete(ollama, "gone")
    result = reclaim("--yes", declare(kept=""))
    assert result.exit_code == 1
    assert "its weights are under no name of the server: only a restart frees it" in result.stdout
    host = f"OLLAMA_HOST={ollama.url} ollama"
    assert f"has them: {host} pull gone:latest && {host} stop gone:latest\n" in result.stdout
    assert "A restart of Ollama would end every runner: 1 model to load again, " in result.stdout
    assert "It loses the pins of kept:latest: apply their declarations after it." in result.stdout
    assert sorted(pinned(ollama)) == ["gone:latest", "kept:latest"]
    restart = report_of(reclaim("--plan", "--format", "json"))["restart"]
    assert [(model["name"], model["pinned"]) for model in restart["models"]] == [("kept:latest", True)]
    ollama.create_from_gguf("gone", ggufs(1))  # as a pull of it would
    assert reclaim("--yes").exit_code == 0
    assert reclaim("--yes", "--undeclared", declare(kept="")).exit_code == 0
    assert pinned(ollama) == ["kept:latest"]


def test_declarations_say_what_is_wanted_in_memory(
    ollama: OllamaServer, reclaim: Callable[..., Result], declare: Callable[..., Path], ggufs: Callable[..., Path]
) -> None:
    for seed, name in enumerate(("wanted", "unwanted", "unknown"), 1):
        ollama.create_from_gguf(name, ggufs(seed))
        pin(ollama, name)
    files = sorted(installed(ollama))
    sources = declare(wanted="", unwanted="  resident = false")
    assert reclaim("--yes").exit_code == 0
    assert len(pinned(ollama)) == 3, "without declarations nothing is unwanted"
    assert reclaim("--yes", "--undeclared").exit_code == 2
    assert reclaim("--yes", sources).exit_code == 0
    assert sorted(pinned(ollama)) == ["unknown:latest", "wanted:latest"]
    assert reclaim("--yes", "--undeclared", sources).exit_code == 0
    assert pinned(ollama) == ["wanted:latest"]
    assert sorted(installed(ollama)) == files


def test_an_orphan_that_serves_a_model_declared_resident_is_left_to_the_apply(
    ollama: OllamaServer, reclaim: Callable[..., Result], declare: Callable[..., Path], tiny: Path
) -> None:
    ollama.create_from_gguf("base", tiny)
    derive(ollama, "chat", "base", system="be brief")
    pin(ollama, "base")
    delete(ollama, "base")
    result = reclaim("--yes", declare(chat=""))
    assert result.exit_code == 1
    assert "left: chat:latest is declared resident and uses it" in result.stdout
    assert pinned(ollama) == ["base:latest"]


def test_without_the_processes_names_are_tried_and_no_other_runner_is_touched(
    ollama: OllamaServer,
    reclaim: Callable[..., Result],
    ggufs: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "_is_here", lambda host: False)  # as where the server is another machine
    ollama.create_from_gguf("busy", ggufs(1))
    ollama.create_from_gguf("idle", ggufs(2))
    ollama.create_from_gguf("gone", ggufs(3))
    derive(ollama, "zwilling", "gone", system="be brief")
    pin(ollama, "busy")
    pin(ollama, "gone")
    delete(ollama, "gone")
    result = reclaim("--yes")
    assert result.exit_code == 0, result.output
    assert "tried through idle:latest, on the same weights (of 2), as far as can be told" in result.stdout
    assert "cannot be seen: 127.0.0.1 is another machine" in result.stdout
    assert pinned(ollama) == resident(ollama) == ["busy:latest"]


def test_ctrl_c_in_the_middle_leaves_no_temporary_name(
    ollama: OllamaServer, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    ollama.create_from_gguf("gone", ggufs(7, layers=8, width=512))
    pin(ollama, "gone")
    weights = weights_of(ollama, "gone", tmp_path)
    # A random model soon ends its text; this form does not let it.
    long_list = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
    body = {"model": "gone", "prompt": "hello", "format": long_list, "options": {"num_predict": 100_000}}
    with httpx.stream("POST", f"{ollama.url}/api/generate", json=body, timeout=30, trust_env=False) as answer:
        tokens = answer.iter_lines()  # held: a generator that goes out of scope closes the answer
        next(tokens)
        delete(ollama, "gone")
        upload(ollama, weights)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OLLAMA_")}
        command = [str(PROGRAM), "reclaim", "--yes", "--host", ollama.url]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        wait_until(ollama.tags, "the temporary name is there")
        time.sleep(0.3)
        assert ollama.tags(), "the request in flight holds off the unload"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert ollama.tags() == []
    wait_until(lambda: not ollama.ps(), "what was asked to go goes when its last request ends")


def test_a_temporary_name_that_a_killed_run_has_left_is_removed(
    ollama: OllamaServer, reclaim: Callable[..., Result], tiny: Path
) -> None:
    ollama.create_from_gguf("gone:ollama-policy-reclaim-0123456789ab", tiny)
    result = reclaim("--yes")
    assert (result.exit_code, ollama.tags()) == (0, [])
    assert "1 temporary name removed" in result.stdout


@contextmanager
def long_call(server: OllamaServer, name: str, **fields: Any) -> Iterator[None]:
    """A call that goes on for as long as the block does."""
    long_list = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
    body = {"model": name, "prompt": "hello", "format": long_list, "options": {"num_predict": 100_000}} | fields
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=30, trust_env=False) as answer:
        tokens = answer.iter_lines()  # held: a generator that goes out of scope closes the answer
        next(tokens)
        yield


@pytest.fixture
def slow(ollama: OllamaServer, ggufs: Callable[..., Path]) -> str:
    """The name of a model with one thread, whose long call takes long, and whose prompt cache keeps 8 KiB a token."""
    ollama.create_from_gguf("slow", ggufs(7, **CACHING), parameters={"num_thread": 1})
    return "slow"


def grow(server: OllamaServer, name: str, **options: Any) -> None:
    """Calls after which there is something to give back: a runner that has not grown is not reloaded."""
    for number in range(10):
        call(server, name, prompt=f"{number} " + "abcdefgh " * 33, options={"num_predict": 2, **options})


def is_asked_to_go(server: OllamaServer) -> bool:
    return seconds_left(server, "slow:latest") <= 0


def test_a_reload_that_gives_up_leaves_the_pin_that_it_found(
    ollama: OllamaServer, slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pin(ollama, slow)
    grow(ollama, slow)
    [runner] = ollama.runners()
    with long_call(ollama, slow):
        assert reloading.run(reloading.Request([slow], Connection(ollama.url), is_agreed=True), None, 1.0) == 1
    said = capsys.readouterr().out
    assert "slow:latest: still in memory after 1 s: a request is in flight" in said
    assert "; it is pinned again; /api/ps shows it when the call in flight ends\n" in said
    wait_until(lambda: pinned(ollama) == ["slow:latest"], "the pin is there when the call ends")
    call(ollama, slow)
    assert pinned(ollama) == ["slow:latest"]
    assert [one.pid for one in ollama.runners()] == [runner.pid]


def test_a_reload_that_gives_up_leaves_the_rest_of_a_timer(
    ollama: OllamaServer, slow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call(ollama, slow, keep_alive="10m")
    grow(ollama, slow)
    with long_call(ollama, slow):
        assert reloading.run(reloading.Request([slow], Connection(ollama.url), is_agreed=True), None, 1.0) == 1
    assert re.search(
        r"; its timer is armed again, for (10m(\d+s)?|9m\d+s)\n",
        capsys.readouterr().out,
    )
    wait_until(lambda: seconds_left(ollama, "slow:latest") > 500, "the timer is there when the call ends")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_reload_that_is_cut_off_leaves_the_pin_that_it_found(
    ollama: OllamaServer, slow: str, sent: signal.Signals
) -> None:
    pin(ollama, slow)
    grow(ollama, slow)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OLLAMA_")}
    command = [str(PROGRAM), "reclaim", "--yes", "--host", ollama.url, "--reload", slow]
    with long_call(ollama, slow):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: is_asked_to_go(ollama), "the unload was asked for")
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
    assert "slow:latest: it is pinned again; /api/ps shows it when the call in flight ends\n" in said
    wait_until(lambda: pinned(ollama) == ["slow:latest"], "the pin is there when the call ends")


def test_a_pin_that_cannot_be_given_back_is_told_with_the_command_that_pins(
    ollama: OllamaServer, ggufs: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ollama.create_from_gguf("slow", ggufs(7, **CACHING), parameters={"num_thread": 2})
    # Loaded with an option that nothing shows: a load without it waits for the end of the call.
    options = {"num_predict": 100_000, "num_thread": 1}
    call(ollama, "slow", keep_alive=-1, options={"num_predict": 2, "num_thread": 1})
    grow(ollama, "slow", num_thread=1)
    with long_call(ollama, "slow", options=options):
        assert reloading.run(reloading.Request(["slow"], Connection(ollama.url), is_agreed=True), None, 1.0) == 1
    said = capsys.readouterr().out
    [(held, command)] = re.findall(r"; its (pin|timer) is lost: .* within 5 s; this \w+ it: (curl .*)\n", said)
    assert held == "pin"
    subprocess.run(shlex.split(command), check=True, capture_output=True, timeout=60)
    assert pinned(ollama) == ["slow:latest"]
