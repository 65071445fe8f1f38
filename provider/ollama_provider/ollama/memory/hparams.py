"""What llama.cpp reads of a model's metadata (`llama_model_base::load_hparams` in llama-model.cpp, b10970)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from ollama_provider.ollama.memory.parts import UnknownArchitectureError

# Far above any model, and low enough for an estimate to take under a second.
_MOST: Final[dict[str, int]] = {
    "block_count": 1024,
    "expert_count": 4096,
    "expert_used_count": 256,
    "expert_group_count": 4096,
    "general.parameter_count": 2**63 - 1,
}
_MOST_ELSE: Final = 2**32 - 1  # llama.cpp reads them as 32 bits
_LONGEST_QUOTED: Final = 40


def architecture_of(metadata: Mapping[str, Any]) -> str:
    """Raises UnknownArchitectureError where it is not text, or longer than any: it is in the name of every key."""
    found = metadata.get("general.architecture")
    if not isinstance(found, str) or len(found) > _LONGEST_QUOTED:
        raise UnknownArchitectureError(f"the memory of the architecture {quoted(found)} is not known")
    return found


def whole(name: str, found: object, key: str = "", *, least: int = 0) -> int:
    """A number of the metadata. Raises ValueError where it is none, or more than what `key`, or the name, may be.

    `least` is 0, or 1 where 0 cannot be.
    """
    most = _MOST.get(key or name, _MOST_ELSE)
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if not is_number or not 0 <= found <= most or found != int(found):  # type: ignore[operator, call-overload]
        raise ValueError(f"{name} is {quoted(found)} in the model's metadata, expected a whole number up to {most}")
    if found < least:  # type: ignore[operator]
        raise ValueError(f"{name} is 0 in the model's metadata, expected 1 or more")
    return int(found)  # type: ignore[call-overload,no-any-return]


def check_heads(architecture: str, heads: int, width: int) -> None:
    """Where the metadata say no length of heads, each has a part of the width. Raises ValueError."""
    if heads > width:
        raise ValueError(
            f"{architecture}.attention.head_count is {heads} in the model's metadata, expected up to the {width} of"
            " embedding_length"
        )


def parameter_count(metadata: Mapping[str, Any]) -> int:
    """0 where the metadata do not tell."""
    return whole("general.parameter_count", metadata.get("general.parameter_count") or 0)


def quoted(found: object) -> str:
    """Cut where it is long."""
    text = repr(found)
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}..."


class Tensor(NamedTuple):
    """One tensor of a GGUF: elements by dimension, the innermost first, and the name of its type ("F16", "Q4_K")."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def rows(self) -> int | None:
        """None of one that is not a matrix."""
        return self.shape[1] if len(self.shape) > 1 else None


