"""The building blocks of llama.cpp's graphs: attention, feed-forward blocks and experts (llama-graph.cpp, b10970)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ollama_provider.ollama.memory.graphs.graph import F16, F32, I32, I64, Graph, Tensor
from ollama_provider.ollama.memory.hparams import Hparams


@dataclass(frozen=True)
class Reserve:
    """What the graph is reserved for (`llama_context::sched_reserve`).

    `tokens` are those of a batch over `requests` at once, a multiple of them; `outputs` those whose logits are wanted;
    `cells` of a request's cache, and `window_cells` of that of layers with a window.
    """

    tokens: int
    requests: int
    outputs: int
    cells: int
    window_cells: int
    has_flash_attention: bool
    is_quantised: bool = False
    embeds: bool = False


class Blocks(Graph):
    def __init__(self, hparams: Hparams, reserve: Reserve) -> None:
        super().__init__()
        self.h, self.r = hparams, reserve
        self.tokens = reserve.tokens
        self.embedding: Tensor | None = None

    # Inputs

    @cached_property
    def positions(self) -> Tensor:
        return self.input(self.tokens * self.h.positions_each, item=I32)

    @cached_property
    def position_scale(self) -> Tensor:
        return self.input(1, 1, self.tokens)

    @cached_property
    def out_ids(self) -> Tensor:
        return self.input(self.r.outputs, item=I32)

    def embed(self, width: int = 0, *, scales: bool = False) -> Tensor:
        """build_inp_embd: tokens' rows, or vectors in their place, whose memory is reserved too."""
        wide = width or self.h.width
        rows = self.new((self.h.width, self.tokens), self.input(self.tokens, item=I32))
        if wide != self.h.width:
            rows = self.new((wide, self.tokens), rows)
        self.expand(rows)
        self.expand(self.input(wide, self.tokens))
        if wide != self.h.width:
            rows = self.view(rows, self.h.width, self.tokens)
        self.embedding = rows
        if scales:
            rows = self.like(rows if rows.is_plain else self.cont(rows))
        self.expand(rows)
        return rows

    def at_outputs(self, *tensors: Tensor) -> list[Tensor]:
        return [self.rows_of(one, self.out_ids) for one in tensors]

    # Norms and matrices

    def rms(self, a: Tensor, *, has_weight: bool = True) -> Tensor:
        normed = self.like(a)
        return self.like(normed) if has_weight else normed

    def layer_norm(self, a: Tensor) -> Tensor:
        return self.like(self.copy_like(a))

    def rope(self, a: Tensor, factors: bool = False) -> Tensor:
        return self.like(a, self.positions)

    # Attention

    def qkv(self, a: Tensor, layer: int, *, is_fused: bool, is_flat: bool = False, heads: int = 0) -> list[Tensor]:
        h = self.h
        heads, kv_heads = heads or h.heads[layer], h.kv_heads[layer]
        if not heads:
            raise ValueError(f"{h.architecture}.attention.head_count is 0 in the model's metadata, expected 1 or more")
        key, value = h.key[layer], h.value[layer]
        shapes = ((key, heads), (key, kv_heads), (value, kv_heads))
        if is_fused:
            joint = self.matmul(key * heads + (key + value) * kv_heads, a)
            if is_flat:
                return [self.cont(self.view(joint, length * count, self.tokens)) for length, count in shapes]
            return [self.view(joint, length, count, self.tokens) for length, count in shapes]
        parts = [self.matmul(length * count, a) for length, count in shapes]
        if is_flat:
            return parts
        return [self.reshape(one, *shape, self.tokens) for one, shape in zip(parts, shapes, strict=True)]

    def _mask(self, cells: int) -> Tensor:
        streams = self.r.requests
        item = F16 if self.r.has_flash_attention else F32
        return self.input(cells, self.tokens // streams, 1, streams, item=item)

    @cached_property
    def _masks(self) -> dict[bool, Tensor]:
        if self.has_cache:
            return {False: self._mask(self.r.cells), True: self._mask(self.r.window_cells)}
        item = F16 if self.r.has_flash_attention else F32
        return {is_window: self.input(self.tokens, self.tokens, item=item) for is_window in (False, True)}

    has_cache = True

    @cached_property
    def _ids(self) -> dict[tuple[str, bool], Tensor]:
        rows = (
            1
            if self.r.has_flash_attention
            else max(value * count for value, count in zip(self.h.value, self.h.kv_heads, strict=True))
        )
        return {
            (part, is_window): self.input(self.tokens * (rows if part == "v" else 1), item=I64)
            for is_window in (False, True)
            for part in ("k", "v")
        }

    @cached_property
    def _rotations(self) -> dict[tuple[str, bool], Tensor | None]:
        """`build_input_k_rot`: a quantised cache is of rotated keys and values, where all heads are of one length."""
        found: dict[tuple[str, bool], Tensor | None] = {}
        h = self.h
        for is_window in (False, True):
            layers = [one for one in range(h.layers) if h.is_window[one] is is_window and h.kv_heads[one]]
            for part, lengths in (("k", h.key), ("v", h.value)):
                own = {lengths[one] for one in layers}
                size = 0
                if self.r.is_quantised and len(own) == 1 and lengths[0] % 64 == 0:
                    size = 64
                    while part == "k" and max(own) % (2 * size) == 0:
                        size *= 2
                found[part, is_window] = self.input(size, size) if size else None
        return found

    def _rotate(self, a: Tensor, by: Tensor | None) -> Tensor:
        if by is None:
            return a
        length, ne = by.ne[0], a.ne
        count = ne[0] * ne[1] * ne[2] * ne[3] // length
        flat = self.reshape(a, length, count) if a.is_plain else self.cont(a, length, count)
        return self.reshape(Tensor((length, count, 1, 1), F32, (by, flat)), *ne)

    def keep_key(self, k: Tensor, is_window: bool) -> None:
        flat = self.view(k, k.ne[0] * k.ne[1], k.ne[2], is_plain=k.is_plain)
        self.expand(self.store(flat, self._ids["k", is_window]))

    def keep_value(self, v: Tensor, is_window: bool) -> None:
        width = v.ne[0] * v.ne[1]
        if self.r.has_flash_attention:
            flat = self.view(v, width, v.ne[2], is_plain=v.is_plain)
        else:
            flat = self.reshape(v, width, v.ne[2]) if v.is_plain else self.cont(v, width, v.ne[2])
            most = max(value * count for value, count in zip(self.h.value, self.h.kv_heads, strict=True))
            if width < most:
                flat = self.new((most, v.ne[2]), flat)
            flat = self.reshape(flat, 1, flat.ne[0] * flat.ne[1])
        self.expand(self.store(flat, self._ids["v", is_window]))

    def attend(
        self,
        q: Tensor,
        k: Tensor | None,
        v: Tensor | None,
        layer: int,
        *,
        output: int | None = None,
        key_first: bool | None = None,
        bias: Tensor | None = None,
        softcaps: bool = False,
    ) -> Tensor:
        """build_attn, with the cache where the model has one. `output`: rows of the last matrix, 0: without it."""
        h, r = self.h, self.r
        is_window = h.is_window[layer]
        if not self.has_cache:
            assert k is not None and v is not None
            for one in (q, k, v):
                self.expand(one)
            found = self._own(q, k, v, bias, self._masks[is_window])
        else:
            rotate_k, rotate_v = self._rotations["k", is_window], self._rotations["v", is_window]
            q = self._rotate(q, rotate_k)
            k = None if k is None else self._rotate(k, rotate_k)
            v = None if v is None else self._rotate(v, rotate_v)
            has_window = any(h.is_window)
            ordered = (q, k, v) if (has_window if key_first is None else key_first) else (q, v, k)
            for part in ordered:
                if part is not None:
                    self.expand(part)
            if k is not None:
                self.keep_key(k, is_window)
            if v is not None:
                self.keep_value(v, is_window)
            cells = r.window_cells if is_window else r.cells
            found = self.cached(q, cells, h.value[layer], layer, bias=bias, softcaps=softcaps)
            found = self._rotate(found, rotate_v)
        return found if output == 0 else self.matmul(output or h.width, found)

    def cached(
        self, q: Tensor, cells: int, value: int, layer: int, *, bias: Tensor | None = None, softcaps: bool = False,
        rows_after: int = 0,
    ) -> Tensor:  # fmt: skip
        """build_attn_mha with keys and values in the cache. `rows_after`: of MLA's matrix that makes values of them."""
        mask = self._masks[self.h.is_window[layer]]
        streams, heads = self.r.requests, q.ne[1]
        each = q.ne[2] // streams
        q = self.permute(self.view(q, q.ne[0], heads, each, streams, is_plain=q.is_plain), 0, 2, 1, 3)
        if self.r.has_flash_attention and bias is None:
            found = self.new((value, heads, each, streams), q, mask)
            if rows_after:
                found = self.permute(self.matmul(rows_after, self.permute(found, 0, 2, 1, 3)), 0, 2, 1, 3)
                found = self.cont(found)
                value = rows_after
            found = self.reshape(found, value * heads, self.tokens)
        else:
            scores = self.new((cells, each, heads, streams), q)
            if softcaps:
                scores = self.like(self.like(self.like(scores)))
            if bias is not None:
                scores = self.like(scores, bias)
            scores = self.like(scores, mask)
            self.scratch = max(self.scratch, F16 * cells * each * heads * streams)
            sources = [scores]
            if rows_after:  # values are a part of the keys, and are put in the order that the others have
                sources.insert(0, self.new((cells, value, 1, streams), self._stored, item=F16))
            found = self.new((value, each, heads, streams), *sources)
            if rows_after:
                found = self.matmul(rows_after, found)
                value = rows_after
            found = self.cont(self.permute(found, 0, 2, 1, 3), value * heads, self.tokens)
        self.expand(found)
        return found

    def _own(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, mask: Tensor) -> Tensor:
        """build_attn_mha with keys and values of this batch alone."""
        heads, tokens, value = q.ne[1], q.ne[2], v.ne[0]
        q = self.permute(self.view(q, *q.ne, is_plain=q.is_plain), 0, 2, 1, 3)
        k, v = self.permute(k, 0, 2, 1, 3), self.permute(v, 0, 2, 1, 3)
        if self.r.has_flash_attention and bias is None:
            k, v = self.cast(k, F16), self.cast(v, F16)
            found = self.reshape(self.new((value, heads, tokens), q, k, v, mask), value * heads, tokens)
        else:
            scores = self.new((k.ne[1], tokens, heads), k, q)
            if bias is not None:
                scores = self.like(scores, bias)
            scores = self.like(scores, mask)
            found = self.new((value, tokens, heads), self.cont(self.transpose(v)), scores)
            found = self.cont(self.permute(found, 0, 2, 1, 3), value * heads, tokens)
        self.expand(found)
        return found

    # Feed-forward blocks

    def ffn(self, a: Tensor, inner: int, kind: str, *, output: int = 0) -> Tensor:
        """`kind`: "gated" two matrices and their product, "joint" one of twice the width, "plain" one, "clamped"."""
        up = self.matmul(2 * inner if kind == "joint" else inner, a)
        if kind == "gated":
            made = self.new((inner, *up.ne[1:]), self.matmul(inner, a), up)
        elif kind == "joint":
            made = self.new((inner, *up.ne[1:]), up)
        elif kind == "clamped":
            limited = self.like(up)
            made = self.like(self.like(self.like(self.matmul(inner, a))), limited)
        elif kind == "squared":
            made = self.like(self.like(up))
        else:
            made = self.like(up)
        return made if output < 0 else self.matmul(output or self.h.width, made)

    # The end

    def finish(
        self, a: Tensor, *, has_logits: bool = True, changes: int = 0, rows: int = 0, scales: bool = False
    ) -> None:
        """Logits of the tokens that are wanted; `changes` are operations on them that can be in place.

        `scales`: what they are made of is scaled before.
        """
        a.is_output = True
        if has_logits:
            logits = self.matmul(rows or self.h.vocabulary, self.like(a) if scales else a)
            for _ in range(changes):
                logits = self.like(logits)
            logits.is_output = True
            self.expand(logits)
        else:
            self.expand(a)
        if self.r.embeds:
            self._pool(a)

    def _pool(self, a: Tensor) -> None:
        """build_pooling: 1 the mean of the tokens, 2 and 3 one of them."""
        if self.h.pooling == 1:
            means = self.input(self.tokens, self.r.requests)
            pooled = self.product(self.cont(self.transpose(a)), means)
        elif self.h.pooling:
            pooled = self.rows_of(a, self.input(self.r.requests, item=I32))
        else:
            return
        pooled.is_output = True
        self.expand(pooled)
