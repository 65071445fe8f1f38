"""A graph of tensors without their values, and what ggml's allocator reserves for it.

Sources, all of llama.cpp b10970: the order of nodes (`ggml_visit_parents_graph` in ggml.c), best fit and reuse in place
(ggml-alloc.c), of the CPU's one buffer. What is outside of that buffer, weights and caches, is no tensor here: `STORED`
stands for all of it where something is written there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Shape = tuple[int, int, int, int]

F32: Final = 4  # bytes of an element
F16: Final = 2
I32: Final = 4
I64: Final = 8

_ALIGNMENT: Final = 32  # TENSOR_ALIGNMENT of ggml-impl.h
_ENDLESS: Final = 1 << 62


class Tensor:
    """`ne` are elements by dimension, the innermost first; `root` is the tensor that a view is of.

    `can_reuse` says whether the operation may write into a source's memory; `is_plain` whether elements lie one after
    the other.
    """

    __slots__ = (
        "can_reuse", "children", "held", "is_input", "is_output", "is_plain", "is_seen", "item", "ne", "offset", "root",
        "sources", "views",
    )  # fmt: skip

    def __init__(
        self,
        ne: Shape,
        item: int,
        sources: Sequence[Tensor],
        root: Tensor | None = None,
        can_reuse: bool = False,
        is_plain: bool = True,
    ) -> None:
        self.ne, self.item, self.sources, self.root = ne, item, sources, root
        self.can_reuse, self.is_plain = can_reuse, is_plain
        self.is_input = self.is_output = self.is_seen = self.held = False
        self.children = self.views = self.offset = 0

    @property
    def nbytes(self) -> int:
        a, b, c, d = self.ne
        return a * b * c * d * self.item


def stored() -> Tensor:
    return Tensor((0, 0, 0, 0), F32, ())


class Graph:
    """Operations add tensors; `expand` puts one and what it needs in the order of computation.

    `factors` are the most elements that are multiplied with weights at once, `scratch` bytes of other scratch memory.
    """

    def __init__(self) -> None:
        self.nodes: list[Tensor] = []
        self.leaves: list[Tensor] = []
        self.factors = self.scratch = 0
        self._stored = stored()
        self._stored.is_seen = True

    # Tensors

    def input(self, *ne: int, item: int = F32) -> Tensor:
        found = Tensor(_four(ne), item, ())
        found.is_input = True
        return found

    def new(self, ne: Sequence[int], *sources: Tensor, item: int = F32) -> Tensor:
        """What an operation makes that reuses no memory."""
        return Tensor(_four(ne), item, sources)

    def like(self, a: Tensor, *others: Tensor) -> Tensor:
        """As `a`, in its place where nothing else needs it: add, mul, scale, rope, soft_max, rms_norm, a unary."""
        return Tensor(a.ne, a.item, (a, *others), None, True)

    def copy_like(self, a: Tensor, *others: Tensor) -> Tensor:
        """As `a`, never in its place: norm, l2_norm, swiglu of two, cont, argsort."""
        return Tensor(a.ne, a.item, (a, *others))

    def matmul(self, rows: int, a: Tensor) -> Tensor:
        """With a weight of that many rows."""
        ne = a.ne
        self.factors = max(self.factors, ne[0] * ne[1] * ne[2] * ne[3])
        return Tensor((rows, ne[1], ne[2], ne[3]), F32, (a,))

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """mul_mat of two tensors of the graph."""
        return Tensor((a.ne[1], b.ne[1], b.ne[2], b.ne[3]), F32, (a, b))

    def rows_of(self, a: Tensor, ids: Tensor) -> Tensor:
        """get_rows of a tensor of the graph."""
        return Tensor((a.ne[0], ids.ne[0], ids.ne[1], ids.ne[2]), F32 if a.item != I64 else a.item, (a, ids))

    def view(self, a: Tensor, *ne: int, is_plain: bool = False) -> Tensor:
        """A part of `a`, or its elements in another order."""
        return Tensor(_four(ne), a.item, (a,), a if a.root is None else a.root, False, is_plain)

    def reshape(self, a: Tensor, *ne: int) -> Tensor:
        return self.view(a, *ne, is_plain=True)

    def permute(self, a: Tensor, *axes: int) -> Tensor:
        ne = [0, 0, 0, 0]
        for axis, length in zip(axes, a.ne, strict=True):
            ne[axis] = length
        return self.view(a, *ne)

    def transpose(self, a: Tensor) -> Tensor:
        return self.permute(a, 1, 0, 2, 3)

    def cont(self, a: Tensor, *ne: int) -> Tensor:
        return Tensor(_four(ne) if ne else a.ne, a.item, (a,))

    def cast(self, a: Tensor, item: int) -> Tensor:
        return Tensor(a.ne, item, (a,))

    def concat(self, a: Tensor, b: Tensor, axis: int) -> Tensor:
        ne = list(a.ne)
        ne[axis] += b.ne[axis]
        return Tensor(_four(ne), a.item, (a, b))

    def store(self, *sources: Tensor) -> Tensor:
        """What is written into a cache: set_rows, cpy."""
        return Tensor((0, 0, 0, 0), F32, sources, self._stored)

    def write(self, into: Tensor, *sources: Tensor) -> Tensor:
        """What is written into a tensor of the graph: set_rows, cpy, set_inplace."""
        return Tensor(into.ne, into.item, (into, *sources), into if into.root is None else into.root)

    # Order

    def expand(self, tensor: Tensor) -> None:
        if tensor.is_seen:
            return
        tensor.is_seen = True
        for source in tensor.sources:
            if not source.is_seen:
                self.expand(source)
        (self.nodes if tensor.sources else self.leaves).append(tensor)

    # Memory

    def reserved(self) -> int:
        """Bytes of the compute buffer. To be asked once."""
        memory = _Memory()
        for leaf in self.leaves:
            memory.take(leaf)
        for node in self.nodes:
            if node.root is not None:
                node.root.views += 1
            for source in node.sources:
                source.children += 1
        for node in self.nodes:
            if node.root is None and not node.held:
                memory.place(node)
            for source in node.sources:
                source.children -= 1
                if source.children or source.views:
                    continue
                root = source.root
                if root is None:
                    if source.held:
                        memory.give_back(source)
                else:
                    root.views -= 1
                    if not root.views and not root.children and root.held:
                        memory.give_back(root)
        return memory.most


class _Memory:
    """Free blocks in the order of their place; the last has no end."""

    def __init__(self) -> None:
        self.most = 0
        self._starts = [0]
        self._sizes = [_ENDLESS]

    def place(self, node: Tensor) -> None:
        """In the memory of a source that nothing else needs, where the operation can, else in the best free block."""
        if node.can_reuse:
            ne, item = node.ne, node.item
            for source in node.sources:
                if (
                    source.held
                    and source.children == 1
                    and not source.views
                    and not source.is_output
                    and source.item == item
                    and source.ne == ne
                ):
                    node.held, node.offset, source.held = True, source.offset, False
                    return
        self.take(node)

    def take(self, tensor: Tensor) -> None:
        a, b, c, d = tensor.ne
        size = -(-(a * b * c * d * tensor.item) // _ALIGNMENT) * _ALIGNMENT
        sizes = self._sizes
        tensor.held = True
        found, best = len(sizes) - 1, _ENDLESS
        for index in range(found):
            if size <= sizes[index] <= best:
                found, best = index, sizes[index]
        start = self._starts[found]
        tensor.offset = start
        if sizes[found] == size:
            del sizes[found], self._starts[found]
        else:
            sizes[found] -= size
            self._starts[found] = start + size
        self.most = max(self.most, start + size)

    def give_back(self, tensor: Tensor) -> None:
        if tensor.is_output:
            return
        tensor.held = False
        a, b, c, d = tensor.ne
        size = -(-(a * b * c * d * tensor.item) // _ALIGNMENT) * _ALIGNMENT
        start, starts, sizes = tensor.offset, self._starts, self._sizes
        end, count = start + size, len(starts)
        for index in range(count):
            if starts[index] + sizes[index] == start:
                sizes[index] += size
                if index + 1 < count and starts[index + 1] == end:
                    sizes[index] += sizes[index + 1]
                    del starts[index + 1], sizes[index + 1]
                return
            if starts[index] == end:
                starts[index], sizes[index] = start, sizes[index] + size
                if index and starts[index - 1] + sizes[index - 1] == start:
                    sizes[index - 1] += sizes[index]
                    del starts[index], sizes[index]
                return
        index = 0
        while index < count and starts[index] < start:
            index += 1
        starts.insert(index, start)
        sizes.insert(index, size)


def _four(ne: Sequence[int]) -> Shape:
    a, b, c, d = (*ne, 1, 1, 1)[:4]
    return a, b, c, d
