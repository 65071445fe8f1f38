"""The estimate of memory beside real runners; `python -m benchmarks.memory_accuracy` has all cases."""

from pathlib import Path

import pytest

from ollama_provider.ollama.memory import estimate
from tests.engines.ollama_server import OllamaServer
from tests.engines.runner_memory import measure
from tests.engines.tiny_architectures import EMBEDDING, Shape, write_architecture
from tests.engines.toolchain import Engines

pytestmark = pytest.mark.engines

SHARE, LEAST = 0.05, 32 * 2**20


@pytest.mark.parametrize(
    ("architecture", "num_ctx", "parallel", "kv_cache_type", "fill"),
    [
        ("llama", 512, 1, "f16", True),
        ("llama", 32768, 4, "q8_0", False),
        ("qwen3", 8192, 4, "q8_0", False),
        ("gemma2", 16384, 1, "f16", False),
        ("gemma3", 8192, 4, "f16", False),
        ("qwen3moe", 2048, 4, "f16", False),
        ("lfm2", 32768, 1, "f16", False),
        ("nomic-bert", 512, 1, "f16", True),
    ],
)
def test_it_is_as_near_as_is_claimed(
    engines: Engines, tmp_path: Path, architecture: str, num_ctx: int, parallel: int, kv_cache_type: str, fill: bool
) -> None:
    environment = {"OLLAMA_NUM_PARALLEL": str(parallel), "OLLAMA_KV_CACHE_TYPE": kv_cache_type}
    if kv_cache_type != "f16":
        environment["OLLAMA_FLASH_ATTENTION"] = "1"
    embeds = architecture in EMBEDDING
    gguf = tmp_path / "model.gguf"
    write_architecture(gguf, architecture, Shape(context_length=num_ctx))
    with OllamaServer(engines.ollama, tmp_path / "ollama", environment) as server:
        server.create_from_gguf("model", gguf)
        metadata = server.call("POST", "/api/show", {"model": "model", "verbose": True}).json()["model_info"]
        real = measure(server, "model", num_ctx=num_ctx, parallel=parallel, embeds=embeds, fill=fill)
    found = estimate(
        metadata,
        weights_bytes=gguf.stat().st_size,
        num_ctx=num_ctx,
        parallel=parallel,
        kv_cache_type=kv_cache_type,
    )
    assert found.at_load == pytest.approx(real.at_load, rel=SHARE, abs=LEAST)
    assert found.predicted_by_ollama == pytest.approx(real.said_by_ollama, rel=SHARE, abs=LEAST)
    assert found.kv_cache + found.recurrent == pytest.approx(real.kv_cache_in_log, rel=0.01)
    if real.peak is not None:
        assert found.total == pytest.approx(real.peak, rel=SHARE, abs=LEAST)
