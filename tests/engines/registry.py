"""A registry of the tests' own that the real Ollama pulls from, on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import re
import select
import shutil
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import gguf as gguf_format

from tests.engines.tiny_models import sha256

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.ollama.image."
CHUNK = 4 << 20


@dataclass
class Request:
    """One request; `bytes_sent` of its body grows while it is answered. Blobs are sent from `/data/DIGEST`."""

    method: str
    path: str
    bytes_sent: int = 0


class Registry:
    """`with Registry() as registry:` an OCI-like registry with manifests and blobs in a temporary folder.

    A blob's address answers 307 to another hostname, since Ollama asks for that; the data address knows Range.
    `bytes_per_second` throttles each answer; while `stall` is set, blobs stop in the middle.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bytes_per_second: float | None = None
        self.stall = threading.Event()
        self.closed = threading.Event()
        self.manifests: dict[str, bytes] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="registry-"))
        self.server = RegistryServer(("127.0.0.1", 0), Handler)
        self.server.registry = self
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Registry:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def push(
        self,
        name: str,
        gguf: Path,
        *,
        params: dict[str, Any] | None = None,
        system: str | None = None,
        template: str | None = None,
    ) -> str:
        """Put a model under `name` ("tiny:latest"), moving the tag where it exists.

        Returns the hex digest (without "sha256:") that /api/tags shows after a pull: Ollama hashes the manifest as it
        writes it anew itself, so this one is written the same way, compact and in the order of its fields.
        """
        layers = [self._layer("model", gguf)]
        for kind, text in (("template", template), ("system", system), ("params", params)):
            if text is not None:
                layers.append(self._layer(kind, (text if isinstance(text, str) else json.dumps(text)).encode()))
        family = architecture(gguf)
        config = {
            "model_format": "gguf",
            "model_family": family,
            "model_families": [family],
            "model_type": "0.1M",
            "file_type": "F16",
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, **self._blob(json.dumps(config).encode())},
            "layers": layers,
        }
        content = json.dumps(manifest, separators=(",", ":")).encode()
        self.manifests[name if ":" in name else f"{name}:latest"] = content
        return hashlib.sha256(content).hexdigest()

    def reference(self, name: str) -> str:
        """What to pull, with `insecure: true`: "127.0.0.1:PORT/library/tiny:latest"."""
        return f"{self.address}/library/{name if ':' in name else f'{name}:latest'}"

    def blob_bytes_served(self, digest: str | None = None) -> int:
        """Bytes of blobs sent so far, of one "sha256:..." or of all."""
        data = [request for request in self.requests if request.path.startswith("/data/")]
        return sum(request.bytes_sent for request in data if digest in (None, request.path.removeprefix("/data/")))

    def blob(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def _layer(self, kind: str, content: Path | bytes) -> dict[str, Any]:
        return {"mediaType": LAYER_TYPE + kind, **self._blob(content)}

    def _blob(self, content: Path | bytes) -> dict[str, Any]:
        if isinstance(content, Path):
            digest = sha256(content)
            shutil.copyfile(content, self.blob(digest))
        else:
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            self.blob(digest).write_bytes(content)
        return {"digest": digest, "size": self.blob(digest).stat().st_size}


class RegistryServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    registry: Registry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves in the middle is an ordinary thing here."""


class Handler(BaseHTTPRequestHandler):
    """Manifests, the redirect of blobs, and the data address."""

    server: RegistryServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        registry = self.server.registry
        request = Request(self.command, self.path)
        registry.requests.append(request)
        if match := re.fullmatch(r"/v2/library/([^/]+)/manifests/([^/]+)", self.path):
            self.manifest(request, registry.manifests.get(":".join(match.groups())))
        elif match := re.fullmatch(r"/v2/library/[^/]+/blobs/(sha256:[0-9a-f]{64})", self.path):
            self.blob(match[1])
        elif match := re.fullmatch(r"/data/(sha256:[0-9a-f]{64})", self.path):
            self.data(request, registry.blob(match[1]))
        else:
            self.answer(404)

    do_HEAD = do_GET

    def manifest(self, request: Request, content: bytes | None) -> None:
        if content is None:
            self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        else:
            self.answer(200, content, ("Content-Type", MANIFEST_TYPE))
            request.bytes_sent = len(content)

    def blob(self, digest: str) -> None:
        path = self.server.registry.blob(digest)
        if not path.exists():
            self.answer(404)
        elif self.command == "HEAD":
            self.head(200, ("Content-Length", str(path.stat().st_size)))
        else:
            self.answer(307, b"", ("Location", f"http://localhost:{self.server.server_port}/data/{digest}"))

    def data(self, request: Request, path: Path) -> None:
        if not path.exists():
            self.answer(404)
            return
        size = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]), size - 1) if wanted and wanted[2] else size - 1
        if wanted and not first <= last:
            self.answer(416, b"", ("Content-Range", f"bytes */{size}"))
            return
        length = ("Content-Length", str(last - first + 1))
        if wanted:
            self.head(206, length, ("Content-Range", f"bytes {first}-{last}/{size}"))
        else:
            self.head(200, length, ("Accept-Ranges", "bytes"))
        if self.command == "GET":
            self.send(request, path, first, last + 1)

    def send(self, request: Request, path: Path, position: int, end: int) -> None:
        """Send at the pace that is set; a change of the throttle or of the switch takes hold within 0.1 s."""
        registry = self.server.registry
        self.wfile.flush()
        with path.open("rb") as file:
            while position < end:
                if registry.closed.is_set() or left(self.connection):
                    self.close_connection = True
                    return
                if registry.stall.is_set():
                    time.sleep(0.02)
                    continue
                pace = registry.bytes_per_second
                count = min(end - position, max(1, int(pace / 10)) if pace else CHUNK)
                sent = self.connection.sendfile(file, position, count)
                position += sent
                request.bytes_sent += sent
                if pace:
                    registry.closed.wait(sent / pace)

    def answer(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        self.head(status, ("Content-Length", str(len(body))), *headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: `requests` is the record."""


def left(connection: socket.socket) -> bool:
    """Whether the client has closed its side."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


def architecture(path: Path) -> str:
    """`general.architecture` of a GGUF."""
    field = gguf_format.GGUFReader(path).get_field(gguf_format.Keys.General.ARCHITECTURE)
    return str(field.contents()) if field else "llama"
