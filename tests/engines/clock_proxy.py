"""A proxy in front of a real Ollama whose clock is wrong: the Date header, and every expires_at, by so many seconds."""

from __future__ import annotations

import json
import threading
import urllib.request
from datetime import UTC, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from ollama_provider.ollama import durations


class ClockProxy:
    """`with ClockProxy(port, 3600) as proxy: proxy.url`: what a server says whose clock is an hour ahead."""

    def __init__(self, port: int, seconds: float) -> None:
        ahead = timedelta(seconds=seconds)

        class Exchange(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{self.path}") as answer:
                    body, date = json.load(answer), answer.headers["Date"]
                for model in body.get("models") or ():
                    if "expires_at" in model:
                        expires_at = durations.parse_time(model["expires_at"]).astimezone(UTC)
                        model["expires_at"] = (expires_at + ahead).isoformat()
                data = json.dumps(body).encode()
                self.send_response_only(200)
                self.send_header("Date", format_datetime(parsedate_to_datetime(date) + ahead, usegmt=True))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> ClockProxy:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()
