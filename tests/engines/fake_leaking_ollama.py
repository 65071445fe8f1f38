"""A fake Ollama that keeps some memory with every call: `python -m tests.engines.fake_leaking_ollama BYTES`.

A real one does not leak on demand. It prints its port, and answers what a probe asks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_MODEL = {"name": "tiny:latest", "model": "tiny:latest", "digest": "0" * 64, "size": 1, "details": {}}
_FOR_EVER = "2318-10-24T15:00:00Z"


@contextlib.contextmanager
def leaking(bytes_a_call: int) -> Iterator[str]:
    """The address of one in a process of its own, whose memory is its own."""
    command = [sys.executable, "-m", "tests.engines.fake_leaking_ollama", str(bytes_a_call)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def serve(bytes_a_call: int) -> None:
    kept: list[bytes] = []
    loaded = False

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            running = [{**_MODEL, "size_vram": 0, "context_length": 4096, "expires_at": _FOR_EVER}] if loaded else []
            answers: dict[str, Any] = {
                "/api/version": {"version": "0.17.4"},
                "/api/tags": {"models": [_MODEL]},
                "/api/ps": {"models": running},
            }
            self.answer(answers[self.path])

        def do_POST(self) -> None:
            nonlocal loaded
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            loaded = body.get("keep_alive") not in (0, "1s")
            if "prompt" in body:
                kept.append(bytes([len(kept) % 251 + 1]) * bytes_a_call)
            self.answer({"response": "ok", "done": True, "done_reason": "stop", "eval_count": 1})

        def answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bytes_a_call", type=int)
    serve(parser.parse_args().bytes_a_call)
