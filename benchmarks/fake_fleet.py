"""NOT Ollamas: a process of many fakes, each on a port of its own, that answer what `drift` asks as one would.

`python -m benchmarks.fake_fleet SERVERS MODELS [SILENT]` prints their addresses, and serves until its standard input
ends. The last SILENT of them take a connection and never say a word.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256


def name_of(model: int) -> str:
    return f"model-{model}:latest"


def digest_of(model: int) -> str:
    return sha256(name_of(model).encode()).hexdigest()


def entry(model: int) -> dict[str, object]:
    details = {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8.0B"}
    return {
        "name": name_of(model),
        "model": name_of(model),
        "size": 4_661_224_676,
        "digest": digest_of(model),
        "details": {"parent_model": "", **details, "quantization_level": "Q4_0"},
    }


def answers(models: int) -> dict[bytes, bytes]:
    """The bodies by path. Every fourth model is in memory, pinned."""
    expiry = (datetime.now(UTC) + timedelta(days=292 * 365)).isoformat()
    running = {"expires_at": expiry, "size_vram": 0, "context_length": 4096}
    tags = [entry(model) | {"modified_at": "2026-01-01T00:00:00Z"} for model in range(models)]
    bodies = {
        b"/api/version": {"version": "0.17.4"},
        b"/api/tags": {"models": tags},
        b"/api/ps": {"models": [entry(model) | running for model in range(0, models, 4)]},
    }
    return {path: json.dumps(body).encode() for path, body in bodies.items()}


async def serve(servers: int, models: int, silent: int) -> None:
    bodies = answers(models)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = bodies[head.split(b" ", 2)[1]]
                date = format_datetime(datetime.now(UTC), usegmt=True).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b"
                    % (date, len(body), body)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    made = [
        await asyncio.start_server(say_nothing if number >= servers - silent else answer, "127.0.0.1", 0)
        for number in range(servers)
    ]
    print(*(f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}" for one in made), sep="\n", end="\n\n", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # with connections open, which asyncio would tell of one by one


if __name__ == "__main__":
    asyncio.run(serve(*(int(argument) for argument in [*sys.argv[1:], "0"][:3])))