class Hparams:
    """Keys are without the architecture's name before them. What depends on the layer is a tuple, one a layer.

    Raises ValueError where a key is missing or has a value that cannot be.
    """

    def __init__(self, metadata: Mapping[str, Any], tensors: Iterable[Tensor] | None = None) -> None:
        self.architecture = architecture = architecture_of(metadata)
        self._metadata = metadata
        self.tensors = None if tensors is None else {one.name: one for one in tensors}
        self.layers_all = self.positive("block_count")
        self.nextn = self.number("nextn_predict_layers", 0)
        if self.nextn >= self.layers_all:
            raise ValueError(
                f"{architecture}.nextn_predict_layers is {self.nextn} in the model's metadata,"
                f" expected less than the {self.layers_all} layers"
            )
        self.layers = self.layers_all - self.nextn
        self.width = self.positive("embedding_length")
        self.trained_context = self.number("context_length", 0)
        self.heads = self.by_layer("attention.head_count", 0)
        self.kv_heads = self.by_layer("attention.head_count_kv", self.heads)
        self.inner = self.by_layer("feed_forward_length", 0)
        self.experts = self.number("expert_count", 0)
        self.used = self.by_layer("expert_used_count", 0)
        self.groups = self.number("expert_group_count", 0)
        self.groups_used = self.number("expert_group_used_count", 0)
        self.key = (self._head_length("attention.key_length"),) * self.layers_all
        self.value = (self._head_length("attention.value_length"),) * self.layers_all
        self.rotated = self.number("rope.dimension_count", self.key[0])
        self.window = 0
        self.is_window = (False,) * self.layers_all
        self.is_recurrent = (False,) * self.layers_all
        self.has_cache = (True,) * self.layers_all
        self.has_rope = (True,) * self.layers_all
        self.is_latent = False
        self.positions_each = 1
        self.weighs_positions = False
        self.deep_stack = 0
        self.pooling = self.number("pooling_type", 0)
        self.vocabulary = self._vocabulary()
        self.parameters = parameter_count(metadata)
        file_type = metadata.get("general.file_type")
        self.file_type = None if file_type is None else whole("general.file_type", file_type)
        self.tokenizer = metadata.get("tokenizer.ggml.model")

    # Keys

    def get(self, key: str, default: Any = None) -> Any:
        return self._metadata.get(f"{self.architecture}.{key}", default)

    def special_token(self, name: str) -> int | None:
        key = f"tokenizer.ggml.{name}_token_id"
        found = self._metadata.get(key)
        return None if found is None else whole(key, found)

    def number(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        """A list counts where all of its entries are the same, or is taken by its first."""
        found = self.get(key, default)
        if isinstance(found, (list, tuple)) and found:
            found = found[0]
        return whole(f"{self.architecture}.{key}", found, key, least=least)

    def positive(self, key: str, default: int | None = None) -> int:
        return self.number(key, default, least=1)

    def _head_length(self, key: str) -> int:
        """0 of a model without heads only."""
        if not any(self.heads) and not any(self.kv_heads):
            return self.number(key, 0)
        first = next((count for count in self.heads if count), 1)
        if self.get(key) is None:
            check_heads(self.architecture, first, self.width)
        return self.positive(key, self.width // first)

    def real(self, key: str, default: float = 0.0) -> float:
        found = self.get(key, default)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and abs(found) <= _MOST_ELSE:
            return float(found)
        raise ValueError(f"{self.architecture}.{key} is {quoted(found)} in the model's metadata, expected a number")

    def by_layer(self, key: str, default: int | tuple[int, ...]) -> tuple[int, ...]:
        name = f"{self.architecture}.{key}"
        if name in self._metadata and self._metadata[name] is None:
            raise ValueError(
                f"{name} is a list that the metadata leave out: ask /api/show with verbose, or read the GGUF"
            )
        found = self.get(key, default)
        if not isinstance(found, (list, tuple)):
            return (whole(name, found, key),) * self.layers_all
        if len(found) < self.layers_all:
            raise ValueError(
                f"{name} has {len(found)} entries in the model's metadata, expected one for each of"
                f" {self.layers_all} layers"
            )
        return tuple(whole(name, one, key) for one in found[: self.layers_all])

    def flags(self, key: str) -> tuple[bool, ...] | None:
        found = self.get(key)
        if not isinstance(found, (list, tuple)):
            return None
        return tuple(bool(one) for one in (*found, *[False] * self.layers_all)[: self.layers_all])

    # Tensors

    def has(self, name: str, default: bool) -> bool:
        """Whether the model has a tensor; `default` where the list is not known."""
        return default if self.tensors is None else name in self.tensors

    def rows(self, name: str, default: int) -> int:
        """Of a matrix; `default` where it is not listed."""
        found = None if self.tensors is None else self.tensors.get(name)
        return default if found is None or found.rows is None else found.rows

    def _vocabulary(self) -> int:
        """Tokens; 0 where nothing tells."""
        if self.tensors is not None and "token_embd.weight" in self.tensors:
            return self.rows("token_embd.weight", 0)
        tokens = self._metadata.get("tokenizer.ggml.tokens")
        return len(tokens) if isinstance(tokens, (list, tuple)) and tokens else self.number("vocab_size", 0)

    # Patterns

    def every(self, period: int, *, dense_first: bool = False) -> tuple[bool, ...]:
        """`set_swa_pattern`: one of so many layers is dense, the last of them or the first; of 0, none."""
        dense = 0 if dense_first else period - 1
        return tuple(
            layer < self.layers and (period == 0 or layer % period != dense) for layer in range(self.layers_all)
        )

    def set_window(self, window: int, period: int, *, dense_first: bool = False, pattern_key: bool = True) -> None:
        """Layers with a window; none where it is 0. The key of the pattern counts as a number, not as a list."""
        if window == 0:
            return
        found = self.get("attention.sliding_window_pattern")
        if pattern_key and isinstance(found, int) and not isinstance(found, bool):
            period = found
        self.window, self.is_window = window, self.every(period, dense_first=dense_first)

    def set_recurrent(self, which: tuple[bool, ...]) -> None:
        """These layers have a state, and no cache."""
        self.is_recurrent = which
        self.has_cache = tuple(not recurs for recurs in which)

    def set_lengths(self, key: int, value: int) -> None:
        """Of the heads of layers with a window."""
        self.key = tuple(key if is_window else own for is_window, own in zip(self.is_window, self.key, strict=True))
        self.value = tuple(
            value if is_window else own for is_window, own in zip(self.is_window, self.value, strict=True)
        )

    def where(self, condition: Callable[[int], bool]) -> tuple[bool, ...]:
        return tuple(condition(layer) for layer in range(self.layers_all))
