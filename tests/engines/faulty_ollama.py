"""A fake Ollama, for faults that a real one does not produce on demand. Everything else is tested on a real one."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

DIGEST = "sha256:" + "ab" * 32
TOTAL = 1_000_000


@dataclass(frozen=True)
class Request:
    """A request as it came; `body` is its JSON, or None."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]


class Exchange(BaseHTTPRequestHandler):
    """One request and the means to answer it, well or badly."""

    server: _Server
    protocol_version = "HTTP/1.1"
    request_seen: Request

    @property
    def fake(self) -> FakeOllamaWithFaults:
        return self.server.fake

    def send(self, code: int, body: bytes, kind: str = "application/json; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, code: int, body: Any) -> None:
        self.send(code, json.dumps(body).encode())

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))

    def line(self, entry: dict[str, Any]) -> None:
        self.chunk(json.dumps(entry).encode() + b"\n")

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def progress(self, *parts: float) -> None:
        """Begin a pull's stream, with a line for each part of the whole."""
        self.begin_stream()
        self.line({"status": "pulling manifest"})
        for part in parts:
            self.completed(int(part * TOTAL))

    def completed(self, count: int) -> None:
        self.line({"status": f"pulling {DIGEST[7:19]}", "digest": DIGEST, "total": TOTAL, "completed": count})

    def finish(self) -> None:
        """The end of a good pull."""
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            self.line({"status": status})
        self.end_stream()

    def cut(self) -> None:
        """Close the connection at once, whatever was promised."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def client_stays(self, seconds: float) -> bool:
        """Wait; False as soon as the client has left or the fake is closed."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0 and not self.fake.closed.is_set():
            readable, _, _ = select.select([self.connection], [], [], min(rest, 0.05))
            if readable and self.connection.recv(1, socket.MSG_PEEK) == b"":
                return False
        return not self.fake.closed.is_set()

    def handle_request(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        self.request_seen = Request(self.command, path, body, dict(self.headers))
        self.fake.requests.append(self.request_seen)
        self.fake.answers.get((self.command, path), not_found)(self)

    do_GET = do_HEAD = do_POST = do_DELETE = handle_request

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: `requests` is the record."""


Fault = Callable[[Exchange], None]


class FakeOllamaWithFaults:
    """NOT an Ollama: a fake whose answer to each path can be replaced by a fault.

    `with FakeOllamaWithFaults() as fake: fake.answer("POST", "/api/pull", cut_stream())`. Without faults it knows
    /api/version, /api/tags and /api/ps, out of `version`, `tags` and `running`, which may be changed at any time.
    """

    def __init__(self, version: str = "0.17.4") -> None:
        self.version = version
        self.tags: list[dict[str, Any]] = []
        self.running: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.closed = threading.Event()
        self.answers: dict[tuple[str, str], Fault] = {
            ("GET", "/api/version"): lambda exchange: exchange.send_json(200, {"version": self.version}),
            ("GET", "/api/tags"): lambda exchange: exchange.send_json(200, {"models": self.tags}),
            ("GET", "/api/ps"): lambda exchange: exchange.send_json(200, {"models": self.running}),
        }
        self.server = _Server(("127.0.0.1", 0), Exchange)
        self.server.fake = self
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeOllamaWithFaults:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, fault: Fault) -> None:
        """Replace how one path is answered; the query does not count."""
        self.answers[method, path] = fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeOllamaWithFaults

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is an ordinary thing here."""


def not_found(exchange: Exchange) -> None:
    """As Ollama's router says it."""
    exchange.send(404, b"404 page not found", "text/plain")


def status(code: int, body: Any) -> Fault:
    """An HTTP status with a JSON body."""
    return lambda exchange: exchange.send_json(code, body)


def packed(packing: str, body: bytes) -> Fault:
    """An answer that says it is packed."""

    def fault(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Encoding", packing)
        exchange.send_header("Content-Length", str(len(body)))
        exchange.end_headers()
        exchange.wfile.write(body)

    return fault


def html(code: int = 200) -> Fault:
    """A web page, as a proxy or a portal would answer."""
    return lambda exchange: exchange.send(code, b"<!DOCTYPE html><html><body>Sign in</body></html>", "text/html")


def half_json() -> Fault:
    """200 with a complete body that is the first half of a JSON document."""
    return lambda exchange: exchange.send(200, b'{"models": [{"name": "tiny:lat')


def error_line(text: str) -> Fault:
    """An error inside a stream that began well, with HTTP 200."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1, 0.4)
        exchange.line({"error": text})
        exchange.end_stream()

    return fault


def cut_stream() -> Fault:
    """The connection closes in the middle of a chunked body, and of a line."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1, 0.4)
        exchange.chunk(b'{"status": "pulling ')
        exchange.cut()

    return fault


def stall() -> Fault:
    """Progress, then silence until the client leaves."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1, 0.4)
        while exchange.client_stays(1):
            pass
        exchange.close_connection = True

    return fault


def slow_no_progress(every: float = 0.05) -> Fault:
    """Lines that keep coming, a line each `every` s, and never get further."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1, 0.4)
        while exchange.client_stays(every):
            exchange.completed(int(0.4 * TOTAL))
        exchange.close_connection = True

    return fault


def garbage() -> Fault:
    """Lines of HTML and of no JSON among those of a pull, then a good end."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1)
        exchange.chunk(b"<html><body>502 Bad Gateway</body></html>\n")
        exchange.chunk(b'\xff\xfe{"status": nonsense\n')
        exchange.finish()

    return fault


def no_success() -> Fault:
    """A stream that ends properly, without the final success."""

    def fault(exchange: Exchange) -> None:
        exchange.progress(0.1, 1)
        exchange.line({"status": "verifying sha256 digest"})
        exchange.end_stream()

    return fault


def fine_pull(digest: str = DIGEST) -> Fault:
    """A good pull; from then on /api/tags lists the model, with this manifest digest."""

    def fault(exchange: Exchange) -> None:
        body = exchange.request_seen.body or {}
        name = str(body.get("model") or body.get("name") or "")
        name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        others = [entry for entry in exchange.fake.tags if entry["name"] != name]
        exchange.fake.tags = [*others, tag(name, digest)]
        if body.get("stream") is False:
            exchange.send_json(200, {"status": "success"})
        else:
            exchange.progress(0.5, 1)
            exchange.finish()

    return fault


def then(*faults: Fault) -> Fault:
    """Each request gets the next one; the last is repeated."""
    rest = list(faults)
    lock = threading.Lock()

    def fault(exchange: Exchange) -> None:
        with lock:
            chosen = rest.pop(0) if len(rest) > 1 else rest[0]
        chosen(exchange)

    return fault


def tag(name: str, digest: str = DIGEST) -> dict[str, Any]:
    """An entry of /api/tags."""
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": TOTAL,
        "digest": digest.removeprefix("sha256:"),
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "llama",
            "families": ["llama"],
            "parameter_size": "107K",
            "quantization_level": "F16",
        },
    }


def resident(name: str, digest: str = DIGEST, expires_at: str = "2319-01-01T00:00:00Z") -> dict[str, Any]:
    """An entry of /api/ps; the default expiry is what a pinned model shows."""
    entry = tag(name, digest)
    del entry["modified_at"]
    return {**entry, "expires_at": expires_at, "size_vram": 0, "context_length": 2048}
