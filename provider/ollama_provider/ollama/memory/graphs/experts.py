"""Mixtures of experts (`build_moe_ffn` in llama-graph.cpp, b10970)."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_provider.ollama.memory.graphs.blocks import Blocks
from ollama_provider.ollama.memory.graphs.graph import F32, I32, Tensor

_ROW_OF_AN_EXPERT = 8  # bytes: mmid_row_mapping in ggml-cpu.c


@dataclass(frozen=True)
class Experts:
    """One layer's mixture.

    `inner` is one expert's width, `shared` that of what every token uses besides, 0: none, and `shared_gate` whether
    that has a gate. `kind` is as of `Blocks.ffn`, or "biased". `gating` makes chances of logits: "softmax", "sigmoid",
    "softplus", or "chosen", a softmax of those that were chosen. They are chosen by the chances, with a bias where
    `has_bias`, or by what `chooses_by` names: "logits", "sigmoid", or "groups" for groups of those.
    """

    inner: int
    shared: int = 0
    shared_gate: bool = False
    kind: str = "gated"
    gating: str = "softmax"
    norms: bool = True
    scales: bool = False
    has_bias: bool = False
    chooses_by: str = ""
    weighs_before: bool = False
    is_joint: bool = False


class Mixtures(Blocks):
    def moe(self, a: Tensor, layer: int, experts: Experts, *, logits: Tensor | None = None, used: int = 0) -> Tensor:
        """What the experts make of `a`, with the router's `logits` where they are made of something else."""
        used, tokens, wide = used or self.h.used[layer], a.ne[1], a.ne[0]
        if not used or not self.h.experts:
            name = f"{self.h.architecture}.expert_count and expert_used_count"
            raise ValueError(f"{name} are {self.h.experts} and {used} in the model's metadata, expected 1 or more")
        if logits is None:
            logits = self.matmul(self.h.experts, a)
        chosen, weights = self._choose(logits, experts, used)
        self.expand(weights)
        a = self.reshape(a, wide, 1, tokens)
        if experts.weighs_before:
            a = self.like(self.new((wide, used, tokens), a), weights)
        each = self.new((wide, used, tokens), self._inner(a, chosen, experts, used, tokens), chosen)
        if experts.kind == "biased":
            each = self.like(each, chosen)
        if not experts.weighs_before:
            each = self.like(each, weights)
        self.expand(each)
        self.factors = max(self.factors, experts.inner * used * tokens)
        self.scratch = max(self.scratch, _ROW_OF_AN_EXPERT * self.h.experts * used * tokens)
        return self._sum(each, used)

    def _choose(self, logits: Tensor, experts: Experts, used: int) -> tuple[Tensor, Tensor]:
        """Which experts each token uses, and their weights."""
        count, tokens = logits.ne[0], logits.ne[1]
        chances = logits if experts.gating == "chosen" else self.like(logits)
        if experts.gating == "softplus":
            chances = self.like(chances)
        chosen_by = self.like(chances) if experts.has_bias else chances
        if experts.chooses_by:
            chosen_by = logits if experts.chooses_by == "logits" else self.like(logits)
        if self.h.groups > 1:
            chosen_by = self._groups(chosen_by, count, tokens)
        chosen = self.view(Tensor((count, tokens, 1, 1), I32, (chosen_by,)), used, tokens)
        if experts.chooses_by == "groups":
            chosen = self.cast(self.like(self.cast(chosen, F32)), I32)
        weights = self.new((1, used, tokens), self.reshape(chances, 1, count, tokens), chosen)
        if experts.gating == "chosen":
            weights = self.reshape(self.like(self.reshape(weights, used, tokens)), 1, used, tokens)
        if experts.norms:
            flat = self.reshape(weights, used, tokens)
            weights = self.reshape(self.like(flat, self.like(self.new((1, tokens), flat))), 1, used, tokens)
        return chosen, self.like(weights) if experts.scales else weights

    def _inner(self, a: Tensor, chosen: Tensor, experts: Experts, used: int, tokens: int) -> Tensor:
        ne = (experts.inner, used, tokens)
        if experts.is_joint:
            joint = self.new((2 * experts.inner, used, tokens), a, chosen)
            return self.new(ne, self.view(joint, *ne), self.view(joint, *ne))
        up = self.new(ne, a, chosen)
        if experts.kind == "plain":
            return self.like(up)
        if experts.kind == "squared":
            return self.like(self.like(up))
        if experts.kind == "biased":
            up = self.like(up, chosen)
            return self.new(ne, self.like(self.new(ne, a, chosen), chosen), up)
        return self.new(ne, self.new(ne, a, chosen), up)

    def _sum(self, each: Tensor, used: int) -> Tensor:
        wide, _, tokens, _ = each.ne
        parts = [self.view(each, wide, tokens, is_plain=used == 1) for _ in range(used)]
        for part in parts:
            self.expand(part)
        found = parts[0]
        for part in parts[1:]:
            found = self.like(found, part)
            self.expand(found)
        return self.cont(found) if used == 1 else found

    def _groups(self, chances: Tensor, count: int, tokens: int) -> Tensor:
        """The experts of the groups that have the best two; the others' chances are nothing."""
        groups, kept = self.h.groups, self.h.groups_used
        each = count // groups
        by_group = self.reshape(chances, each, groups, tokens)
        best = self.view(Tensor((each, groups, tokens, 1), I32, (by_group,)), 2, groups, tokens)
        scores = self.new((1, 2, groups, tokens), self.reshape(by_group, 1, each, groups, tokens), best)
        sums = self.new((1, groups, tokens), self.reshape(scores, 2, groups, tokens))
        order = Tensor((groups, tokens, 1, 1), I32, (self.reshape(sums, groups, tokens),))
        chosen = self.view(order, kept, tokens)
        rows = self.new((each, kept, tokens), by_group, chosen)
        none = self.like(by_group)
        return self.reshape(self.write(none, rows, chosen), count, tokens)
