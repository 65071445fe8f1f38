"""The estimate of memory beside real processes, of both engines; `python -m benchmarks.memory_process` has more."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import httpx
import numpy as np
import pytest

from ollama_provider.connections import ProviderSettings
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.memory import UnknownArchitectureError, estimate
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.ollama_server import OllamaServer
from tests.engines.runner_memory import measure
from tests.engines.tiny_architectures import EMBEDDING, Shape, write_architecture
from tests.engines.tiny_models import finish, write_llama
from tests.engines.toolchain import Ollama as Engine

pytestmark = [pytest.mark.engines, pytest.mark.alone, pytest.mark.both_engines]

# What is claimed of the engine before 0.30, and of llama-server.
WITHIN = {False: (0.05, 32 * 2**20), True: (0.02, 16 * 2**20)}
EXPERTS = Shape(experts=8, experts_used=2)


@pytest.mark.parametrize(
    ("architecture", "shape", "num_ctx", "parallel", "kv_cache_type", "fills"),
    [
        ("llama", Shape(weights="Q4_K"), 512, 1, "f16", 1),
        ("llama", Shape(key=128, weights="Q8_0"), 32768, 4, "q8_0", 0),
        ("llama", EXPERTS, 8192, 2, "q4_0", 0),
        ("qwen3", Shape(weights="Q4_0"), 8192, 4, "q8_0", 0),
        ("gemma2", Shape(), 16384, 1, "f16", 0),
        ("gemma3", Shape(key=128), 8192, 4, "f16", 0),
        ("qwen3moe", EXPERTS, 2048, 4, "f16", 0),
        ("lfm2", Shape(weights="BF16"), 32768, 1, "f16", 0),
        ("nomic-bert", Shape(), 512, 1, "f16", 1),
    ],
)
def test_it_is_as_near_as_is_claimed(
    engine: Engine,
    tmp_path: Path,
    architecture: str,
    shape: Shape,
    num_ctx: int,
    parallel: int,
    kv_cache_type: str,
    fills: int,
) -> None:
    is_llama_server = Behavior.LLAMA_SERVER.holds(version_in(engine.version), if_unknown=True)
    share, least = WITHIN[is_llama_server]
    environment = {"OLLAMA_NUM_PARALLEL": str(parallel), "OLLAMA_KV_CACHE_TYPE": kv_cache_type}
    environment["LLAMA_ARG_CACHE_RAM"] = "0"
    if kv_cache_type != "f16":
        environment["OLLAMA_FLASH_ATTENTION"] = "1"
    embeds = architecture in EMBEDDING
    file = tmp_path / "model.gguf"
    write_architecture(file, architecture, shape._replace(context_length=num_ctx))
    with OllamaServer(engine.program, tmp_path / "ollama", environment) as server:
        server.create_from_gguf("model", file)
        metadata = server.call("POST", "/api/show", {"model": "model", "verbose": True}).json()["model_info"]
        real = measure(server, "model", num_ctx=num_ctx, parallel=parallel, embeds=embeds, fills=fills)
    found = estimate(
        metadata,
        weights_bytes=file.stat().st_size,
        num_ctx=num_ctx,
        parallel=parallel,
        kv_cache_type=kv_cache_type,
        version=version_in(engine.version),
        prompt_cache_bytes=0,
    )
    assert found.listed_by_ollama == pytest.approx(real.said_by_ollama, rel=share, abs=least)
    if is_llama_server:
        assert found.at_load >= real.proportional_at_load
        if real.proportional is not None:
            assert found.total == pytest.approx(real.proportional, rel=share, abs=least)
    else:
        assert found.at_load == pytest.approx(real.at_load, rel=share, abs=least)
        assert found.kv_cache + found.recurrent == pytest.approx(real.kv_cache_in_log, rel=0.01)
        if real.peak is not None:
            assert found.total == pytest.approx(real.peak, rel=share, abs=least)


def test_long_prompts_stay_within_the_span(engine: Engine, ollama: OllamaServer, tmp_path: Path) -> None:
    """4,096 tokens are masks of 8 MiB: before 0.30, up to 2 of them at the load, and at most 18; none since."""
    file = tmp_path / "model.gguf"
    write_architecture(file, "qwen3", Shape(layers=2, width=64, inner=64, heads=1, kv_heads=1))
    ollama.create_from_gguf("model", file)
    metadata = ollama.call("POST", "/api/show", {"model": "model"}).json()["model_info"]
    real = measure(ollama, "model", num_ctx=4096, parallel=1, embeds=False, fills=3)
    found = estimate(metadata, weights_bytes=file.stat().st_size, num_ctx=4096, version=version_in(engine.version))
    assert real.peak is not None
    if Behavior.LLAMA_SERVER.holds(version_in(engine.version), if_unknown=True):
        assert found.long_prompts == 0
        assert real.peak < found.most
    else:
        assert found.long_prompts == 17 * 8 * 2**20
        assert found.total - found.long_prompts < real.peak < found.total


def test_heads_that_differ_by_layer_are_asked_for(engine: Engine, ollama: OllamaServer, tmp_path: Path) -> None:
    """Ollama leaves lists out where it is not asked for all: lfm2 has one of its KV heads."""
    file = tmp_path / "model.gguf"
    write_architecture(file, "lfm2", Shape(layers=3, width=64, inner=64, heads=1, kv_heads=1))
    ollama.create_from_gguf("model", file)
    metadata = _metadata(ollama)
    assert metadata["lfm2.attention.head_count_kv"] == [0, 0, 1]
    assert "tokenizer.ggml.tokens" not in metadata
    found = estimate(metadata, weights_bytes=file.stat().st_size, num_ctx=512, version=version_in(engine.version))
    assert found.kv_cache == 512 * 2 * 64 * 2


def test_a_model_with_a_projector_is_not_known(engine: Engine, ollama: OllamaServer, tmp_path: Path) -> None:
    """Its own metadata are those of a plain llama, or the projector's, as Ollama takes the files in no fixed order."""
    model, projector = tmp_path / "model.gguf", tmp_path / "projector.gguf"
    files = {model.name: write_llama(model), projector.name: _write_projector(projector)}
    httpx.post(f"{ollama.url}/api/blobs/{files[projector.name]}", content=projector.read_bytes()).raise_for_status()
    ollama.create_from_gguf("model", model, files=files)
    with pytest.raises(UnknownArchitectureError, match=r"'llama' with a projector is not known|'clip' is not known"):
        estimate(_metadata(ollama), weights_bytes=0, num_ctx=2048, version=version_in(engine.version))


def _write_projector(path: Path) -> str:
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_tensor("v.patch_embd.weight", np.zeros((8, 8), dtype=np.float32))
    return finish(writer, path)


def _metadata(server: OllamaServer) -> Mapping[str, Any]:
    async def show() -> Mapping[str, Any]:
        async with Ollama(ProviderSettings.read({"host": server.url}, {}).connection(None)) as client:
            return (await client.show(ModelName.parse("model"))).metadata

    return asyncio.run(show())
