"""The estimate of memory from Ollama 0.30 on: figures worked out by hand, or of llama.cpp's own dry run.

`tests/engines/test_memory_dry_run.py` compares all architectures with llama.cpp itself.
"""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_provider.ollama.memory import (
    DEFAULT_PROMPT_CACHE,
    Estimate,
    Tensor,
    UnknownArchitectureError,
    estimate,
    largest_num_ctx,
    largest_parallel,
)
from ollama_provider.ollama.memory.buffers import buffers
from ollama_provider.ollama.memory.compat import translated
from ollama_provider.ollama.memory.graphs.architectures import ARCHITECTURES
from ollama_provider.ollama.memory.llama_server import load_of, read_model
from ollama_provider.ollama.memory.weights import tokens_of

MIB, GIB = 2**20, 2**30
NEWEST = (0, 34, 3)


def model(architecture: str, *, total: int = 0, **keys: Any) -> dict[str, Any]:
    """A double underscore in a key is a dot."""
    own = {f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()}
    return {"general.architecture": architecture, "general.parameter_count": total, "general.file_type": 15, **own}


def shape(architecture: str, **changed: Any) -> dict[str, Any]:
    """8 layers, 512 wide, 1,024 inside, 8 heads of 64, 2 of them with a cache; 1,000 tokens, trained at 128 K."""
    keys = {
        "block_count": 8,
        "embedding_length": 512,
        "feed_forward_length": 1024,
        "attention__head_count": 8,
        "attention__head_count_kv": 2,
        "context_length": 131072,
        "vocab_size": 1000,
    }
    return model(architecture, **(keys | changed))


LLAMA_8B = model(
    "llama",
    block_count=32,
    embedding_length=4096,
    feed_forward_length=14336,
    attention__head_count=32,
    attention__head_count_kv=8,
    context_length=131072,
    vocab_size=128256,
)
QWEN3_30B = model(
    "qwen3moe",
    block_count=48,
    embedding_length=2048,
    feed_forward_length=6144,
    expert_feed_forward_length=768,
    expert_count=128,
    expert_used_count=8,
    attention__head_count=32,
    attention__head_count_kv=4,
    attention__key_length=128,
    attention__value_length=128,
    context_length=131072,
    vocab_size=151936,
)
GEMMA3_1B = model(
    "gemma3",
    block_count=26,
    embedding_length=1152,
    feed_forward_length=6912,
    attention__head_count=4,
    attention__head_count_kv=1,
    attention__key_length=256,
    attention__value_length=256,
    attention__sliding_window=512,
    context_length=32768,
    vocab_size=262144,
)
DEEPSEEK_V2_LITE = model(
    "deepseek2",
    block_count=27,
    embedding_length=2048,
    feed_forward_length=10944,
    leading_dense_block_count=1,
    expert_feed_forward_length=1408,
    expert_count=64,
    expert_used_count=6,
    expert_shared_count=2,
    attention__head_count=16,
    attention__head_count_kv=1,
    attention__key_length=576,
    attention__value_length=512,
    attention__key_length_mla=192,
    attention__value_length_mla=128,
    attention__kv_lora_rank=512,
    rope__dimension_count=64,
    context_length=163840,
    vocab_size=102400,
)


def of(metadata: dict[str, Any], num_ctx: int = 4096, **more: Any) -> Estimate:
    return estimate(metadata, **{"weights_bytes": GIB, "num_ctx": num_ctx, "version": NEWEST, **more})


