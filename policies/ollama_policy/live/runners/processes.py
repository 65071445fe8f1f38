"""Ollama's own processes on this machine: the one that listens at an address, and the runners that it started.

Counted is what a process has for itself: anonymous and swapped pages, RssAnon + VmSwap of /proc/PID/status. What the
kernel swaps out has not come back, and the pages of a file that is mapped are the file's. Where there is no /proc,
resident memory is counted.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from ollama_policy.live.runners.abandoned import Abandoned
from ollama_policy.live.runners.runner import VARIABLES, Runner, runner_of
from ollama_provider.ollama.names import ModelName

if TYPE_CHECKING:
    import psutil

_PROC: Final = Path("/proc")
_OWN_PAGES: Final = re.compile(rb"^(?:RssAnon|VmSwap):\s*(\d+) kB$", re.MULTILINE)
OWN_PAGES = "anonymous and swapped"
RESIDENT = "resident"
_UNSEEN_ENVIRONMENT: Final = "the server's environment is not this user's to see"


class Memory(NamedTuple):
    """Bytes of the server itself and of its runners, and the process of the one that was asked for."""

    server: int
    runners: int
    runner: Runner | None = None

    @property
    def total(self) -> int:
        return self.server + self.runners


class UnseenError(Exception):
    """The processes cannot be seen, and why, in words for the person who asked."""


class Processes:
    """The processes of the server at an address. Raises UnseenError where this machine does not show them."""

    def __init__(self, url: str) -> None:
        try:
            import psutil  # noqa: PLC0415 - of the extra `report`
        except ImportError:
            words = "psutil is not installed: python -m pip install 'psutil>=6'"
            raise UnseenError(words) from None
        self._psutil = psutil
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if not _is_here(parts.hostname or ""):
            raise UnseenError(f"{parts.hostname} is another machine: only what its API says can be seen")
        pid = self._listening(port)
        if pid is None:
            words = (
                f"the process that listens on port {port} is not this user's: a container, or another user's service"
            )
            raise UnseenError(words)
        self._server = psutil.Process(pid)
        self._known: Runner | None = None
        self.counts = OWN_PAGES if _own_pages(pid) is not None else RESIDENT

    def memory(self) -> Memory:
        """What is held now, by the server and all its runners; a process that has ended counts as 0."""
        return Memory(self._held(self._server), sum(map(self._held, self.runners())))

    def memory_of(self, name: ModelName, blob: str) -> Memory:
        """As `memory`, of the server and the model's own runner alone: what is held for it, and 0 where it has none.

        `blob` is the digest of its weights, empty where it is not known. A runner whose command line does not name
        the model is taken for it only where the server has no other.
        """
        known = self._known
        if known is None or not known.holds(name, blob) or not self._psutil.pid_exists(known.pid):
            self._known = self._runner_of(name, blob)
        runner = self._known
        held = 0 if runner is None else self._held_by(runner.pid)
        return Memory(self._held(self._server), held, runner)

    def runners(self) -> "list[psutil.Process]":
        try:
            return self._server.children(recursive=True)
        except self._psutil.Error:
            return []

    def known_runners(self) -> list[Runner]:
        """The runners whose command line says what they are."""
        found = []
        for process in self.runners():
            try:
                runner = runner_of(process.pid, process.cmdline())
                if runner is not None:
                    found.append(runner._replace(environment=self._environment(process)))
            except self._psutil.Error:
                continue
        return found

    def models_folder(self) -> Path:
        """Where the server keeps its models, by its own environment. Raises UnseenError where that is not shown."""
        try:
            environment = self._server.environ()
        except self._psutil.Error:
            raise UnseenError(_UNSEEN_ENVIRONMENT) from None
        given = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
        home = environment.get("HOME") or environment.get("USERPROFILE") or ""
        return Path(given) if given else Path(home) / ".ollama" / "models"

    def variables(self) -> dict[str, str]:
        """What of VARIABLES the server itself runs with, and so its runners.

        Raises UnseenError where its environment is not shown, or another program, such as a tunnel, listens there.
        """
        environment = self._environment(self._server) if self._is_ollama() else None
        if environment is None:
            raise UnseenError(_UNSEEN_ENVIRONMENT)
        return environment

    def variable(self, name: str) -> str:
        """What a variable is in the server's environment; empty where it is not set. Raises UnseenError."""
        try:
            if self._is_ollama():
                return self._server.environ().get(name, "")
        except self._psutil.Error:
            pass
        raise UnseenError(_UNSEEN_ENVIRONMENT)

    def _is_ollama(self) -> bool:
        try:
            return "ollama" in self._server.name().lower()
        except self._psutil.Error:
            return False

    def _runner_of(self, name: ModelName, blob: str) -> Runner | None:
        found = self.known_runners()
        fitting = [one for one in found if one.holds(name, blob)]
        if fitting:
            return fitting[-1]
        return found[0] if len(found) == 1 and not (blob and found[0].blob) else None

    def _environment(self, process: "psutil.Process") -> dict[str, str] | None:
        """What its memory depends on, and nothing else: an environment has secrets in it."""
        try:
            return {name: value for name, value in process.environ().items() if name in VARIABLES}
        except self._psutil.Error:
            return None

    def _listening(self, port: int) -> int | None:
        # The kernel lists all connections of the machine for each process that is asked: those named so come first.
        processes = self._psutil.process_iter(["name"])
        for process in sorted(processes, key=lambda process: "ollama" not in (process.info["name"] or "").lower()):
            try:
                connections = process.net_connections("tcp")
            except self._psutil.Error:
                continue
            if any(one.status == self._psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
                return int(process.pid)
        return None

    def _held(self, process: "psutil.Process") -> int:
        return self._held_by(process.pid)

    def _held_by(self, pid: int) -> int:
        if self.counts == OWN_PAGES:
            return _own_pages(pid) or 0
        try:
            return int(self._psutil.Process(pid).memory_info().rss)
        except self._psutil.Error:
            return 0


def _own_pages(pid: int) -> int | None:
    """RssAnon + VmSwap in bytes; None where the kernel does not tell: no Linux, or the process has ended."""
    try:
        status = (_PROC / str(pid) / "status").read_bytes()
    except OSError:
        return None
    found = _OWN_PAGES.findall(status)
    return sum(map(int, found)) * 1024 if found else None


def of_server(url: str, every: Sequence[Abandoned]) -> list[Abandoned]:
    """Those whose weights are in the folder of models of the server at an address; of a folder not to be seen, all."""
    if not every:
        return []
    try:
        folder = Processes(url).models_folder()
    except UnseenError:
        folder = None
    return [one for one in every if folder is None or Path(one.path).parent == folder / "blobs"]


def _is_here(host: str) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


def variables_of(url: str) -> dict[str, str] | None:
    """What memory depends on in the environment of a server's process; None where that does not show it."""
    try:
        return Processes(url).variables()
    except UnseenError:
        return None
