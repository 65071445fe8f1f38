"""Models of other kinds than one that chats, made on a real server as it makes them itself, or keeps them on disk."""

import hashlib
import json
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


def write_safetensors(server: OllamaServer, name: str) -> None:
    """A safetensors model as a pull leaves it in the folder of models; to create one takes an Ollama with MLX."""
    blobs = server.folder / "models" / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(content: bytes, **rest: str) -> dict[str, str | int]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / f"sha256-{digest}").write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content), **rest}

    shape = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 1}
    kept = {"model_format": "safetensors", "model_family": "llama", "capabilities": ["completion"]}
    image = "application/vnd.ollama.image"
    manifest = {
        "schemaVersion": 2,
        "config": blob(json.dumps(kept).encode(), mediaType="application/vnd.docker.container.image.v1+json"),
        "layers": [
            blob(json.dumps(shape).encode(), mediaType=f"{image}.json", name="config.json"),
            blob(bytes(1000), mediaType=f"{image}.tensor", name="model.norm.weight"),
        ],
    }
    file = server.folder / "models/manifests/registry.ollama.ai/library" / name / "latest"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(manifest))
