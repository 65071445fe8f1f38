"""A private, real Ollama on a free port, with models and home of its own."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from tests.engines.errors import EngineError
from tests.engines.processes import child_setup, kill_all, session
from tests.engines.tiny_models import sha256

START_WITHIN = 30.0
STOP_WITHIN = 10.0

# Ollama ignores an unknown query parameter and logs it: so the toolkit's own calls can be told from a test's.
_OWN = "by=toolkit"
_GIN = re.compile(r'^\[GIN\] [^|]*\|\s*(\d{3}) \|[^|]*\|[^|]*\| (\w+)\s+"([^"]*)"', re.MULTILINE)


@dataclass(frozen=True)
class LoggedRequest:
    """A request that the server has *finished*, as its own log has it; `path` includes the query."""

    method: str
    path: str
    status: int


class OllamaServer:
    """`with OllamaServer(binary, folder) as ollama:` or start() and stop(); the port stays over restarts.

    No OLLAMA_* or LLAMA_ARG_* variable of the caller reaches the server; `environment` adds what a test wants.
    """

    def __init__(self, binary: Path, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.binary = binary
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "ollama.log"
        self.process: subprocess.Popen[bytes] | None = None
        home = folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "LLAMA_ARG_"))},
            "HOME": str(home),
            "OLLAMA_MODELS": str(folder / "models"),
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            **(environment or {}),
        }
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._fences = itertools.count(1)
        atexit.register(self.kill)

    def __enter__(self) -> OllamaServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start and wait until it answers. Raises EngineError with the log's end after 30 s or when it exits."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.binary), "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
            )
        give_up = time.monotonic() + START_WITHIN
        while time.monotonic() < give_up and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if self._own("/api/version").is_success:
                    return
            time.sleep(0.05)
        self.kill()
        raise EngineError(f"Ollama did not start, log: {self.log}\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it as an operator would, SIGTERM; killed when that takes more than 10 s."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_WITHIN)
        self.kill()

    def kill(self) -> None:
        """SIGKILL of the server; its runners would live on, so they go too: all of its session, which it leads.

        One that was being started is no child that looks like a runner yet: so they are looked for after its end.
        """
        if self.process:
            self.process.kill()
            self.process.wait()
            kill_all(session(self.process.pid))
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._client.close()
        atexit.unregister(self.kill)

    def call(self, method: str, path: str, json: Any = None, timeout: float = 60) -> httpx.Response:
        """A request as any client would make it; it counts in requests()."""
        return self._client.request(method, path, json=json, timeout=timeout)

    def ps(self) -> list[dict[str, Any]]:
        """The entries of /api/ps; not counted in requests()."""
        answer = self._own("/api/ps")
        # Its handler breaks off where a runner goes in that very moment: see CrashedError.
        return models(self._own("/api/ps") if answer.status_code == 500 else answer)

    def tags(self) -> list[dict[str, Any]]:
        """The entries of /api/tags; not counted in requests()."""
        return models(self._own("/api/tags"))

    def create_from_gguf(self, name: str, gguf: Path, **fields: Any) -> None:
        """Upload the file and create `name` of it; `fields` go into /api/create. Raises EngineError."""
        digest = sha256(gguf)
        with gguf.open("rb") as content:
            uploaded = self._client.post(f"/api/blobs/{digest}?{_OWN}", content=content)
        body = {"model": name, "files": {gguf.name: digest}, "stream": False, **fields}
        created = self._client.post(f"/api/create?{_OWN}", json=body)
        for answer in (uploaded, created):
            if not answer.is_success or '"error"' in answer.text:
                raise EngineError(f"creating {name}: {answer.request.url.path} {answer.status_code} {answer.text}")

    def mark(self) -> int:
        """How many requests were finished so far: an argument for requests()."""
        return len(self.requests())

    def requests(self, since: int = 0) -> list[LoggedRequest]:
        """The finished requests in the server's own log, over all restarts, without the toolkit's own.

        The log's line is written just after the answer: a request of our own, waited for in the log, orders that.
        """
        self._fence()
        found = _GIN.findall(self.log.read_text(errors="replace")) if self.log.exists() else []
        logged = [LoggedRequest(method, path, int(status)) for status, method, path in found if _OWN not in path]
        return logged[since:]

    def runners(self) -> list[psutil.Process]:
        """The processes that hold models: children of this server."""
        if not self.process:
            return []
        try:
            return [child for child in psutil.Process(self.process.pid).children(recursive=True) if is_runner(child)]
        except psutil.NoSuchProcess:
            return []

    def runner_resident_bytes(self) -> int:
        """Sum of the runners' RSS, in bytes; one that ends meanwhile counts as 0."""
        total = 0
        for runner in self.runners():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += runner.memory_info().rss
        return total

    def _own(self, path: str) -> httpx.Response:
        return self._client.get(f"{path}?{_OWN}")

    def _fence(self) -> None:
        mark = f"{_OWN}&fence={os.getpid()}-{next(self._fences)}"
        try:
            self._client.get(f"/api/version?{mark}", timeout=30)
        except httpx.TransportError:
            return
        give_up = time.monotonic() + 30
        while f'{mark}"' not in self.log.read_text(errors="replace") and time.monotonic() < give_up:
            time.sleep(0.005)


def models(answer: httpx.Response) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = answer.raise_for_status().json()["models"]
    return entries


def is_runner(process: psutil.Process) -> bool:
    """Whether it holds a model: llama.cpp's server from 0.30 on; `ollama runner` before, and for MLX today."""
    try:
        command = process.cmdline()
    except psutil.Error:  # gone, or a zombie
        return False
    if not command or "--model" not in command:
        return False
    return Path(command[0]).name in ("llama-server", "llama-server.exe") or command[1] == "runner"


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
