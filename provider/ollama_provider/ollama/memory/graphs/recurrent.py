"""Graphs with recurrent layers: state spaces, short convolutions and delta nets (src/models/*-base.cpp, lfm2.cpp)."""

from __future__ import annotations

from functools import cached_property

from ollama_provider.ollama.memory.graphs.decoders import Transformer
from ollama_provider.ollama.memory.graphs.graph import I32, Tensor
from ollama_provider.ollama.memory.hparams import Hparams


class Recurrent(Transformer):
    """A transformer of which some layers, `is_recurrent`, have a state in the place of attention."""

    @cached_property
    def _states(self) -> Tensor:
        """The list of which states are whose, as far as it is about this batch."""
        return self.view(self._all_states, self.r.requests, is_plain=True)

    @cached_property
    def _all_states(self) -> Tensor:
        return self.input(self.r.requests, item=I32)

    @cached_property
    def _other_states(self) -> Tensor:
        return self.view(self._all_states, 0, is_plain=True)

    @property
    def _each(self) -> int:
        """Tokens of one request."""
        return self.tokens // self.r.requests

    def state(self, size: int) -> Tensor:
        """build_rs: the states of all requests, of so many elements each."""
        found = self.new((size, self.r.requests), self._states)
        self.expand(found)
        self._keep_others(size)
        return found

    def _keep_others(self, size: int) -> None:
        """States of requests that are not in this batch: none, but a tensor for them there is."""
        none = self.new((size, 0), self._other_states)
        self.expand(none)
        self.expand(self.store(none))

    def attention(self, normed: Tensor, layer: int) -> Tensor:
        if not self.h.is_recurrent[layer]:
            return super().attention(normed, layer)
        return self.recur(normed, layer)

    def recur(self, normed: Tensor, layer: int) -> Tensor:
        raise NotImplementedError

    def convolve(self, a: Tensor, kernel: int, channels: int) -> Tensor:
        """The last rows of the batch before this one, and these; the last of them are kept."""
        before = self.reshape(self.state((kernel - 1) * channels), kernel - 1, channels, self.r.requests)
        joint = self.concat(before, self.transpose(a), 0)
        self.expand(self.store(self.view(joint, kernel - 1, channels, self.r.requests)))
        return joint

    def convolved(self, joint: Tensor) -> Tensor:
        """ssm_conv."""
        return self.new((joint.ne[1], self._each, self.r.requests), joint)

    def scan(self, x: Tensor, state: int, *sources: Tensor) -> Tensor:
        """ssm_scan: what it says, and after it the new states, which are kept."""
        elements = x.ne[0] * x.ne[1] * x.ne[2] * x.ne[3]
        found = self.new((elements + state * self.r.requests,), x, *sources, self._states)
        self.expand(found)
        self._keep_others(state)
        self.expand(self.store(self.view(found, state * self.r.requests)))
        return found


class Mamba(Recurrent):
    """mamba's first kind: the widths are in the metadata under `ssm`."""

    def recur(self, normed: Tensor, layer: int) -> Tensor:
        h, each, requests = self.h, self._each, self.r.requests
        kernel, inner = h.positive("ssm.conv_kernel"), h.positive("ssm.inner_size")
        state, rank = h.positive("ssm.state_size"), h.positive("ssm.time_step_rank")
        before = self.reshape(self.state((kernel - 1) * inner), kernel - 1, inner, requests)
        both = self.matmul(2 * inner, self.reshape(normed, normed.ne[0], each, requests))
        z = self.view(both, inner, each, requests)
        joint = self.concat(before, self.transpose(self.view(both, inner, each, requests)), 0)
        self.expand(self.store(self.view(joint, kernel - 1, inner, requests)))
        x = self.like(self.like(self.convolved(joint)))
        mixed = self.matmul(rank + 2 * state, x)
        dt = self.view(mixed, rank, each, requests)
        b, c = (self.view(mixed, state, 1, each, requests) for _ in range(2))
        if h.get("ssm.dt_b_c_rms", False) or h.has(f"blk.{layer}.ssm_dt_norm.weight", h.architecture == "jamba"):
            dt, b, c = self.like(dt), self.like(b), self.like(c)
        dt = self.like(self.matmul(inner, dt))
        y = self.scan(self.reshape(x, 1, inner, each, requests), state * inner, dt, b, c)
        y = self.like(self.view(y, inner, each, requests, is_plain=True), self.like(x))
        y = self.new((inner, each, requests), self.cont(z), y)
        found = self.matmul(h.width, y)
        return self.reshape(found, h.width, self.tokens)


