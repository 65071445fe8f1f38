"""The tensors of a model's file: what llama.cpp would take, without what no converter writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Final

from tests.engines.llama_library import Tensors

_QKV = "attn_q attn_k attn_v"
_NORMS = "attn_norm output_norm"
# Biases that files of an architecture have: those that llama.cpp asks for, and those that its converter writes.
BIASES: Final[Mapping[str, str]] = {
    "qwen2": _QKV,
    "qwen2moe": _QKV,
    "qwen2vl": _QKV,
    "dream": _QKV,
    "seed_oss": _QKV,
    "chatglm": "attn_qkv",
    "qwen": "attn_qkv",
    "qwen3next": "ssm_dt",
    "qwen35": "ssm_dt",
    "qwen35moe": "ssm_dt",
    "phi2": f"{_NORMS} attn_qkv attn_output ffn_down ffn_up output",
    "phimoe": f"{_NORMS} {_QKV} attn_output ffn_norm output",
    "gpt-oss": f"{_QKV} attn_output ffn_down_exps ffn_gate_exps ffn_gate_inp ffn_up_exps",
    "glm4moe": f"{_QKV} exp_probs_b",
    "granitehybrid": "ssm_conv1d ssm_dt",
    "lfm2moe": "exp_probs_b",
    "nemotron": f"{_NORMS} ffn_norm",
    "nemotron_h": "ssm_conv1d ssm_dt",
    "nemotron_h_moe": "exp_probs_b ssm_conv1d ssm_dt",
    "mamba": "ssm_conv1d ssm_dt",
    "mamba2": "ssm_conv1d ssm_dt",
    "jamba": "ssm_conv1d ssm_dt",
    "falcon-h1": "ssm_conv1d ssm_dt",
    "plamo2": "ssm_dt",
    "kimi-linear": "exp_probs_b ssm_dt",
    "bert": f"{_QKV} attn_output attn_output_norm ffn_up ffn_down layer_output_norm token_embd_norm",
    "nomic-bert": "attn_output_norm layer_output_norm token_embd_norm",
    "nomic-bert-moe": "attn_qkv attn_output attn_output_norm ffn_up ffn_down layer_output_norm token_embd_norm",
    "jina-bert-v2": f"{_QKV} attn_output attn_output_norm ffn_down layer_output_norm token_embd_norm",
    "jina-bert-v3": "attn_qkv attn_output attn_output_norm ffn_up ffn_down layer_output_norm token_embd_norm",
    "falcon": _NORMS,
    "gpt2": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_up ffn_down",
    "gptneox": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_up ffn_down",
    "starcoder": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_up ffn_down",
    "starcoder2": f"{_NORMS} {_QKV} attn_output ffn_norm ffn_up ffn_down",
    "bloom": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_up ffn_down token_embd_norm",
    "jais": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_gate ffn_up ffn_down",
    "jais2": f"{_NORMS} {_QKV} attn_output ffn_norm ffn_up ffn_down",
    "codeshell": f"{_NORMS} attn_qkv attn_output ffn_norm ffn_up ffn_down",
    "stablelm": f"{_NORMS} ffn_norm",
    "orion": f"{_NORMS} ffn_norm",
    "deepseek2": "exp_probs_b",
    "deepseek32": "exp_probs_b indexer.k_norm",
    "glm-dsa": "exp_probs_b indexer.k_norm",
    "dots1": "exp_probs_b",
    "afmoe": "exp_probs_b",
    "laguna": "exp_probs_b",
    "minimax-m2": "exp_probs_b",
    "bailingmoe2": "exp_probs_b",
    "pangu-embedded": f"{_QKV} attn_output",
    "rwkv6": f"{_NORMS} attn_norm_2 time_mix_ln token_embd_norm",
    "rwkv7": f"{_NORMS} attn_norm_2 time_mix_ln token_embd_norm",
    "rwkv6qwen2": "time_mix_key time_mix_value time_mix_receptance",
}
# Queries, keys and values in one matrix (gguf-py, MODEL_TENSORS; of phi2, phi3, chatglm and qwen the converter).
FUSED: Final = frozenset(
    "falcon gpt2 gptneox mpt starcoder modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v3 bloom qwen phi2 "
    "phi3 plamo3 codeshell dbrx openelm chatglm jais bailingmoe2 cogvlm".split()
)
# What llama.cpp takes and files do not have, or only some: older layouts, classifiers, factors for long contexts.
_LEFT_OUT: Final = re.compile(
    r"^(cls\.|rope_factors_|blk\.\d+\.rope_freqs|rope_freqs)|\.(scale|input_scale)$|\.ffn_latent_(up|down)\.weight$"
)
_LEFT_OUT_OF: Final[Mapping[str, str]] = {
    "qwen3next": r"\.ssm_in\.",
    "falcon": r"\.attn_norm_2\.",
    "stablelm": r"\.attn_[qk]_norm\.",
    "jina-bert-v2": r"\.attn_norm_2\.|\.attn_[qk]_norm\.",
    "rwkv6qwen2": r"\.time_mix_first\.",
    "gemma4": r"^output\.weight$",
}
_WITH_FREQUENCIES: Final = frozenset({"gemma4"})
_DENSE_OR_EXPERTS: Final = frozenset({"mimo2", "step35"})


def as_converted(architecture: str, tensors: Tensors, random: Random, *, may_tie: bool) -> Tensors:
    """What a file of the architecture holds, of all that llama.cpp takes.

    Half of the models that `may_tie` have no output matrix of their own.
    """
    biases = frozenset(BIASES.get(architecture, "").split())
    left_out_too = re.compile(_LEFT_OUT_OF.get(architecture, "^$"))
    is_tied = may_tie and random.random() < 0.5
    found: Tensors = {}
    for name, dimensions in _parted(_fused(tensors) if architecture in FUSED else tensors):
        kind = re.sub(r"^blk\.\d+\.", "", name)
        if kind.endswith(".bias") and kind.removesuffix(".bias") not in biases:
            continue
        if left_out_too.search(name) or (is_tied and name == "output.weight"):
            continue
        if _LEFT_OUT.search(name) and not (architecture in _WITH_FREQUENCIES and name.endswith("rope_freqs.weight")):
            continue
        if architecture in _DENSE_OR_EXPERTS and re.match(
            r"blk\.0\.(ffn_.*_exps|ffn_gate_inp|ffn_.*_shexp|exp_probs_b)|blk\.[1-9]\d*\.ffn_(gate|up|down)\.", name
        ):
            continue
        found[name] = dimensions
    return found


def _fused(tensors: Tensors) -> Tensors:
    """With queries, keys and values behind one another: what llama.cpp takes as three is one in the file."""
    found: Tensors = {}
    for name, dimensions in tensors.items():
        if part := re.match(r"(blk\.\d+\.attn_)([qkv])\.(weight|bias)$", name):
            whole = f"{part[1]}qkv.{part[3]}"
            before = found.get(whole)
            found[whole] = dimensions if before is None else (*dimensions[:-1], before[-1] + dimensions[-1])
        else:
            found[name] = dimensions
    return found


def _parted(tensors: Tensors) -> Iterable[tuple[str, tuple[int, ...]]]:
    """With the experts' gates and ups apart, as they are unless a converter was told to fuse them."""
    for name, dimensions in tensors.items():
        if "ffn_gate_up_exps." in name:
            half = (dimensions[0], dimensions[1] // 2, *dimensions[2:])
            yield name.replace("gate_up", "gate"), half
            yield name.replace("gate_up", "up"), half
        else:
            yield name, dimensions