@pytest.mark.parametrize(
    ("metadata", "num_ctx", "parallel", "cache", "kv_cache", "compute"),
    [
        (LLAMA_8B, 4096, 1, "f16", 512, 120.01),
        (LLAMA_8B, 32768, 1, "f16", 4096, 296.02),
        (LLAMA_8B, 8192, 4, "q8_0", 2176, 232.10),
        (QWEN3_30B, 4096, 1, "f16", 384, 92.01),
        (QWEN3_30B, 32768, 1, "f16", 3072, 240.02),
        (QWEN3_30B, 8192, 4, "q8_0", 1632, 192.10),
        (GEMMA3_1B, 4096, 1, "f16", 38, 54.27),
        (GEMMA3_1B, 32768, 1, "f16", 161, 165.54),
        (GEMMA3_1B, 8192, 4, "q8_0", 138, 122.07),
        (DEEPSEEK_V2_LITE, 4096, 1, "f16", 121.5, 93.01),
        (DEEPSEEK_V2_LITE, 32768, 1, "f16", 972, 242.02),
    ],
)
def test_caches_and_compute_buffer_are_those_that_llama_cpp_reserves(
    metadata: dict[str, Any], num_ctx: int, parallel: int, cache: str, kv_cache: float, compute: float
) -> None:
    """MiB that llama.cpp b10970 says of published shapes; the work space is not reserved, and is not part of it."""
    hparams = read_model(metadata)
    found = buffers(hparams, load_of(hparams, num_ctx, parallel, cache, None))
    assert found.kv_cache / MIB == pytest.approx(kv_cache, abs=1)
    assert found.compute / MIB == pytest.approx(compute, abs=0.01)


@pytest.mark.parametrize(
    ("num_ctx", "parallel", "cache", "mib"),
    [
        (4096, 1, "f16", 512),  # 32 layers x 8 heads x (128 + 128) x 2 bytes x 4096 cells
        (4096, 1, "q8_0", 272),  # 34 bytes for 32 elements
        (4096, 1, "q4_0", 144),  # 18
        (4096, 4, "f16", 2048),
        (4000, 1, "f16", 512),  # cells are padded to 256
        (1, 1, "f16", 32),
        (10**9, 1, "f16", 16384),  # cut to what the model is trained for
    ],
)
def test_the_cache_is_of_every_cell_of_every_request(num_ctx: int, parallel: int, cache: str, mib: int) -> None:
    assert of(LLAMA_8B, num_ctx, parallel=parallel, kv_cache_type=cache).kv_cache == mib * MIB


WINDOWED = shape("gemma3", attention__key_length=64, attention__value_length=64, attention__sliding_window=1024)


def test_layers_with_a_window_have_the_window_and_a_batch() -> None:
    """Five of six layers have a window. A cell is 2 heads x (64 + 64) x 2 bytes: 512.

    One layer has 8192 cells a request: 4 MiB. Seven have 1024 and a batch of 1024: 1 MiB each.
    """
    found = of(WINDOWED, 8192, parallel=2, prompt_cache_bytes=0)
    whole, windows = 2 * 4 * MIB, 2 * 7 * MIB
    assert found.kv_cache == whole + windows
    # What cannot be rolled back is kept: twice while a prompt is read, 32 times at most with what is cached.
    assert (found.checkpoints, found.prompt_cache) == (2 * windows, 30 * windows)
    # /api/ps has the last of two lines of the log.
    work = found.later - found.checkpoints
    assert found.listed_by_ollama == GIB + windows + found.compute - work + 2 * 1000 * 4


def test_a_window_is_no_longer_than_the_context() -> None:
    assert of(WINDOWED, 512).kv_cache == 8 * 512 * 512


def test_latent_keys_have_no_values_beside_them() -> None:
    assert of(DEEPSEEK_V2_LITE).kv_cache == 27 * 576 * 2 * 4096


@pytest.mark.parametrize(
    ("metadata", "elements"),
    [
        # Two layers recur: so many past inputs of the convolution.
        (shape("lfm2", block_count=3, attention__head_count_kv=[0, 2, 0], shortconv__l_cache=3), 2 * 2 * 512),
        # All recur: three past inputs of 1024 + 2 x 16, and 16 x 1024 of state.
        (
            model(
                "mamba2",
                block_count=8,
                embedding_length=512,
                context_length=131072,
                vocab_size=1000,
                ssm__conv_kernel=4,
                ssm__inner_size=1024,
                ssm__state_size=16,
                ssm__time_step_rank=16,
                ssm__group_count=1,
            ),
            8 * (3 * (1024 + 2 * 16) + 16 * 1024),
        ),
    ],
)
def test_states_of_recurrent_layers_do_not_depend_on_the_context(metadata: dict[str, Any], elements: int) -> None:
    short, long = of(metadata, 512), of(metadata, 8192)
    assert short.recurrent == long.recurrent == 4 * elements
    # Two of a prompt, and one copy.
    assert short.checkpoints == 3 * 4 * elements