class Mamba2(Recurrent):
    def recur(self, normed: Tensor, layer: int) -> Tensor:
        h, each, requests = self.h, self._each, self.r.requests
        kernel, inner = h.positive("ssm.conv_kernel"), h.positive("ssm.inner_size")
        state, heads = h.positive("ssm.state_size"), h.positive("ssm.time_step_rank")
        groups = h.number("ssm.group_count")
        head, wide = inner // heads, inner + 2 * groups * state
        before = self.reshape(self.state((kernel - 1) * wide), kernel - 1, wide, requests)
        all_of = self.matmul(2 * inner + 2 * groups * state + heads, normed)
        all_of = self.reshape(all_of, all_of.ne[0], each, requests)
        z = self.view(all_of, head, heads, each, requests)
        joint = self.concat(before, self.transpose(self.view(all_of, wide, each, requests)), 0)
        self.expand(self.store(self.view(joint, kernel - 1, wide, requests)))
        mixed = self.like(self.like(self.convolved(joint)))
        x = self.view(mixed, head, heads, each, requests)
        b, c = (self.view(mixed, state, groups, each, requests) for _ in range(2))
        dt = self.like(self.cont(self.view(all_of, heads, each, requests)))
        y = self.view(self.scan(x, state * inner, dt, b, c), head, heads, each, requests, is_plain=True)
        y = self.like(y, self.like(x))
        y = self.new((head, heads, each, requests), self.cont(z), y)
        if h.has(f"blk.{layer}.ssm_norm.weight", True):
            y = self.rms(self.reshape(y, inner // groups, groups, each, requests))
        return self.matmul(h.width, self.reshape(y, inner, self.tokens))


class Plamo2(Mamba2):
    def recur(self, normed: Tensor, layer: int) -> Tensor:
        h, each, requests = self.h, self._each, self.r.requests
        kernel, inner = h.positive("ssm.conv_kernel"), h.positive("ssm.inner_size")
        state, heads = h.positive("ssm.state_size"), h.positive("ssm.time_step_rank")
        head, rank = inner // heads, max(64, h.width // 16)
        wide = inner + 2 * h.number("ssm.group_count") * state
        before = self.reshape(self.state((kernel - 1) * wide), kernel - 1, wide, requests)
        both = self.matmul(2 * inner, self.reshape(normed, normed.ne[0], each, requests))
        both = self.cont(self.permute(both, 0, 2, 1, 3), 2 * head, heads, each, requests)
        x = self.cont(self.view(both, head, heads, each, requests), inner, each, requests)
        z = self.view(both, head, heads, each, requests)
        joint = self.concat(before, self.transpose(x), 0)
        self.expand(self.store(self.view(joint, kernel - 1, inner, requests)))
        x = self.like(self.convolved(joint))
        mixed = self.matmul(rank + 2 * state, x)
        b, c = (self.rms(self.view(mixed, state, each, requests)) for _ in range(2))
        dt = self.rms(self.view(mixed, rank, each, requests))
        dt = self.like(self.matmul(heads, dt))
        x = self.reshape(x, head, heads, each, requests)
        y = self.scan(
            x, state * inner, dt, self.view(b, state, 1, each, requests), self.view(c, state, 1, each, requests)
        )
        y = self.like(self.view(y, head, heads, each, requests, is_plain=True), self.like(x))
        y = self.new((head, heads, each, requests), self.cont(z), y)
        found = self.matmul(h.width, self.reshape(y, inner, each, requests))
        return self.reshape(found, h.width, self.tokens)


class FalconH1(Mamba2):
    """Attention and a state space side by side in each layer."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        attended = Transformer.attention(self, self.rms(a), layer)
        recurred = self.recur(self.rms(a), layer)
        joined = self.like(self.like(attended, recurred), a)
        if is_last:
            (joined,) = self.at_outputs(joined)
        return self.like(self.ffn(self.rms(joined), self.h.inner[layer], "gated"), joined)


class Alone(Mamba):
    """mamba: no feed-forward blocks."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        found = self.recur(self.rms(a), layer)
        if is_last:
            found, a = self.at_outputs(found, a)
        return self.like(found, a)


class Alone2(Mamba2):
    """mamba2."""

    layer = Alone.layer


class NemotronH(Mamba2):
    """A layer is one of three: a state space, attention, or a feed-forward block."""

    def layer(self, a: Tensor, layer: int, *, is_last: bool) -> Tensor:
        h = self.h
        normed = self.rms(a)
        if h.is_recurrent[layer]:
            found = self.recur(normed, layer)
        elif h.inner[layer] == 0:
            found = Transformer.attention(self, normed, layer)
        else:
            found = self.feed(normed, layer)
        return self.like(found, a)

    def feed(self, normed: Tensor, layer: int, logits: Tensor | None = None) -> Tensor:
        h, form = self.h, self.form
        experts = form.mixture(h, layer) if form.mixture is not None else None
        if experts is None:
            return self.ffn(normed, h.inner[layer], "squared")
        latent = h.number("moe_latent_size", 0)
        inner = self.matmul(latent, normed) if latent else normed
        mixed = self.moe(inner, layer, experts, logits=self.matmul(h.experts, normed))
        if latent:
            mixed = self.matmul(h.width, mixed)
        return self.like(mixed, self.ffn(normed, experts.shared, "squared"))


class ShortConvolution(Recurrent):
    """lfm2."""

    def recur(self, normed: Tensor, layer: int) -> Tensor:
        h, each, requests = self.h, self._each, self.r.requests
        width, kernel = h.width, h.positive("shortconv.l_cache")
        three = self.matmul(3 * width, self.reshape(normed, width, each, requests))
        b, c, x = (self.view(three, width, each, requests) for _ in range(3))
        mixed = self.like(b, x)
        y = self.convolved(self.convolve(mixed, kernel, width))
        y = self.matmul(width, self.like(c, y))
        return self.reshape(y, width, self.tokens)


class DeltaNet(Recurrent):
    """qwen3next and qwen35: gated delta nets, and attention with a gate in its queries."""

    repeats_keys = False

    def attention(self, normed: Tensor, layer: int) -> Tensor:
        h = self.h
        self.expand(normed)
        if h.is_recurrent[layer]:
            return self.recur(normed, layer)
        heads, kv_heads, length = h.heads[layer], h.kv_heads[layer], h.value[layer]
        both = self.matmul(2 * length * heads, normed)
        k = self.reshape(self.matmul(length * kv_heads, normed), length, kv_heads, self.tokens)
        v = self.reshape(self.matmul(length * kv_heads, normed), length, kv_heads, self.tokens)
        q = self.rope(self.rms(self.view(both, length, heads, self.tokens)))
        found = self.attend(q, self.rope(self.rms(k)), v, layer, output=0)
        gate = self.like(self.cont(self.view(both, length, heads, self.tokens), length * heads, self.tokens))
        return self.matmul(h.width, self.like(found, gate))

    def recur(self, normed: Tensor, layer: int) -> Tensor:
        h, each, requests = self.h, self._each, self.r.requests
        inner, key, groups = h.positive("ssm.inner_size"), h.positive("ssm.state_size"), h.number("ssm.group_count")
        heads, kernel = h.positive("ssm.time_step_rank"), h.positive("ssm.conv_kernel")
        value, wide = inner // heads, inner + 2 * groups * key
        mixed, z = self._split(normed, layer, wide, inner)
        beta, gate = self._gates(normed, heads)
        joint = self.convolve(mixed, kernel, wide)
        state = self.reshape(self.state(value * value * heads), value, value, heads, requests)
        made = self.like(self.convolved(joint))
        q, k = (self.like(self.like(self.view(made, key, groups, each, requests))) for _ in range(2))
        v = self.view(made, value, heads, each, requests)
        if self.repeats_keys and groups != heads:
            q, k = (
                self.reshape(
                    self.new((key, heads // groups, groups, each * requests), self.reshape(one, key, 1, groups, each)),
                    key, heads, each, requests,
                )
                for one in (q, k)
            )  # fmt: skip
        both = self.new((value * heads, self.tokens + value * requests), q, k, v, gate, beta, state)
        self.expand(self.store(self.view(both, value, value, heads, requests)))
        found = self.rms(self.view(both, value, heads, each, requests, is_plain=True))
        found = self.like(found, self.like(self.reshape(z, value, heads, each, requests)))
        found = self.matmul(h.width, self.reshape(found, inner, each, requests))
        return self.reshape(found, h.width, self.tokens)

    def _split(self, normed: Tensor, layer: int, wide: int, inner: int) -> tuple[Tensor, Tensor]:
        mixed = self.reshape(self.matmul(wide, normed), wide, self._each, self.r.requests)
        return mixed, self.matmul(inner, normed)

    def _gates(self, normed: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        each, requests = self._each, self.r.requests
        beta = self.like(self.reshape(self.matmul(heads, normed), 1, heads, each, requests))
        alpha = self.reshape(self.matmul(heads, normed), heads, each, requests)
        gate = self.like(self.like(self.like(alpha)))
        return beta, self.reshape(gate, 1, heads, each, requests)


class DeltaNetNext(DeltaNet):
    """qwen3next: what qwen35 has in matrices of their own is in one."""

    repeats_keys = True

    def _split(self, normed: Tensor, layer: int, wide: int, inner: int) -> tuple[Tensor, Tensor]:
        h, each, requests = self.h, self._each, self.r.requests
        if h.has(f"blk.{layer}.attn_qkv.weight", True):
            return super()._split(normed, layer, wide, inner)
        groups, key = h.number("ssm.group_count"), h.positive("ssm.state_size")
        all_of = self.reshape(self.matmul(wide + inner, normed), (wide + inner) // groups, groups, each, requests)
        z = self.cont(self.view(all_of, inner // groups, groups, each, requests))
        q, k = (self.cont(self.view(all_of, key, groups, each, requests), key * groups, each, requests) for _ in "qk")
        v = self.cont(self.view(all_of, inner // groups, groups, each, requests), inner, each, requests)
        return self.concat(self.concat(q, k, 0), v, 0), z

    def _gates(self, normed: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        each, requests = self._each, self.r.requests
        both = self.reshape(self.matmul(2 * heads, normed), 2 * heads, 1, each, requests)
        beta = self.like(self.cont(self.view(both, heads, 1, each, requests)))
        alpha = self.cont(self.view(both, heads, 1, each, requests), heads, each, requests)
        gate = self.like(self.like(self.like(alpha)))
        return self.reshape(beta, 1, heads, each, requests), self.reshape(gate, 1, heads, each, requests)


def ssm_state(h: Hparams) -> int:
    """Elements of one layer's states (`n_embd_r`, `n_embd_s`)."""
    inner, size = h.positive("ssm.inner_size"), h.positive("ssm.state_size")
    wide = inner + 2 * h.number("ssm.group_count", 0) * size
    return max(0, h.positive("ssm.conv_kernel") - 1) * wide + size * inner
