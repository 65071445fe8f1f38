"""Ollama's own processes on this machine: the one that listens at an address, and the runners that it started."""

import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import psutil


class Memory(NamedTuple):
    """Resident bytes (RSS), of the server itself and of all its runners."""

    server: int
    runners: int

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
            words = "psutil is not installed: pip install 'ollama-iac[report]'"
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

    def memory(self) -> Memory:
        """What is resident now; a process that has ended counts as 0."""
        return Memory(self._resident(self._server), sum(map(self._resident, self.runners())))

    def runners(self) -> "list[psutil.Process]":
        try:
            return self._server.children(recursive=True)
        except self._psutil.Error:
            return []

    def models_folder(self) -> Path:
        """Where the server keeps its models, by its own environment. Raises UnseenError where that is not shown."""
        try:
            environment = self._server.environ()
        except self._psutil.Error:
            raise UnseenError("the server's environment is not this user's to see") from None
        given = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
        home = environment.get("HOME") or environment.get("USERPROFILE") or ""
        return Path(given) if given else Path(home) / ".ollama" / "models"

    def _listening(self, port: int) -> int | None:
        for process in self._psutil.process_iter():
            try:
                connections = process.net_connections("tcp")
            except self._psutil.Error:
                continue
            if any(one.status == self._psutil.CONN_LISTEN and one.laddr.port == port for one in connections):
                return int(process.pid)
        return None

    def _resident(self, process: "psutil.Process") -> int:
        try:
            return int(process.memory_info().rss)
        except self._psutil.Error:
            return 0


def _is_here(host: str) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)
