"""The estimate of memory on Ollama before 0.30, formula by formula: every expected figure is worked out by hand."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_provider.ollama import memory
from ollama_provider.ollama.memory import UnknownArchitectureError
from ollama_provider.ollama.settings.kv_cache_types import OF_OLLAMA
from ollama_provider.ollama.sizes import MIB

BEFORE_LLAMA_SERVER = (0, 17, 4)
estimate = partial(memory.estimate, version=BEFORE_LLAMA_SERVER)
largest_num_ctx = partial(memory.largest_num_ctx, version=BEFORE_LLAMA_SERVER)
largest_parallel = partial(memory.largest_parallel, version=BEFORE_LLAMA_SERVER)


def shape(architecture: str, **changed: Any) -> dict[str, Any]:
    """8 layers, 512 wide, 1,024 inside, 8 heads of 64, 2 of them with a cache; 1,000 tokens, trained at 128 K."""
    keys = {
        "block_count": 8,
        "embedding_length": 512,
        "feed_forward_length": 1024,
        "attention.head_count": 8,
        "attention.head_count_kv": 2,
        "context_length": 131072,
        "vocab_size": 1000,
    }
    if architecture in ("gemma2", "gemma3"):
        keys |= {"attention.key_length": 64, "attention.value_length": 64, "attention.sliding_window": 1024}
    keys |= changed
    return {"general.architecture": architecture} | {f"{architecture}.{key}": value for key, value in keys.items()}


# Llama 3.1 8B, as /api/show describes it.
LLAMA_8B = {
    "general.architecture": "llama",
    "general.parameter_count": 8_030_261_248,
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 14336,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.context_length": 131072,
    "llama.vocab_size": 128256,
}


@pytest.mark.parametrize(
    ("num_ctx", "parallel", "kv_cache_type", "gib"),
    [
        (4096, 1, "f16", 0.5),
        (32768, 1, "f16", 4),
        (131072, 1, "f16", 16),
        (4096, 4, "f16", 2),
        (4096, 1, "q8_0", 0.265625),
    ],
)
def test_cells_times_kv_heads_times_their_lengths_times_the_element(
    num_ctx: int, parallel: int, kv_cache_type: str, gib: float
) -> None:
    """32 layers x 8 heads x 256 x 2 bytes = 128 KiB a token; q8_0 is 34/64 of that."""
    found = estimate(LLAMA_8B, weights_bytes=0, num_ctx=num_ctx, parallel=parallel, kv_cache_type=kv_cache_type)
    assert found.kv_cache == int(gib * 2**30)


def test_a_cache_is_padded_to_256_cells() -> None:
    """1,000 tokens are 1,024 cells x 8 layers x 2 heads x 128 x 2 bytes."""
    assert estimate(shape("llama"), weights_bytes=0, num_ctx=1000).kv_cache == 1024 * 8 * 2 * 128 * 2


def test_heads_of_their_own_length() -> None:
    """2,048 cells x 8 layers x 2 heads x (128 + 64) x 2 bytes, and no flash attention where they differ: no q8_0."""
    metadata = shape("llama", **{"attention.key_length": 128, "attention.value_length": 64})
    for kv_cache_type in OF_OLLAMA:
        found = estimate(metadata, weights_bytes=0, num_ctx=2048, kv_cache_type=kv_cache_type)
        assert found.kv_cache == 12 * MIB


def test_a_count_of_heads_for_each_layer() -> None:
    """2,048 cells x (1 + 2 + 3 + 4 + 4 x 1) heads x 128 x 2 bytes."""
    metadata = shape("llama", **{"attention.head_count_kv": [1, 2, 3, 4, 1, 1, 1, 1]})
    assert estimate(metadata, weights_bytes=0, num_ctx=2048).kv_cache == 2048 * 14 * 128 * 2


def test_the_context_is_cut_to_the_trained() -> None:
    metadata = shape("llama", context_length=4096)
    cut, whole = (estimate(metadata, weights_bytes=0, num_ctx=num_ctx) for num_ctx in (10**6, 4096))
    assert cut == whole


def test_windows_of_gemma3_in_ollamas_engine() -> None:
    """Of 8 layers the sixth has the whole context: 16,384 cells. The others 1,024 + 512, or 4 x 1,025 + 512 padded."""
    per_cell = 2 * 128 * 2
    one = estimate(shape("gemma3"), weights_bytes=0, num_ctx=16384)
    assert one.kv_cache == (16384 + 7 * 1536) * per_cell
    four = estimate(shape("gemma3"), weights_bytes=0, num_ctx=16384, parallel=4)
    assert four.kv_cache == (65536 + 7 * 4864) * per_cell
    short = estimate(shape("gemma3"), weights_bytes=0, num_ctx=1024)
    assert short.kv_cache == 8 * 1024 * per_cell, "a window as long as the context is none"


def test_llama_cpp_keeps_the_whole_context_of_layers_with_a_window() -> None:
    """gemma2's window of 1,024 saves nothing: `swa_full`."""
    found = estimate(shape("gemma2"), weights_bytes=0, num_ctx=16384)
    assert found.kv_cache == 16384 * 8 * 2 * 128 * 2