@pytest.mark.parametrize(
    ("num_ctx", "parallel", "more"), [(4096, 1, 0), (4097, 1, 768), (2048, 4, 768), (32768, 1, 768), (32769, 1, 2048)]
)
def test_what_ollama_predicts_is_the_file_a_plain_cache_and_room_for_a_batch(
    num_ctx: int, parallel: int, more: int
) -> None:
    cache = 2 * 8 * 2 * 64 * 2 * num_ctx * parallel
    for name in ("f16", "q8_0"):
        found = of(shape("llama"), num_ctx, parallel=parallel, kv_cache_type=name)
        assert found.predicted_by_ollama == GIB + cache + more * MIB


def test_a_prediction_takes_the_fewest_heads_with_a_cache_and_at_least_one() -> None:
    found = of(shape("lfm2", block_count=3, attention__head_count_kv=[0, 2, 0], shortconv__l_cache=3))
    assert found.predicted_by_ollama == GIB + 2 * 3 * 1 * 64 * 2 * 4096


def test_some_architectures_are_served_one_request_at_a_time() -> None:
    keys = {"shortconv__l_cache": 3, "attention__head_count_kv": [0, 2] * 4}
    lfm2, llama = shape("lfm2", **keys), shape("llama")
    assert of(lfm2, parallel=8) == of(lfm2)
    assert of(llama, parallel=8) != of(llama)
    assert largest_parallel(lfm2, fits_in=2 * GIB, weights_bytes=GIB, num_ctx=512) == 1
    assert largest_parallel(llama, fits_in=200 * GIB, weights_bytes=GIB, num_ctx=512) == 256


def test_an_embedding_model_keeps_no_prompt_and_grows_by_its_outputs() -> None:
    """Logits and embeddings of each of 2048 tokens, and of one after the load."""
    keys = {"attention__head_count_kv": 8, "attention__causal": False, "pooling_type": 1, "context_length": 2048}
    bert = shape("bert", **keys)
    found = of(bert, 2048, parallel=4)
    assert (found.kv_cache, found.checkpoints, found.prompt_cache) == (0, 0, 0)
    assert found.output == 4 * (1000 + 512) * 2048
    assert found.total - found.at_load >= 4 * (1000 + 512) * 2047


def test_a_prompt_cache_is_on_top_of_the_total() -> None:
    default, none, endless = (of(LLAMA_8B, prompt_cache_bytes=count) for count in (DEFAULT_PROMPT_CACHE, 0, -1))
    assert default.total == none.total == endless.total
    assert (default.most - default.total, none.most - none.total) == (8 * GIB, 0)
    assert endless.most - endless.total == endless.kv_cache


def test_parts_add_up() -> None:
    found = of(LLAMA_8B)
    assert found.total == (
        found.weights + found.kv_cache + found.compute + found.output + found.vocabulary + found.process
    )
    assert found.output == 4 * 128256
    assert found.at_load < found.total < found.at_load + 16 * MIB


