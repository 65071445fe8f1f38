"""A runner whose server was killed lives on: `drift` and `reclaim` tell it, `reclaim` ends it on a person's word."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from ollama_policy.cli import cli
from ollama_policy.live.runners.abandoned import Abandoned, abandoned_runners, end
from ollama_policy.live.runners.processes import of_server
from tests.engines.observing import call, pinned, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import kill_all
from tests.engines.toolchain import Ollama
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone, pytest.mark.both_engines]


@pytest.fixture
def server(engine: Ollama, tmp_path: Path, tiny: Path) -> Iterator[OllamaServer]:
    """A server that was started again after the one before it was killed, with `chat` pinned."""
    with OllamaServer(engine.program, tmp_path / "server") as server:
        server.create_from_gguf("chat", tiny)
        call(server, "chat", keep_alive=-1)
        left = server.runners()
        assert server.process
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        try:
            server.start()
            yield server
        finally:
            kill_all(left)


@pytest.fixture
def runner(server: OllamaServer) -> psutil.Process:
    """The one that the killed server has left."""
    [found] = [one for one in abandoned_runners() if str(server.folder) in one.path]
    return psutil.Process(found.pid)


def reclaim(server: OllamaServer, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["reclaim", "--host", server.url, *arguments])


def test_drift_tells_it_as_a_fact_and_the_command_that_it_shows_ends_it(
    server: OllamaServer, runner: psutil.Process, tmp_path: Path
) -> None:
    assert server.ps() == []
    call(server, "chat", keep_alive=-1)
    declared = tmp_path / "models.yaml"
    declared.write_text(json.dumps({"models": [{"name": "chat", "memory_management": "manual"}]}))

    def drift() -> list[dict[str, Any]]:
        said = CliRunner().invoke(cli, ["drift", "--host", server.url, "--format", "json", str(declared)]).stdout
        findings: list[dict[str, Any]] = json.loads(said)["findings"]
        return findings

    [found] = drift()
    assert found["rule"] == "OLL512"
    assert f"process {runner.pid} of " in found["message"]
    assert found["advice"] == f"ollama-policy reclaim --host {server.url}"
    [line] = [line for line in reclaim(server, "--plan").stdout.splitlines() if f"process {runner.pid} " in line]
    mib = float(line.split()[-3])
    assert mib == pytest.approx(runner.memory_info().rss / 2**20, rel=0.1)
    result = reclaim(server, "--yes")
    assert (result.exit_code, runner.is_running()) == (0, False), result.output
    assert f"1 abandoned runner ended ({runner.pid}): " in result.stdout
    assert (drift(), pinned(server), len(server.runners())) == ([], ["chat:latest"], 1)


def test_it_is_ended_on_a_person_s_word_alone(server: OllamaServer, runner: psutil.Process) -> None:
    planned = valid("reclaim", reclaim(server, "--plan", "--format", "json").stdout)
    [entry] = planned["abandoned"]
    assert (entry["pid"], entry["is_own"], entry["freed"]) == (runner.pid, True, None)
    asked = reclaim(server)
    assert (asked.exit_code, runner.is_running()) == (1, True), "nobody was there to be asked"
    done = valid("reclaim", reclaim(server, "--yes", "--format", "json").stdout)
    assert [(one["pid"], one["freed"]) for one in done["abandoned"]] == [(runner.pid, True)]
    wait_until(lambda: not runner.is_running(), "it has ended")


def test_what_is_of_another_user_is_told_and_left(
    server: OllamaServer, runner: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process of another user's, as far as the checker can tell: to make a real one takes a second account.
    monkeypatch.setattr("os.getuid", lambda: 123456)
    said = reclaim(server, "--yes")
    assert (said.exit_code, runner.is_running()) == (1, True)
    assert "who alone can end it" in said.stdout


def test_a_process_of_the_same_number_that_is_another_is_left(runner: psutil.Process) -> None:
    [found] = [one for one in abandoned_runners() if one.pid == runner.pid]
    assert end(found._replace(created=found.created - 1)) == ""
    assert runner.is_running()


def test_the_runners_of_a_server_that_lives_are_not_among_them(server: OllamaServer, runner: psutil.Process) -> None:
    call(server, "chat", keep_alive=-1)
    pids = {one.pid for one in abandoned_runners()}
    assert runner.pid in pids
    assert not pids & {one.pid for one in server.runners()}


def test_a_runner_of_another_folder_of_models_is_not_this_servers(
    server: OllamaServer, runner: psutil.Process, ollama: OllamaServer
) -> None:
    every: list[Abandoned] = abandoned_runners()
    assert runner.pid in {one.pid for one in of_server(server.url, every)}
    assert runner.pid not in {one.pid for one in of_server(ollama.url, every)}
