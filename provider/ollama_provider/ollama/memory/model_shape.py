"""What a GGUF's metadata say about the shape of a model, as far as memory depends on it in Ollama before 0.30."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ollama_provider.ollama.memory.hparams import check_heads, parameter_count, quoted, whole
from ollama_provider.ollama.memory.parts import UnknownArchitectureError

# Served by llama.cpp inside Ollama; "llama" is mistral, mixtral and most others, too.
LLAMA_RUNNER = frozenset({"llama", "qwen2", "phi3", "gemma2", "granite"})
# Served by Ollama's own engine (`OllamaEngineRequired` in fs/ggml/ggml.go).
OLLAMA_RUNNER = frozenset({"qwen3", "qwen3moe", "gemma3", "lfm2", "bert", "nomic-bert"})
# Of those, with flash attention where nothing else is asked (`FlashAttention`, ibid.).
FLASH_ATTENTION = frozenset({"qwen3", "qwen3moe", "gemma3", "lfm2"})
# Served one request at a time, whatever OLLAMA_NUM_PARALLEL says (server/sched.go), as embedding models are.
ONE_AT_A_TIME = frozenset({"lfm2"})
EMBEDDING = frozenset({"bert", "nomic-bert"})
SUPPORTED = LLAMA_RUNNER | OLLAMA_RUNNER

# No GGUF of these has an output matrix: the embedding's is used twice.
_ALWAYS_TIED = frozenset({"gemma2", "gemma3"}) | EMBEDDING
# Every qwen2 and qwen3 has about 152 thousand tokens; more than this is the embedding and an output of its own.
_MOST_TOKENS = 200_000
# A llama with more tokens than any SentencePiece one has byte pairs, as from Llama 3 on.
_MOST_PIECES = 65_536


class ModelShape(NamedTuple):
    """Counts of elements, not bytes. `kv_heads` has one entry a layer, 0 where it is recurrent.

    `window` is 0 where no layer has one; `inner` is one expert's where there are `experts`; a recurrent layer keeps
    `convolution` rows of `width`.
    """

    architecture: str
    layers: int
    width: int
    inner: int
    experts: int
    experts_used: int
    heads: int
    kv_heads: tuple[int, ...]
    key: int
    value: int
    window: int
    convolution: int
    trained_context: int
    parameters: int
    vocabulary: int
    is_tied: bool
    tokenizer: str
    """`tokenizer.ggml.model`, empty where it is not told."""

    @property
    def is_embedding(self) -> bool:
        return self.architecture in EMBEDDING

    @property
    def most_parallel(self) -> int | None:
        """How many requests at once Ollama lets the model have at most; None: as many as are asked for."""
        return 1 if self.is_embedding or self.architecture in ONE_AT_A_TIME else None

    @property
    def has_byte_pairs(self) -> bool:
        if self.tokenizer:
            return self.tokenizer == "gpt2"
        return self.architecture == "qwen2" or (self.architecture == "llama" and self.vocabulary > _MOST_PIECES)

    def is_global(self, layer: int) -> bool:
        """Whether a layer attends to the whole context and not to a window.

        gemma2: every second (`set_swa_pattern(2)`), gemma3: every sixth (`gemmaGlobalCacheCount`), whatever
        `attention.sliding_window_pattern` says. llama.cpp ignores phi3's window.
        """
        every = {"gemma2": 2, "gemma3": 6}.get(self.architecture, 1)
        return self.window == 0 or (layer + 1) % every == 0


def read_shape(metadata: Mapping[str, Any]) -> ModelShape:
    """The shape of a model from `model_info` of /api/show, or the same keys of its GGUF.

    The keys of a projector, where there is one, are among them. Raises UnknownArchitectureError for what is not
    supported, vision towers and most mixtures of experts among it, and ValueError for metadata that lack a key or have
    a value that cannot be.
    """
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in SUPPORTED:
        known = ", ".join(sorted(SUPPORTED))
        raise UnknownArchitectureError(
            f"the memory of the architecture {quoted(architecture)} is not known; known: {known}"
        )
    for part, what, known_of in (
        ("expert_count", "with experts", {"llama", "qwen3moe"}),
        ("pooling_type", "as an embedding model", EMBEDDING),
        ("vision.block_count", "with a vision tower", ()),
    ):
        if metadata.get(f"{architecture}.{part}") and architecture not in known_of:
            raise UnknownArchitectureError(f"the memory of the architecture {architecture!r} {what} is not known")

    if any(key.startswith("clip.") for key in metadata):
        raise UnknownArchitectureError(f"the memory of the architecture {architecture!r} with a projector is not known")

    def number(key: str, default: int | None = None, *, least: int = 0) -> int:
        return whole(f"{architecture}.{key}", metadata.get(f"{architecture}.{key}", default), key, least=least)

    def positive(key: str, default: int | None = None) -> int:
        return number(key, default, least=1)

    def head_length(key: str) -> int:
        if architecture == "gemma3":
            return positive(key, 256)
        if metadata.get(f"{architecture}.{key}") is None:
            check_heads(architecture, heads, width)
        return positive(key, width // heads)

    layers, heads, width = positive("block_count"), positive("attention.head_count"), positive("embedding_length")
    shape = ModelShape(
        architecture=architecture,
        layers=layers,
        width=width,
        inner=number("expert_feed_forward_length" if architecture == "qwen3moe" else "feed_forward_length"),
        experts=number("expert_count", 0),
        experts_used=number("expert_used_count", 0),
        heads=heads,
        kv_heads=_kv_heads(metadata.get(f"{architecture}.attention.head_count_kv", heads), architecture, layers),
        key=head_length("attention.key_length"),
        value=head_length("attention.value_length"),
        window=number("attention.sliding_window", 4096 if architecture == "gemma2" else 0)
        if architecture in ("gemma2", "gemma3")
        else 0,
        convolution=max(0, number("shortconv.l_cache") - 1) if architecture == "lfm2" else 0,
        trained_context=number("context_length", 0),
        parameters=parameter_count(metadata),
        vocabulary=number("vocab_size", 0),
        is_tied=architecture in _ALWAYS_TIED,
        tokenizer=str(metadata.get("tokenizer.ggml.model") or ""),
    )
    return _with_vocabulary(shape)


def _kv_heads(found: Any, architecture: str, layers: int) -> tuple[int, ...]:
    key, least = f"{architecture}.attention.head_count_kv", 0 if architecture == "lfm2" else 1
    if found is None:
        raise ValueError(f"{key} is a list that the metadata leave out: ask /api/show with verbose, or read the GGUF")
    a_layer = found if isinstance(found, (list, tuple)) else [found] * layers
    if len(a_layer) != layers or any(whole(key, heads) < least for heads in a_layer):
        raise ValueError(
            f"{key} is {quoted(found)} in the model's metadata, expected {least} or more for each of {layers} layers"
        )
    return tuple(whole(key, heads) for heads in a_layer)


def _with_vocabulary(shape: ModelShape) -> ModelShape:
    """What the layers do not have of the parameters are embeddings: one matrix where they are tied, else two.

    `vocab_size` is in some GGUFs only, and /api/show leaves the list of tokens out.
    """
    rest = shape.parameters - _layer_parameters(shape)
    rows = max(0, round(rest / shape.width))
    if shape.parameters == 0:
        return shape
    if shape.is_tied:
        return shape._replace(vocabulary=shape.vocabulary or rows)
    if shape.vocabulary:
        return shape._replace(is_tied=rows < 1.5 * shape.vocabulary)
    is_tied = rows < _MOST_TOKENS
    return shape._replace(vocabulary=rows if is_tied else rows // 2, is_tied=is_tied)


def _layer_parameters(shape: ModelShape) -> int:
    """Elements of all matrices but the embeddings of tokens; norms and biases count for nothing beside them."""
    attention = sum(
        shape.width * (2 * shape.heads * shape.key + kv_heads * (shape.key + shape.value))
        if kv_heads
        else 4 * shape.width**2
        for kv_heads in shape.kv_heads
    )
    matrices = (2 if shape.architecture == "bert" else 3) * max(1, shape.experts)
    positions = shape.trained_context * shape.width if shape.architecture == "bert" else 0
    return attention + shape.layers * matrices * shape.width * shape.inner + positions