@pytest.mark.parametrize(
    ("metadata", "more", "message"),
    [
        (
            shape("llama", attention__key_length=80, attention__value_length=80),
            {},
            "heads of 80, which is not a multiple",
        ),
        (shape("llama"), {"flash_attention": False}, "q8_0 without flash attention"),
    ],
)
def test_a_quantised_cache_that_llama_server_refuses_is_an_error(
    metadata: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    assert of(metadata, **more).kv_cache
    with pytest.raises(ValueError, match=message):
        of(metadata, kv_cache_type="q8_0", **more)


def test_without_flash_attention_scores_take_memory() -> None:
    assert of(LLAMA_8B, flash_attention=False).compute > of(LLAMA_8B).compute + 4 * 32 * 512 * 4096


def test_the_version_says_which_engine_it_is() -> None:
    old, new = of(LLAMA_8B, version=(0, 29, 9)), of(LLAMA_8B, version=(0, 30, 0))
    assert (old.prompt_cache, new.prompt_cache) == (0, DEFAULT_PROMPT_CACHE)
    assert old.vocabulary != new.vocabulary
    assert of(LLAMA_8B, version=None) == of(LLAMA_8B)


@pytest.mark.parametrize(("num_ctx", "batch"), [(512, 512), (8192, 1024), (40000, 2048)])
def test_some_graphs_have_room_for_forty_nodes_a_token(num_ctx: int, batch: int) -> None:
    """The header of a tensor, and its place in a graph: twice."""
    keys = {"attention__head_count_kv": [0, 0, 0, 2] * 2, "attention__key_length": 64, "attention__value_length": 64}
    states = {"ssm__conv_kernel": 4, "ssm__inner_size": 512, "ssm__state_size": 64, "ssm__time_step_rank": 8}
    qwen35 = shape("qwen35", **keys, **states, ssm__group_count=2, rope__dimension_count=64)
    found = of(qwen35, num_ctx).process - of(shape("llama"), num_ctx).process
    assert found == 2 * 410 * (40 * batch - 1024)


# Weights


def tensors(embedding: str, *more: Tensor) -> list[Tensor]:
    return [Tensor("token_embd.weight", (512, 1000), embedding), Tensor("output_norm.weight", (512,), "F32"), *more]


@pytest.mark.parametrize(
    ("embedding", "size"),
    [
        ("F16", 1024000),
        ("Q6_K", 420000),
        # Kept in another order for the output, once more.
        ("Q4_K", 2 * 288000),
    ],
)
def test_weights_are_those_of_the_tensors(embedding: str, size: int) -> None:
    assert of(shape("llama"), tensors=tensors(embedding)).weights == size + 2048
    assert of(shape("llama")).weights == GIB


def test_an_output_of_its_own_is_as_large_as_it_is() -> None:
    own = tensors("Q4_K", Tensor("output.weight", (512, 1000), "Q6_K"))
    assert of(shape("llama"), tensors=own).weights == 288000 + 2048 + 420000


def test_the_layers_of_a_draft_are_not_loaded() -> None:
    draft = Tensor("blk.7.attn_q.weight", (512, 512), "F16")
    assert of(shape("llama"), tensors=tensors("F16", draft)).weights == 1024000 + 2048 + 524288
    with_draft = shape("llama", nextn_predict_layers=1)
    assert of(with_draft, tensors=tensors("F16", draft)).weights == 1024000 + 2048


def test_a_type_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'token_embd\.weight' is of the type 'Q9_X', expected one of F32, F16"):
        of(shape("llama"), tensors=tensors("Q9_X"))


@pytest.mark.parametrize(
    ("special", "parameters", "tokens"),
    [
        ({}, 8_030_261_248, 256577),  # an output of its own looks like more tokens
        ({"tokenizer.ggml.eos_token_id": 128009}, 8_030_261_248, 128288),
        ({"tokenizer.ggml.eos_token_id": 128009}, 8_030_261_248 - 128256 * 4096, 128321),
    ],
)
def test_tokens_that_nothing_tells_follow_from_the_parameters(
    special: dict[str, int], parameters: int, tokens: int
) -> None:
    known = {key: value for key, value in LLAMA_8B.items() if key != "llama.vocab_size"}
    found = of({**known, **special, "general.parameter_count": parameters})
    assert found.vocabulary == 280 * tokens


@pytest.mark.parametrize(
    ("layers", "width", "inner", "context", "parameters", "tokens"),
    [
        (6, 384, 1536, 512, 22_565_376, 30_522),  # all-minilm
        (12, 768, 3072, 512, 108_891_648, 30_522),  # bge-base
        (24, 1024, 4096, 8192, 566_703_104, 250_002),  # bge-m3
    ],
)
def test_tokens_of_bert_follow_from_two_matrices_a_layer_and_its_positions(
    layers: int, width: int, inner: int, context: int, parameters: int, tokens: int
) -> None:
    keys = {"block_count": layers, "embedding_length": width, "feed_forward_length": inner, "context_length": context}
    heads = {"attention__head_count": width // 64, "attention__head_count_kv": width // 64}
    metadata = model("bert", total=parameters, pooling_type=1, **keys, **heads)
    assert tokens_of(read_model(metadata)) == pytest.approx(tokens, rel=0.02)


# What is not known


@pytest.mark.parametrize("architecture", ["rwkv7", "t5", "mllama", "nobodys"])
def test_an_architecture_that_is_not_known_is_named(architecture: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=f"'{architecture}' is not known"):
        of(shape(architecture))


@pytest.mark.parametrize("key", ["gemma3.vision.block_count", "clip.vision.block_count"])
def test_a_projector_is_not_known(key: str) -> None:
    with pytest.raises(UnknownArchitectureError, match="'gemma3' with a projector is not known"):
        of({**GEMMA3_1B, key: 27})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"block_count": 0}, "llama.block_count is 0"),
        ({"embedding_length": "many"}, "llama.embedding_length is 'many'"),
        ({"attention__head_count_kv": None}, "ask /api/show with verbose"),
        ({"attention__head_count_kv": [2, 2]}, "has 2 entries in the model's metadata, expected one for each of 8"),
    ],
)
def test_metadata_that_cannot_be_are_an_error(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of(shape("llama", **changed))


@pytest.mark.parametrize("version", [NEWEST, (0, 12, 0)])
@pytest.mark.parametrize("cache", ["f16", "q8_0", "q4_0"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"attention__key_length": 0}, r"^llama\.attention\.key_length is 0"),
        ({"attention__value_length": 0}, r"^llama\.attention\.value_length is 0"),
        ({"attention__head_count": 513}, r"^llama\.attention\.head_count is 513 .*, expected up to the 512"),
    ],
)
def test_heads_without_a_length_are_an_error_whatever_the_cache(
    changed: dict[str, Any], message: str, cache: str, version: tuple[int, int, int]
) -> None:
    with pytest.raises(ValueError, match=message):
        of(shape("llama", **changed), kv_cache_type=cache, version=version)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_no_architecture_has_heads_without_a_length(architecture: str) -> None:
    with pytest.raises(ValueError, match=rf"^{architecture}\.attention\.key_length is 0"):
        of(shape(architecture, attention__key_length=0), kv_cache_type="q8_0")


