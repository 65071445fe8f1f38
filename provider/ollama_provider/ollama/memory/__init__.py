"""How much memory a model takes on a server without a GPU, worked out from its GGUF's metadata; nothing is asked.

Which engine serves it depends on Ollama's version: `ollama_runners` until 0.30, `llama_server` from there on.
docs/memory.md has the formulas and how exact they are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ollama_provider.ollama.memory import llama_server, ollama_runners
from ollama_provider.ollama.memory.hparams import Tensor, whole
from ollama_provider.ollama.memory.parts import Estimate, RefusedLoadError, UnknownArchitectureError
from ollama_provider.ollama.settings.kv_cache_types import OF_OLLAMA
from ollama_provider.ollama.versions import Behavior, Version

__all__ = [
    "DEFAULT_PROMPT_CACHE",
    "Estimate",
    "RefusedLoadError",
    "Tensor",
    "UnknownArchitectureError",
    "estimate",
    "known_kv_cache_types",
    "largest_num_ctx",
    "largest_parallel",
]

DEFAULT_PROMPT_CACHE = llama_server.DEFAULT_PROMPT_CACHE
_MOST_CONTEXT = 2**20  # where the metadata have no trained context


def estimate(
    metadata: Mapping[str, Any],
    *,
    weights_bytes: int,
    num_ctx: int,
    parallel: int = 1,
    kv_cache_type: str = "f16",
    flash_attention: bool | None = None,
    embedding_bytes: int | None = None,
    prompt_cache_bytes: int = DEFAULT_PROMPT_CACHE,
    version: Version | None = None,
    tensors: Iterable[Tensor] | None = None,
) -> Estimate:
    """What a model takes with `num_ctx` tokens for each of `parallel` requests at once (OLLAMA_NUM_PARALLEL).

    `metadata` is `model_info` of /api/show, `weights_bytes` the size of the GGUF, `tensors` its list where it is known.
    `flash_attention` is what OLLAMA_FLASH_ATTENTION says, None where it is not set. `embedding_bytes` is the size of
    `token_embd.weight`, worked out where it is None. `prompt_cache_bytes` is what LLAMA_ARG_CACHE_RAM allows: 0 none,
    negative as many tokens as the context has. `version` is Ollama's; None, not known: the newest.

    Raises UnknownArchitectureError where the architecture is not supported, RefusedLoadError for a load that this
    version of Ollama fails, ValueError for other values that cannot be.
    """
    for name, value, least in (
        ("weights_bytes", weights_bytes, 0),
        ("num_ctx", num_ctx, 1),
        ("parallel", parallel, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, expected {least} or more")
    if kv_cache_type not in (types := known_kv_cache_types(version)):
        raise ValueError(f"kv_cache_type is {kv_cache_type!r}, expected one of {', '.join(types)}")
    if not has_llama_server(version):
        return ollama_runners.estimate(
            metadata,
            weights_bytes=weights_bytes,
            num_ctx=num_ctx,
            parallel=parallel,
            kv_cache_type=kv_cache_type,
            flash_attention=flash_attention,
            embedding_bytes=embedding_bytes,
        )
    return llama_server.estimate(
        metadata,
        weights_bytes=weights_bytes,
        num_ctx=num_ctx,
        parallel=parallel,
        kv_cache_type=kv_cache_type,
        flash_attention=flash_attention,
        prompt_cache_bytes=prompt_cache_bytes,
        embedding_bytes=embedding_bytes,
        tensors=tensors,
    )


def known_kv_cache_types(version: Version | None) -> tuple[str, ...]:
    """Those whose memory is known; from 0.30 on llama.cpp's, to which Ollama hands the text."""
    return tuple(llama_server.BYTES_OF_32) if has_llama_server(version) else OF_OLLAMA


def has_llama_server(version: Version | None) -> bool:
    return Behavior.LLAMA_SERVER.holds(version, if_unknown=True)


def largest_num_ctx(
    metadata: Mapping[str, Any],
    *,
    fits_in: int,
    weights_bytes: int,
    parallel: int = 1,
    kv_cache_type: str = "f16",
    flash_attention: bool | None = None,
    version: Version | None = None,
    tensors: Iterable[Tensor] | None = None,
) -> int | None:
    """The most tokens of context, up to the trained, whose total is at most `fits_in` bytes. None: none is known."""

    def total(num_ctx: int) -> int:
        return estimate(
            metadata,
            weights_bytes=weights_bytes,
            num_ctx=num_ctx,
            parallel=parallel,
            kv_cache_type=kv_cache_type,
            flash_attention=flash_attention,
            version=version,
            tensors=tensors,
        ).total

    return _largest(total, fits_in, trained_context(metadata) or _MOST_CONTEXT)


def largest_parallel(
    metadata: Mapping[str, Any],
    *,
    fits_in: int,
    weights_bytes: int,
    num_ctx: int,
    kv_cache_type: str = "f16",
    flash_attention: bool | None = None,
    version: Version | None = None,
    tensors: Iterable[Tensor] | None = None,
) -> int | None:
    """The most requests at once with which the total is at most `fits_in` bytes, up to 256; None: none is known.

    Ollama gives some models one at a time, whatever it is told, embedding models among them: then 1 is the most.
    """

    def total(parallel: int) -> int:
        return estimate(
            metadata,
            weights_bytes=weights_bytes,
            num_ctx=num_ctx,
            parallel=parallel,
            kv_cache_type=kv_cache_type,
            flash_attention=flash_attention,
            version=version,
            tensors=tensors,
        ).total

    engine = llama_server if has_llama_server(version) else ollama_runners
    return _largest(total, fits_in, engine.most_parallel(metadata))


def trained_context(metadata: Mapping[str, Any]) -> int:
    """Tokens; 0 where the metadata do not tell. Raises ValueError for a number that cannot be."""
    architecture = metadata.get("general.architecture")
    found = metadata.get(f"{architecture}.context_length")
    if not isinstance(found, (int, float)) or isinstance(found, bool) or found == 0:
        return 0
    return whole(f"{architecture}.context_length", found, "context_length")


def _largest(total: Callable[[int], int], fits_in: int, most: int) -> int | None:
    """What cannot be told, as of a short context whose graph is too large to be built here, counts as too much."""

    def fits(count: int) -> bool:
        try:
            return total(count) <= fits_in
        except ValueError:
            return False

    least, found = 1, None
    while least <= most:
        middle = (least + most) // 2
        if fits(middle):
            least, found = middle + 1, middle
        else:
            most = middle - 1
    return found
