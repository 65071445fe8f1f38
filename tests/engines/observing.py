"""What tests look at on a real server: pins, loads and pulls counted in its own log, and its state moment by moment."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from ollama_provider.ollama import durations
from tests.engines.ollama_server import OllamaServer

NOTHING_ANSWERS = (
    "no connection: nothing answers there (connection refused); start Ollama there, or correct its address (`host` "
    "where it is declared, OLLAMA_HOST, or --host of a command)"
)


def pinned(server: OllamaServer) -> list[str]:
    """The names that /api/ps shows as never expiring."""
    return [model["name"] for model in server.ps() if durations.is_for_ever(durations.parse_time(model["expires_at"]))]


def resident(server: OllamaServer) -> list[str]:
    return [model["name"] for model in server.ps()]


def installed(server: OllamaServer) -> dict[str, str]:
    """Names and manifest digests on disk."""
    return {model["name"]: model["digest"] for model in server.tags()}


def seconds_left(server: OllamaServer, name: str) -> float:
    [expiry] = [durations.parse_time(model["expires_at"]) for model in server.ps() if model["name"] == name]
    return (expiry - datetime.now(UTC)).total_seconds()


def count(server: OllamaServer, since: int, path: str) -> int:
    """Requests to a path in the server's own log. A load or an unload is one to /api/generate or /api/embed."""
    return sum(request.path == path for request in server.requests(since))


def call(server: OllamaServer, name: str, **fields: object) -> None:
    """What a client does: one generation of a few tokens, with whatever it brings along."""
    body = {"model": name, "prompt": "hello", "stream": False, "options": {"num_predict": 2}} | fields
    server.call("POST", "/api/generate", body).raise_for_status()


def wait_until(condition: object, what: str, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Moment:
    """A server as it was at one time: names on disk, names pinned, and how many runner processes there were."""

    installed: frozenset[str]
    pinned: frozenset[str]
    digests: frozenset[str]
    runners: int


@contextlib.contextmanager
def watching(server: OllamaServer) -> Iterator[list[Moment]]:
    """Looks at a server every few milliseconds until the block ends, and gives all that was seen, in order."""
    moments: list[Moment] = []
    done = threading.Event()

    def look() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not done.wait(0.005):
                # Pins before names: what is gone from disk in the second answer was pinned, or not, before that.
                running = client.get("/api/ps").json()["models"]
                names = client.get("/api/tags").json()["models"]
                forever = [m for m in running if durations.is_for_ever(durations.parse_time(m["expires_at"]))]
                moments.append(
                    Moment(
                        installed=frozenset(model["name"] for model in names),
                        pinned=frozenset(model["name"] for model in forever),
                        digests=frozenset(model["digest"] for model in running),
                        runners=len(running),
                    )
                )

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield moments
    finally:
        done.set()
        thread.join()
