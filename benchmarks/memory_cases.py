"""What `memory_accuracy` measures: the models and loads that the estimate was made with, and others drawn by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import exp, log
from random import Random

from ollama_provider.ollama.settings.kv_cache_types import OF_OLLAMA
from ollama_provider.ollama.sizes import MIB
from tests.engines.tiny_architectures import EMBEDDING, WEIGHTS, Shape

CONTEXTS = (2048, 8192, 32768)
FILLED_UP_TO = 2048


@dataclass(frozen=True)
class Model:
    what: str
    architecture: str
    shape: Shape

    @property
    def embeds(self) -> bool:
        return self.architecture in EMBEDDING


MODELS = (
    Model("llama", "llama", Shape()),
    Model("llama, 8 KV heads", "llama", Shape(kv_heads=8)),
    Model("llama, tied, 32,000 tokens", "llama", Shape(vocabulary=32000, has_output=False)),
    Model("mistral: llama, 4 times as wide inside", "llama", Shape(inner=4096, vocabulary=32000)),
    Model("mixtral: llama, 2 experts of 8", "llama", Shape(experts=8, experts_used=2)),
    Model("qwen2", "qwen2", Shape()),
    Model("qwen2, 100,000 tokens", "qwen2", Shape(vocabulary=100_000)),
    Model("qwen3", "qwen3", Shape()),
    Model("qwen3, tied, 32,000 tokens", "qwen3", Shape(vocabulary=32000, has_output=False)),
    Model("gemma2", "gemma2", Shape()),
    Model("gemma3", "gemma3", Shape(layers=12)),
    Model("gemma3, window 512, 4 KV heads", "gemma3", Shape(layers=12, window=512, kv_heads=4)),
    Model("phi3", "phi3", Shape()),
    Model("granite", "granite", Shape()),
    Model("qwen3moe, 4 experts of 8", "qwen3moe", Shape(experts=8, experts_used=4)),
    Model("lfm2, 2 layers of 8 with attention", "lfm2", Shape()),
    Model("bert", "bert", Shape(context_length=512)),
    Model("bert, 1,024 wide", "bert", Shape(width=1024, inner=4096, heads=16, context_length=512)),
    Model("nomic-bert", "nomic-bert", Shape(context_length=2048)),
)


@dataclass(frozen=True)
class Case:
    """A model and how it is loaded; its contexts are filled `fills` times, each with other prompts.

    `flash_attention` is OLLAMA_FLASH_ATTENTION, None where it is not set.
    """

    model: Model
    num_ctx: int
    parallel: int
    kv_cache_type: str
    flash_attention: bool | None
    fills: int

    @property
    def server(self) -> dict[str, str]:
        """The variables of a server that loads it so."""
        variables = {"OLLAMA_NUM_PARALLEL": str(self.parallel), "OLLAMA_KV_CACHE_TYPE": self.kv_cache_type}
        if self.flash_attention is not None:
            variables["OLLAMA_FLASH_ATTENTION"] = str(int(self.flash_attention))
        return variables

    def __str__(self) -> str:
        flash = {None: "", True: ", flash", False: ", no flash"}[self.flash_attention]
        often = f", filled {self.fills} times" if self.fills > 1 else ""
        return f"{self.num_ctx} x {self.parallel}, {self.kv_cache_type}{flash}{often}"


def fitted(models: tuple[Model, ...] = MODELS, *, quick: bool) -> Iterator[Case]:
    """By server: all of one number of requests and one type of cache together."""
    for parallel, kv_cache_type in ((1, "f16"), (4, "q8_0")) if quick else product((1, 4), ("f16", "q8_0")):
        for model, num_ctx in product(models, CONTEXTS[:2] if quick else CONTEXTS):
            if model.embeds and (num_ctx != CONTEXTS[0] or (parallel, kv_cache_type) != (1, "f16")):
                continue  # one at a time, without a cache, and no longer than trained
            flash_attention = True if kv_cache_type != "f16" else None
            fills = int(num_ctx * parallel <= FILLED_UP_TO)
            yield Case(model, num_ctx, parallel, kv_cache_type, flash_attention, fills)


def repeated() -> Iterator[Case]:
    """Long prompts, twelve a request: what Ollama's own engine leaves behind comes near to its most.

    The models are next to nothing, so that it is read in minutes what is left beside them.
    """
    small = Shape(layers=2, width=64, inner=64, heads=1, kv_heads=1, vocabulary=1000)
    models = (
        Model("qwen3, 2 x 64", "qwen3", small),
        Model("qwen3moe, 2 x 64", "qwen3moe", small._replace(experts=2, experts_used=1)),
        Model("gemma3, 6 x 64", "gemma3", small._replace(layers=6)),
        Model("lfm2, 3 x 64", "lfm2", small._replace(layers=3)),
    )
    for parallel, num_ctx in ((1, 4096), (1, 12288), (4, 2048)):
        for model in models:
            yield Case(model, num_ctx, parallel, "f16", flash_attention=None, fills=12)


# The held-out set. Weights are in steps of the largest block of a type, heads in steps of the cache's.
_OF_WIDTHS, _OF_HEADS, _LONGEST_HEAD = 256, 32, 256
_WEIGHTS, _FILLED_WEIGHTS = (32 * MIB, 1536 * MIB), (4 * MIB, 128 * MIB)
_MOST_CACHE = 1024 * MIB
_MOST_TOKENS = 131_072
_LEAST_LAYERS, _MOST_LAYERS = 6, 48
# Products: so many are computed in about a minute by one thread without the wider instructions.
_MOST_FILLING = 10**11
_CONTEXTS, _FILLED_CONTEXTS = (256, 65536), (256, 8192)
_BYTES = {"F16": 2.0, "BF16": 2.0, "Q8_0": 34 / 32, "Q4_0": 18 / 32, "Q4_K": 144 / 256}
_OWN_KEY_LENGTH = frozenset({"llama", "granite", "gemma2", "gemma3", "qwen3", "qwen3moe"})
_MOST_VOCABULARY = {"gemma2": 260_000, "gemma3": 260_000, "bert": 60_000, "nomic-bert": 60_000}
ARCHITECTURES = tuple(dict.fromkeys(model.architecture for model in MODELS))


def held_out(seed: int, count: int, architectures: tuple[str, ...] = ARCHITECTURES) -> Iterator[Case]:
    """Shapes and loads that no constant was fitted on, each architecture in turn; the same seed gives the same.

    Of each architecture, every other one is small enough for its contexts to be filled.
    """
    for number in range(count):
        architecture = architectures[number % len(architectures)]
        random = Random(f"{seed} {number} {architecture}")
        is_filled = number // len(architectures) % 2 == 0
        parallel, num_ctx = random.randint(1, 8), _spread(random, *(_FILLED_CONTEXTS if is_filled else _CONTEXTS))
        load = (parallel, num_ctx, is_filled)
        while (case := _drawn(random, architecture, number, load)) is None:
            # Where hardly any shape is small enough for so long a context, a shorter one will do.
            num_ctx = max(_CONTEXTS[0], num_ctx * 999 // 1000)
            load = (parallel, num_ctx, is_filled)
        yield case


def _drawn(random: Random, architecture: str, number: int, load: tuple[int, int, bool]) -> Case | None:
    """None where the draw is of a size that would not be measured in time."""
    (parallel, num_ctx, is_filled), embeds = load, architecture in EMBEDDING
    width = _OF_WIDTHS * random.randint(1, 12)
    key = random.choice((0, 64, 96, 128, 256)) if architecture in _OWN_KEY_LENGTH else 0
    heads = random.choice([count for count in range(1, 49) if key or _divides(width, count)])
    experts = random.randint(2, 32) if architecture == "qwen3moe" else 0
    shape = Shape(
        width=width,
        inner=_OF_WIDTHS * random.randint(1, max(1, 5 * width // _OF_WIDTHS // (4 if experts else 1))),
        heads=heads,
        kv_heads=heads if embeds else random.choice([count for count in range(1, heads + 1) if heads % count == 0]),
        vocabulary=_spread(random, 1000, _MOST_VOCABULARY.get(architecture, 160_000)),
        context_length=_spread(random, 256, 2048) if embeds else random.choice((2048, 8192, 40960, 131072)),
        window=_spread(random, 128, 4096),
        has_output=random.random() < 0.5,
        experts=experts,
        experts_used=random.randint(1, min(8, experts or 1)),
        key=key,
        weights=random.choice(WEIGHTS),
    )
    if shape.weights == "Q4_K" and heads * shape.head % _OF_WIDTHS:
        shape = shape._replace(weights="Q4_0")  # a row of the attention's output would be no whole blocks
    rest = shape.vocabulary * width * (2 if shape.has_output else 1)
    a_layer = width * (2 * shape.head * (heads + shape.kv_heads) + 3 * max(1, experts) * shape.inner)
    weights = _spread(random, *(_FILLED_WEIGHTS if is_filled else _WEIGHTS))
    layers = round((weights / _BYTES[shape.weights] - rest) / a_layer)
    requests = 1 if embeds else parallel
    each = min(num_ctx, shape.context_length)
    tokens = requests * each
    cache = 4 * layers * tokens * shape.kv_heads * shape.head
    products = tokens * (rest + layers * (a_layer + each * heads * shape.head))
    is_too_much = cache > _MOST_CACHE or tokens > _MOST_TOKENS or (is_filled and products > _MOST_FILLING)
    if is_too_much or not _LEAST_LAYERS <= layers <= _MOST_LAYERS:
        return None
    kv_cache_type = random.choice(OF_OLLAMA)
    what = f"{number}: {architecture}, {layers} x {width}, {heads} heads of {shape.head}, {shape.weights}"
    return Case(
        Model(what, architecture, shape._replace(layers=layers)),
        num_ctx,
        parallel,
        kv_cache_type,
        flash_attention=random.choice((None, True, False)) if kv_cache_type == "f16" else True,
        fills=int(is_filled),
    )


def _divides(width: int, heads: int) -> bool:
    return width % (heads * _OF_HEADS) == 0 and width // heads <= _LONGEST_HEAD


def _spread(random: Random, least: int, most: int) -> int:
    """As many of each magnitude."""
    return round(exp(random.uniform(log(least), log(most))))