def test_masks_before_and_after_the_cast_and_an_attention_block_in_llama_cpp() -> None:
    """16,384 x 512 x (4 + 2) = 48 MiB, beside 4 x 512 floats a token of 512: 4 MiB. As the log has it: 52.01."""
    assert estimate(shape("llama"), weights_bytes=0, num_ctx=16384).compute == 52 * MIB


def test_two_masks_where_layers_have_windows() -> None:
    """16,384 x 512 x (4 + 4 + 2) and 4 MiB. As the log has it: 84.02."""
    assert estimate(shape("gemma2"), weights_bytes=0, num_ctx=16384).compute == 84 * MIB


def test_requests_lie_side_by_side_in_llama_cpp_and_end_to_end_in_ollamas_engine() -> None:
    """Masks of 8,192 cells or 4 x 8,192: 8,192 x 512 x 6 + 4 MiB, and 32,768 x 512 x 2 + 3 x (512 + 1,024) floats."""
    graphs = {
        architecture: estimate(shape(architecture), weights_bytes=0, num_ctx=8192, parallel=4).compute
        for architecture in ("llama", "qwen3")
    }
    assert graphs == {"llama": 28 * MIB, "qwen3": 41 * MIB}


def test_a_wide_feed_forward_block_has_the_most() -> None:
    """2,048 x 512 x 2 = 2 MiB of masks, and 3 x 4,096 + 4 x 512 floats a token of 512: 28 MiB."""
    metadata = shape("llama", feed_forward_length=4096)
    assert estimate(metadata, weights_bytes=0, num_ctx=2048).compute == 30 * MIB


def test_scores_without_flash_attention() -> None:
    """8,192 x 512 x 8 heads x 4 bytes = 128 MiB, and 64 of them in f16.

    Beside them 2 x 512 floats of queries and 2 x 512 of E; in llama.cpp 3 x 512, 2 x 128 of keys, and 16 MiB of masks.
    """
    graphs = {
        architecture: estimate(shape(architecture), weights_bytes=0, num_ctx=8192, flash_attention=False).compute
        for architecture in ("llama", "qwen3")
    }
    assert graphs == {"llama": (128 + 64 + 16 + 5.5) * MIB, "qwen3": (128 + 64 + 4) * MIB}


def test_heads_wider_than_the_model() -> None:
    """32 heads of 128 are 8 MiB of queries: twice, beside 3 of E and 2 of masks; or with as many keys as values."""
    wide = {"attention.head_count": 32, "attention.key_length": 128, "attention.value_length": 128}
    found = {
        (architecture, kv_heads): estimate(
            shape(architecture, **wide, **{"attention.head_count_kv": kv_heads}), weights_bytes=0, num_ctx=2048
        ).compute
        for architecture in ("llama", "qwen3")
        for kv_heads in (2, 32)
    }
    assert {key: size / MIB for key, size in found.items()} == {
        ("llama", 2): 2 + 16 + 3,
        ("llama", 32): 2 + 32 + 3,
        ("qwen3", 2): 2 + 16 + 3,
        ("qwen3", 32): 2 + 24 + 3,
    }


