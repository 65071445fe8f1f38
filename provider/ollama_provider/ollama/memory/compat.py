"""GGUF files in the form of Ollama's own converter, as its patch of llama.cpp reads them.

llama/compat/llama-ollama-compat.cpp of Ollama 0.34.3, as far as memory depends on it. Tensors keep their names: those
that are renamed there are asked for nowhere here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ollama_provider.ollama.memory.hparams import Tensor, architecture_of, whole

_RENAMED: Final = {"gptoss": "gpt-oss", "olmo3": "olmo2", "qwen25vl": "qwen2vl", "glm4moelite": "deepseek2"}
_ONE_COUNT: Final = frozenset({"qwen3next", "qwen35", "qwen35moe"})
# Parts of other models and drafts in the same file: with a projector is not known, and drafts are not loaded.
_LEFT_OUT: Final = ("v.", "mm.", "a.", "mtp.", "model.vision_tower.")


def translated(
    metadata: Mapping[str, Any], tensors: Iterable[Tensor] | None = None
) -> tuple[Mapping[str, Any], list[Tensor] | None]:
    """As llama.cpp gets to see them. Raises UnknownArchitectureError, ValueError."""
    listed = None if tensors is None else [one for one in tensors if not one.name.startswith(_LEFT_OUT)]
    rows = {one.name: one.rows for one in listed or () if one.rows is not None}
    own = architecture_of(metadata)
    if own == "gemma3" and "dense.0.weight" in rows:
        renamed = _with_prefix(metadata, own, "gemma-embedding")
        renamed.pop("gemma-embedding.attention.sliding_window_pattern", None)
        renamed["gemma-embedding.dense_2_feat_out"] = rows["dense.0.weight"]
        return renamed, listed
    if own in _RENAMED:
        return _renamed(_with_prefix(metadata, own, _RENAMED[own]), own, rows), listed
    if own in _ONE_COUNT and isinstance(metadata.get(key := f"{own}.attention.head_count_kv"), (list, tuple)):
        return {**metadata, key: max((whole(key, one) for one in metadata[key]), default=0)}, listed
    if own == "lfm2" and "blk.0.ffn_gate.weight" in rows:
        return {**metadata, "lfm2.feed_forward_length": rows["blk.0.ffn_gate.weight"]}, listed
    latent = next((count for name, count in rows.items() if name.endswith(".ffn_latent_in.weight")), None)
    if own == "nemotron_h_moe" and latent is not None:
        return {"nemotron_h_moe.moe_latent_size": latent, **metadata}, listed
    return metadata, listed


def _with_prefix(metadata: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    prefix = f"{old}."
    found = {
        f"{new}.{key.removeprefix(prefix)}" if key.startswith(prefix) else key: value for key, value in metadata.items()
    }
    return {**found, "general.architecture": new}


def _renamed(metadata: dict[str, Any], own: str, rows: Mapping[str, int]) -> dict[str, Any]:
    if own == "gptoss":
        inner = rows.get("blk.0.ffn_gate_exps.weight", metadata.get("gpt-oss.feed_forward_length"))
        metadata.setdefault("gpt-oss.expert_feed_forward_length", inner)
    if own == "glm4moelite":
        rank = _number(metadata, own, "attention.kv_lora_rank", least=1)
        turned = _number(metadata, own, "rope.dimension_count")
        head = metadata.get("deepseek2.attention.key_length")
        metadata |= {
            "deepseek2.attention.head_count_kv": 1,
            "deepseek2.attention.key_length": rank + turned,
            "deepseek2.attention.value_length": rank,
        }
        if head is not None:
            metadata |= dict.fromkeys(
                ("deepseek2.attention.key_length_mla", "deepseek2.attention.value_length_mla"), head
            )
        metadata.setdefault("deepseek2.expert_group_count", 1)
        metadata.setdefault("deepseek2.expert_group_used_count", 1)
    return metadata


def _number(metadata: Mapping[str, Any], own: str, key: str, *, least: int = 0) -> int:
    """Of a key that was renamed; what is wrong with it is said by its own name."""
    return whole(f"{own}.{key}", metadata.get(f"{_RENAMED[own]}.{key}", 0), key, least=least)