def test_layers_with_a_window_have_heads_with_a_length() -> None:
    keys = {"sliding_window": 512, "sliding_window_pattern": [True] * 8, "key_length_swa": 0, "value_length_swa": 64}
    metadata = shape("gemma4", **{f"attention__{key}": value for key, value in keys.items()})
    with pytest.raises(ValueError, match=r"^gemma4\.attention\.key_length_swa is 0"):
        of(metadata, kv_cache_type="q8_0")


def test_no_more_of_a_latent_key_is_turned_than_it_has() -> None:
    with pytest.raises(ValueError, match=r"^deepseek2\.rope\.dimension_count is 193 .*, expected up to the 192"):
        of({**DEEPSEEK_V2_LITE, "deepseek2.rope.dimension_count": 193})


HOSTILE = [2**32 - 1, 2**64 - 1, 10**6, 10**3999, 1e400, float("nan"), -1]


@pytest.mark.parametrize("version", [NEWEST, (0, 12, 0)])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:10])
def test_a_number_that_no_model_has_is_an_error_of_one_short_line(value: float, version: tuple[int, int, int]) -> None:
    metadata = shape("llama", block_count=value)
    with pytest.raises(ValueError, match=r"^llama\.block_count is .*, expected a whole number up to 1024$") as caught:
        estimate(metadata, weights_bytes=0, num_ctx=2048, version=version)
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize("key", ["context_length", "embedding_length", "expert_count", "expert_used_count"])
@pytest.mark.parametrize("value", [2**64 - 1, float("inf"), float("nan")], ids=repr)
@pytest.mark.parametrize("version", [NEWEST, (0, 12, 0)])
def test_every_number_has_a_bound(key: str, value: float, version: tuple[int, int, int]) -> None:
    metadata = shape("qwen3moe", **{"expert_count": 8, "expert_feed_forward_length": 64, key: value})
    with pytest.raises(ValueError, match=rf"^qwen3moe\.{key} is .*, expected a whole number up to \d+$"):
        estimate(metadata, weights_bytes=0, num_ctx=2048, version=version)


