"""Models of other kinds than one that chats, made on a real server as it makes them itself."""

from pathlib import Path

from tests.engines.ollama_server import OllamaServer

REMOTE_HOST = "http://127.0.0.1:9"  # where nothing listens: a call that is passed on fails, and is in the log


def make_remote(server: OllamaServer, name: str) -> None:
    """A cloud model: its manifest says which server runs it. Calls of it are passed on."""
    body = {"model": name, "from": "gpt-oss:120b", "remote_host": REMOTE_HOST, "stream": False}
    server.call("POST", "/api/create", body).raise_for_status()


def make_image(server: OllamaServer, name: str, weights: Path) -> None:
    """A model that says of itself that it makes images; its weights are those of a small one that does not."""
    server.create_from_gguf(name, weights, info={"capabilities": ["image"]})


def copy(server: OllamaServer, source: str, destination: str) -> None:
    server.call("POST", "/api/copy", {"source": source, "destination": destination}).raise_for_status()