def test_gemma2_is_refused_the_flash_attention_that_it_gets_unasked() -> None:
    unasked, asked, quantised = (
        estimate(shape("gemma2"), weights_bytes=0, num_ctx=8192, flash_attention=asked, kv_cache_type=kind)
        for asked, kind in ((None, "f16"), (True, "f16"), (None, "q8_0"))
    )
    assert asked.compute > 3 * unasked.compute
    assert (quantised.kv_cache, quantised.compute) == (asked.kv_cache, asked.compute)


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_a_quantised_cache_needs_flash_attention(architecture: str) -> None:
    without = estimate(shape(architecture), weights_bytes=0, num_ctx=8192, kv_cache_type="q8_0", flash_attention=False)
    plain = estimate(shape(architecture), weights_bytes=0, num_ctx=8192, flash_attention=False)
    assert without == plain


def test_embeddings_have_no_cache_and_scores_of_all_with_all() -> None:
    """2,048 x 2,048 x 8 x 4 = 128 MiB, beside 5 x 512 or 7 x 512 floats a token of 2,048. In the log: 148 and 156."""
    found = {
        architecture: estimate(shape(architecture, context_length=2048), weights_bytes=0, num_ctx=8192, parallel=4)
        for architecture in ("bert", "nomic-bert")
    }
    assert {name: (one.kv_cache, one.masks) for name, one in found.items()} == {"bert": (0, 0), "nomic-bert": (0, 0)}
    assert {name: one.compute // MIB for name, one in found.items()} == {"bert": 148, "nomic-bert": 156}


def test_a_wide_feed_forward_block_of_short_embeddings() -> None:
    """512 tokens x (2 x 512 + 3 x 4,096) floats = 26 MiB, against (512 x 8 + 7 x 512). In the log: 26."""
    metadata = shape("nomic-bert", feed_forward_length=4096, context_length=512)
    assert estimate(metadata, weights_bytes=0, num_ctx=512).compute == 26 * MIB


def test_recurrent_layers_have_states_and_checkpoints_instead_of_a_cache() -> None:
    """6 of 8 layers keep 2 rows of 512 floats, 25 times; the other two have 2,048 cells x 2 heads x 128 x 2 bytes."""
    heads = [0, 0, 2, 0, 0, 2, 0, 0]
    metadata = shape("lfm2", **{"attention.head_count_kv": heads, "shortconv.l_cache": 3})
    found = estimate(metadata, weights_bytes=0, num_ctx=2048, parallel=4)
    assert found.recurrent == 6 * 2 * 512 * 4 * 25
    assert found.kv_cache == 2 * 2048 * 2 * 128 * 2, "one request at a time, whatever is asked for"
    assert found.predicted_by_ollama == found.kv_cache + found.recurrent + found.compute


def test_experts_that_a_token_uses() -> None:
    """3 x 4 x 1,024 floats beside 3 x 512, and 2 MiB of masks; or 8 x (256 + 512). In the log: 29 and 17."""
    few = shape("qwen3moe", expert_feed_forward_length=1024, expert_count=8, expert_used_count=4)
    many = shape("qwen3moe", expert_feed_forward_length=256, expert_count=16, expert_used_count=8)
    found = [estimate(metadata, weights_bytes=0, num_ctx=2048).compute / MIB for metadata in (few, many)]
    assert found == [29, 17]


def test_ollamas_engine_leaves_masks_to_the_collector() -> None:
    """32,768 x 512 x 4 = 64 MiB: twice after the load, five while prompts are read, and 13 of at most 32 MiB.

    Of those of 2,048 x 512 x 4 = 4 MiB, the collector gives some back: one is left.
    """
    long, short = (estimate(shape("qwen3"), weights_bytes=0, num_ctx=num_ctx) for num_ctx in (32768, 2048))
    assert (long.masks, long.long_prompts) == (2 * 64 * MIB, 3 * 64 * MIB + 13 * 32 * MIB)
    assert (short.masks, short.long_prompts) == (4 * MIB, 17 * 4 * MIB)
    four = estimate(shape("qwen3"), weights_bytes=0, num_ctx=8192, parallel=4)
    assert (four.masks, four.long_prompts) == (long.masks, long.long_prompts)
    none = estimate(shape("llama"), weights_bytes=0, num_ctx=32768)
    assert (none.masks, none.long_prompts) == (0, 0)


def test_masks_of_a_long_window_are_left_once() -> None:
    """Of 16,384 cells 32 MiB, of a window of 15,872 and a batch as many: the second pair sets off a collection.

    Of 65,536 cells 128 MiB, which is more than 24 and 32: twice.
    """
    metadata = shape("gemma3", **{"attention.sliding_window": 15872})
    once, twice = (estimate(metadata, weights_bytes=0, num_ctx=num_ctx).masks for num_ctx in (16384, 65536))
    assert (once, twice) == ((32 + 32) * MIB, 2 * (128 + 32) * MIB)


def test_tied_embeddings_are_loaded_twice_by_ollamas_engine_alone() -> None:
    """512 x 32,000 of 33.6 M parameters are an embedding, the rest 8 layers of 2.2 M: one matrix of that size."""
    for architecture, times in (("qwen3", 2), ("llama", 1)):
        layers = 8 * (512 * (2 * 8 * 64 + 2 * 128) + 3 * 512 * 1024)
        parameters = layers + 32000 * 512
        metadata = shape(architecture, vocab_size=32000) | {"general.parameter_count": parameters}
        found = estimate(metadata, weights_bytes=2 * parameters, num_ctx=2048)
        assert found.weights == 2 * parameters + (times - 1) * 2 * 32000 * 512
        told = estimate(metadata, weights_bytes=2 * parameters, num_ctx=2048, embedding_bytes=10 * MIB)
        assert told.weights == 2 * parameters + (times - 1) * 10 * MIB


def test_what_ollama_predicts_for_llama_cpp() -> None:
    """All but the input's embedding, no graph, and of a quantised cache no scales: 32,768 x 8 x 2 x 128 x 1 byte."""
    parameters = 8 * (512 * (2 * 8 * 64 + 2 * 128) + 3 * 512 * 1024) + 2 * 1000 * 512
    metadata = shape("llama") | {"general.parameter_count": parameters}
    found = estimate(metadata, weights_bytes=2 * parameters, num_ctx=32768, kv_cache_type="q8_0")
    assert found.predicted_by_ollama == 2 * parameters - 2 * 1000 * 512 + 64 * MIB
    assert found.kv_cache == 68 * MIB


def test_what_ollama_predicts_for_its_own_engine() -> None:
    found = estimate(shape("qwen3"), weights_bytes=10 * MIB, num_ctx=8192)
    assert found.predicted_by_ollama == found.weights + found.kv_cache + (8 + 9) * MIB


def test_tokens_by_what_they_are_made_of() -> None:
    vocabularies = {
        name: estimate(shape(architecture) | more, weights_bytes=0, num_ctx=2048).vocabulary
        for name, architecture, more in (
            ("pieces", "llama", {}),
            ("pairs", "llama", {"tokenizer.ggml.model": "gpt2"}),
            ("qwen2", "qwen2", {}),
            ("in Go", "qwen3", {}),
        )
    }
    assert vocabularies == {"pieces": 152_000, "pairs": 273_000, "qwen2": 273_000, "in Go": 110_000}
    assert estimate(LLAMA_8B, weights_bytes=0, num_ctx=2048).vocabulary == 273 * 128256


def test_there_is_no_prompt_cache_whatever_its_variable_says() -> None:
    found = estimate(LLAMA_8B, weights_bytes=MIB, num_ctx=2048, prompt_cache_bytes=8192 * MIB)
    assert (found.prompt_cache, found.most) == (0, found.total)


def test_the_parts_are_the_total() -> None:
    found = estimate(LLAMA_8B, weights_bytes=4_920_000_000, num_ctx=8192, parallel=2)
    assert found.total == sum(found) - found.predicted_by_ollama - found.listed_by_ollama - found.later
    assert all(isinstance(part, int) and part >= 0 for part in found)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "architecture None is not known; known: bert, gemma2, gemma3, granite, lfm2, llama"),
        ({"general.architecture": "mamba"}, "architecture 'mamba' is not known"),
        (shape("granite", expert_count=8), "architecture 'granite' with experts is not known"),
        (shape("qwen3", pooling_type=3), "architecture 'qwen3' as an embedding model is not known"),
        (shape("gemma3", **{"vision.block_count": 27}), "architecture 'gemma3' with a vision tower is not known"),
        (shape("llama") | {"clip.vision.block_count": 24}, "architecture 'llama' with a projector is not known"),
    ],
)
def test_what_is_not_known_says_so(metadata: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=said):
        estimate(metadata, weights_bytes=0, num_ctx=2048)