def test_the_count_of_parameters_has_a_bound() -> None:
    with pytest.raises(ValueError, match=r"^general\.parameter_count is inf"):
        of({**shape("llama"), "general.parameter_count": float("inf")})


def test_the_largest_context_of_a_trained_one_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^llama\.context_length is inf"):
        largest_num_ctx(shape("llama", context_length=float("inf")), fits_in=GIB, weights_bytes=0)


def test_many_layers_are_known_where_they_repeat_and_an_error_where_all_differ() -> None:
    assert of(shape("llama", block_count=1024)).kv_cache
    different = shape("llama", block_count=1024, attention__key_length=64, attention__head_count=[*range(8, 1032)])
    with pytest.raises(ValueError, match=r"^llama\.block_count is 1024 .* 1024 layers that differ"):
        of(different)


@pytest.mark.parametrize("version", [NEWEST, (0, 12, 0)])
@pytest.mark.parametrize(
    "architecture", [["llama"], {"a": 1}, 7, None, "l" * 10**6], ids=lambda value: repr(value)[:20]
)
def test_an_architecture_that_is_no_short_text_is_not_known(
    architecture: object, version: tuple[int, int, int]
) -> None:
    with pytest.raises(UnknownArchitectureError, match="is not known") as caught:
        of({**shape("llama"), "general.architecture": architecture}, version=version)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        (shape("glm4moelite", attention__kv_lora_rank="x"), "glm4moelite.attention.kv_lora_rank"),
        (
            shape("glm4moelite", attention__kv_lora_rank=8, rope__dimension_count=[1]),
            "glm4moelite.rope.dimension_count",
        ),
        (shape("qwen35", attention__head_count_kv=[2, "2"]), "qwen35.attention.head_count_kv"),
        (shape("glm4", rope__dimension_sections=["a", "b"]), "glm4.rope.dimension_sections"),
    ],
)
def test_a_value_of_a_wrong_type_is_said_with_its_key(metadata: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(key)} is .*, expected a whole number"):
        of(metadata)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [("gemma3", "dense.0.weight"), ("lfm2", "blk.0.ffn_gate.weight"), ("gptoss", "blk.0.ffn_gate_exps.weight")],
)
def test_a_tensor_that_is_no_matrix_tells_no_width(architecture: str, name: str) -> None:
    found, _ = translated(shape(architecture), [Tensor(name, (64,), "F16")])
    assert "gemma-embedding.dense_2_feat_out" not in found
    assert 64 not in found.values()


