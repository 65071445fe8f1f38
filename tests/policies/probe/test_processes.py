"""Which process of this machine is the server at an address."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from ollama_policy.live.runners.processes import Processes, UnseenError


def test_of_a_machines_processes_those_that_are_named_so_are_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is asked costs a list of all connections of the machine: 1.4 s of processor time for 120 processes."""
    asked: list[str] = []

    class Address(NamedTuple):
        port: int

    class Connection(NamedTuple):
        laddr: Address
        status: str = psutil.CONN_LISTEN

    class StandIn:
        def __init__(self, name: str | None) -> None:
            self.pid = psutil.Process().pid
            self.info = {"name": name}

        def net_connections(self, kind: str) -> list[Connection]:
            asked.append(self.info["name"] or "")
            return [Connection(Address(port))] if self.info["name"] == "ollama" else []

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        stand_ins = [StandIn(name) for name in ("init", None, "python3", "ollama", "llama-server")]
        monkeypatch.setattr(psutil, "process_iter", lambda attrs: iter(stand_ins))
        Processes(f"http://127.0.0.1:{port}")
    assert asked == ["ollama"]


_LISTENS = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["ollama", "ssh"])
def test_what_a_server_runs_with_is_its_own_processs_and_no_tunnels(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to(Path(sys.executable).resolve())
    environment = {"LLAMA_ARG_CACHE_RAM": "32", "OLLAMA_API_KEY": "secret"}
    with subprocess.Popen([program, "-c", _LISTENS], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            processes = Processes(f"http://127.0.0.1:{int(process.stdout.readline())}")
            if name == "ollama":
                assert processes.variables() == {"LLAMA_ARG_CACHE_RAM": "32"}
            else:
                with pytest.raises(UnseenError):
                    processes.variables()
        finally:
            process.kill()