@pytest.mark.parametrize(
    ("metadata", "load", "said"),
    [
        (shape("llama"), {"num_ctx": 0}, "num_ctx is 0, expected 1 or more"),
        (shape("llama"), {"parallel": 0}, "parallel is 0, expected 1 or more"),
        (shape("llama"), {"weights_bytes": -1}, "weights_bytes is -1, expected 0 or more"),
        (shape("llama"), {"kv_cache_type": "q5_1"}, "kv_cache_type is 'q5_1', expected one of f16, q8_0, q4_0"),
        (shape("llama", block_count=0), {}, "llama.block_count is 0 in the model's metadata, expected 1 or more"),
        (shape("llama", block_count="8"), {}, "llama.block_count is '8' in the model's metadata, expected a whole"),
        (shape("llama", **{"attention.head_count_kv": [2, 2]}), {}, "expected 1 or more for each of 8 layers"),
        (shape("llama", **{"attention.head_count_kv": [0, *[2] * 7]}), {}, "expected 1 or more for each of 8 layers"),
        (
            shape("llama", **{"attention.head_count_kv": None}),
            {},
            "is a list that the metadata leave out: ask /api/show",
        ),
    ],
)
def test_what_cannot_be_says_where(metadata: dict[str, Any], load: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate(metadata, **({"weights_bytes": 0, "num_ctx": 2048} | load))


ARCHITECTURES = st.sampled_from(
    ["llama", "qwen2", "granite", "qwen3", "gemma2", "gemma3", "phi3", "bert", "nomic-bert"]
)
LOADS = {
    "kv_cache_type": st.sampled_from(OF_OLLAMA),
    "flash_attention": st.sampled_from([None, True, False]),
}


@given(ARCHITECTURES, st.integers(1, 140_000), st.integers(1, 70_000), st.integers(1, 16), st.fixed_dictionaries(LOADS))
def test_more_context_never_takes_less(
    architecture: str, num_ctx: int, more: int, parallel: int, load: dict[str, Any]
) -> None:
    less, greater = (
        estimate(shape(architecture), weights_bytes=MIB, num_ctx=context, parallel=parallel, **load)
        for context in (num_ctx, num_ctx + more)
    )
    assert less.total <= greater.total
    assert less.predicted_by_ollama <= greater.predicted_by_ollama


@given(ARCHITECTURES, st.integers(1, 140_000), st.integers(1, 30), st.integers(1, 30), st.fixed_dictionaries(LOADS))
def test_more_requests_never_take_less(
    architecture: str, num_ctx: int, parallel: int, more: int, load: dict[str, Any]
) -> None:
    less, greater = (
        estimate(shape(architecture), weights_bytes=MIB, num_ctx=num_ctx, parallel=requests, **load)
        for requests in (parallel, parallel + more)
    )
    assert less.total <= greater.total
    assert less.predicted_by_ollama <= greater.predicted_by_ollama


@given(ARCHITECTURES, st.integers(20 * MIB, 4096 * MIB), st.integers(1, 8), st.fixed_dictionaries(LOADS))
def test_the_largest_context_fits_and_one_more_does_not(
    architecture: str, fits_in: int, parallel: int, load: dict[str, Any]
) -> None:
    metadata = shape(architecture)
    load = {"weights_bytes": MIB, "parallel": parallel, **load}
    found = largest_num_ctx(metadata, fits_in=fits_in, **load)
    if found is not None:
        assert estimate(metadata, num_ctx=found, **load).total <= fits_in
    if found != 131072:
        assert estimate(metadata, num_ctx=(found or 0) + 1, **load).total > fits_in


@given(ARCHITECTURES, st.integers(20 * MIB, 4096 * MIB), st.integers(1, 70_000), st.fixed_dictionaries(LOADS))
def test_the_most_requests_fit_and_one_more_does_not(
    architecture: str, fits_in: int, num_ctx: int, load: dict[str, Any]
) -> None:
    metadata = shape(architecture)
    load = {"weights_bytes": MIB, "num_ctx": num_ctx, **load}
    found = largest_parallel(metadata, fits_in=fits_in, **load)
    if found is not None:
        assert estimate(metadata, parallel=found, **load).total <= fits_in
    if found not in (256, 1 if "bert" in architecture else 256):
        assert estimate(metadata, parallel=(found or 0) + 1, **load).total > fits_in