_ANY_KEY = st.sampled_from(
    [
        *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "pooling_type"),
        *("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"),
        *("attention.key_length_mla", "attention.value_length_mla", "attention.key_length_swa"),
        *("attention.kv_lora_rank", "attention.q_lora_rank", "attention.recurrent_layers"),
        *("attention.shared_kv_layers", "attention.sliding_window", "attention.sliding_window_pattern"),
        *("attention.temperature_scale", "embedding_length_per_layer_input", "embedding_scale", "residual_scale"),
        *("expert_count", "expert_used_count", "expert_group_count", "expert_group_used_count", "experts_per_group"),
        *("expert_feed_forward_length", "expert_shared_feed_forward_length", "expert_shared_count"),
        *("expert_gating_func", "expert_weights_norm", "expert_weights_scale", "expert_chunk_feed_forward_length"),
        *("final_logit_softcapping", "full_attention_interval", "interleave_moe_layer_step"),
        *("leading_dense_block_count", "moe_every_n_layers", "moe_latent_size", "n_deepstack_layers"),
        *("nextn_predict_layers", "rope.dimension_count", "rope.dimension_sections", "rope.scaling.finetuned"),
        *("shortconv.l_cache", "ssm.conv_kernel", "ssm.dt_b_c_rms", "ssm.group_count", "ssm.inner_size"),
        *("ssm.state_size", "ssm.time_step_rank", "use_parallel_residual", "vision.block_count"),
    ]
)
_ANY_VALUE = st.sampled_from(
    [
        *(0, 1, 2, 3, 7, 8, 64, 255, 256, 1024, 2**31, 2**32 - 1, 2**32, 2**64 - 1, -1, 10**400),
        *(1.5, 4.0, float("inf"), float("nan"), True, False, None, "8", "", "x" * 1000),
        *([], [1], [0] * 8, [*range(8)], [4] * 1024, ["a"] * 8, [None] * 8, [[1]] * 8, [True] * 8, {}, {"a": [1]}),
    ]
)
_ANY_TENSOR = st.builds(
    Tensor,
    st.sampled_from(
        [
            *("token_embd.weight", "output.weight", "dense.0.weight", "blk.0.attn_q.weight", "blk.0.attn_qkv.weight"),
            *("blk.0.ffn_gate.weight", "blk.0.ffn_gate_exps.weight", "blk.0.ffn_gate_inp.weight", "t" * 1000),
            *("blk.0.ffn_latent_in.weight", "blk.0.ffn_up_exps.weight"),
        ]
    ),
    st.lists(st.sampled_from([0, 1, 64, 1000]), max_size=4).map(tuple),
    st.sampled_from(["F16", "Q4_K", "MXFP4", "none" * 100]),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(
    architecture=st.sampled_from([*sorted(ARCHITECTURES), "gptoss", "glm4moelite", "olmo3", "qwen25vl"]),
    keys=st.dictionaries(_ANY_KEY, _ANY_VALUE, max_size=6),
    general=st.dictionaries(
        st.sampled_from(
            [
                *("general.architecture", "general.file_type", "general.parameter_count", "tokenizer.ggml.model"),
                *("tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id"),
            ]
        ),
        _ANY_VALUE,
        max_size=1,
    ),
    tensors=st.none() | st.lists(_ANY_TENSOR, max_size=4),
    cache=st.sampled_from(["f16", "q8_0", "q4_0"]),
    version=st.sampled_from([NEWEST, (0, 12, 0)]),
)
def test_any_metadata_give_a_figure_or_one_short_line(
    architecture: str,
    keys: dict[str, Any],
    general: dict[str, Any],
    tensors: list[Tensor] | None,
    cache: str,
    version: tuple[int, int, int],
) -> None:
    metadata = shape(architecture) | {f"{architecture}.{key}": value for key, value in keys.items()} | general
    try:
        found = of(metadata, kv_cache_type=cache, version=version, tensors=tensors)
    except ValueError as error:
        assert len(str(error)) < 700
        assert str(error).isprintable()
    else:
        assert min(found) >= 0
        largest_num_ctx(metadata, fits_in=GIB, weights_bytes=GIB, kv_cache_type=cache, version=version)
        largest_parallel(metadata, fits_in=GIB, weights_bytes=GIB, num_ctx=4096, kv_cache_type=cache, version=version)


# Ollama's own form of GGUF


def test_gpt_oss_of_ollamas_own_converter_is_that_of_llama_cpp() -> None:
    keys = {
        "expert_count": 32,
        "expert_used_count": 4,
        "attention__sliding_window": 128,
        "attention__key_length": 64,
        "attention__value_length": 64,
    }
    assert of(shape("gptoss", **keys)) == of(shape("gpt-oss", expert_feed_forward_length=1024, **keys))


def test_glm_of_ollamas_own_converter_has_latent_keys() -> None:
    keys = {"attention__kv_lora_rank": 512, "attention__key_length": 256, "rope__dimension_count": 64}
    found, _ = translated(shape("glm4moelite", **keys))
    own = {key.removeprefix("deepseek2."): value for key, value in found.items() if key.startswith("deepseek2.att")}
    assert own["attention.key_length"] == 576
    assert own["attention.value_length"] == 512
    assert own["attention.key_length_mla"] == own["attention.value_length_mla"] == 256
    assert own["attention.head_count_kv"] == 1


def test_tensors_of_pictures_are_not_loaded_with_the_text() -> None:
    _, listed = translated(shape("gemma3"), tensors("F16", Tensor("v.blk.0.attn_q.weight", (8, 8), "F16")))
    assert [one.name for one in listed or ()] == ["token_embd.weight", "output_norm.weight"]


# What fits


def test_a_context_that_is_not_known_fits_nowhere() -> None:
    """A graph of a few tokens has all layers, and of 1024 that is too large to be built here."""
    layers = shape("llama", block_count=1024)
    assert of(layers).kv_cache
    with pytest.raises(ValueError, match="takes about"):
        of(layers, 1)
    assert largest_num_ctx(layers, fits_in=GIB, weights_bytes=GIB) is None
    assert largest_parallel(layers, fits_in=GIB, weights_bytes=GIB, num_ctx=1) is None
    assert (largest_num_ctx(layers, fits_in=10 * GIB, weights_bytes=GIB) or 0) > 4096


@settings(deadline=None, max_examples=30)
@given(room=st.integers(0, 24 * GIB), parallel=st.integers(1, 4))
def test_the_largest_context_fits_and_a_far_larger_does_not(room: int, parallel: int) -> None:
    """Not the next: a compute buffer may shrink by a little where a context grows."""
    found = largest_num_ctx(LLAMA_8B, fits_in=room, weights_bytes=4 * GIB, parallel=parallel, version=NEWEST)
    if found is None:
        assert of(LLAMA_8B, 1, weights_bytes=4 * GIB, parallel=parallel).total > room
        return
    assert of(LLAMA_8B, found, weights_bytes=4 * GIB, parallel=parallel).total <= room
    if found < 131072:
        assert of(LLAMA_8B, found + 1024, weights_bytes=4 * GIB, parallel=parallel).total > room


_KEYS = st.fixed_dictionaries(
    {},
    optional={
        "attention__head_count": st.sampled_from([0, 8, [8] * 8]),
        "attention__head_count_kv": st.sampled_from([0, 2, 8, [2, 2, 0, 2, 0, 0, 2, 2], [0] * 8]),
        "attention__key_length": st.sampled_from([0, 64, 80]),
        "attention__kv_lora_rank": st.sampled_from([0, 64]),
        "attention__key_length_mla": st.sampled_from([0, 64]),
        "attention__sliding_window": st.sampled_from([0, 512]),
        "attention__sliding_window_pattern": st.sampled_from([0, 2, [True] * 8]),
        "expert_count": st.sampled_from([0, 8]),
        "expert_used_count": st.sampled_from([0, 2]),
        "expert_group_count": st.sampled_from([0, 2]),
        "feed_forward_length": st.sampled_from([0, 1024, [0, 1024] * 4]),
        "full_attention_interval": st.sampled_from([0, 4]),
        "leading_dense_block_count": st.sampled_from([0, 20]),
        "nextn_predict_layers": st.sampled_from([0, 1]),
        "pooling_type": st.sampled_from([0, 1]),
        "rope__dimension_count": st.sampled_from([0, 64]),
        "shortconv__l_cache": st.sampled_from([0, 3]),
        "ssm__conv_kernel": st.sampled_from([0, 4]),
        "ssm__inner_size": st.sampled_from([0, 1024]),
        "ssm__state_size": st.just(16),
        "ssm__time_step_rank": st.sampled_from([0, 16]),
        "ssm__group_count": st.just(1),
    },
)


@settings(deadline=None, max_examples=100)
@given(
    architecture=st.sampled_from(sorted(ARCHITECTURES)),
    keys=_KEYS,
    num_ctx=st.integers(1, 70_000),
    parallel=st.integers(1, 16),
    flash=st.sampled_from([None, True, False]),
    cache=st.sampled_from(["f16", "q8_0"]),
)
def test_every_architecture_gives_a_figure_or_says_what_is_missing(
    architecture: str, keys: dict[str, Any], num_ctx: int, parallel: int, flash: bool | None, cache: str
) -> None:
    metadata = shape(architecture, **keys)
    try:
        found = of(metadata, num_ctx, parallel=parallel, flash_attention=flash, kv_cache_type=cache)
    except ValueError as error:
        assert architecture in str(error) or "a KV cache of q8_0" in str(error)
        return
    assert min(found) >= 0
    assert found.weights < found.at_load <= found.total <= found.most
