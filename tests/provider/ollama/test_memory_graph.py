"""The allocator, on graphs small enough to be worked out by hand: sizes are multiples of 32 bytes."""

from ollama_provider.ollama.memory.graphs.graph import Graph

ROW = 8 * 4  # bytes of eight floats


def test_what_only_one_needs_is_written_over() -> None:
    graph = Graph()
    a = graph.input(8)
    graph.expand(graph.like(graph.like(a)))
    assert graph.reserved() == ROW


def test_what_is_needed_again_is_not() -> None:
    graph = Graph()
    a = graph.input(8)
    graph.expand(graph.like(graph.like(a), a))
    assert graph.reserved() == 2 * ROW


def test_an_operation_that_cannot_reuse_takes_room_of_its_own() -> None:
    graph = Graph()
    graph.expand(graph.copy_like(graph.input(8)))
    assert graph.reserved() == 2 * ROW


def test_room_that_is_free_again_is_taken() -> None:
    """The third lies where the first was."""
    graph = Graph()
    a = graph.input(8)
    graph.expand(graph.copy_like(graph.copy_like(a)))
    assert graph.reserved() == 2 * ROW


def test_an_output_stays() -> None:
    graph = Graph()
    first = graph.copy_like(graph.input(8))
    first.is_output = True
    graph.expand(graph.like(first))
    assert graph.reserved() == 2 * ROW
    graph = Graph()
    first = graph.copy_like(graph.input(8))
    first.is_output = True
    graph.expand(graph.copy_like(graph.copy_like(first)))
    assert graph.reserved() == 3 * ROW


def test_a_view_holds_what_it_is_of() -> None:
    graph = Graph()
    a = graph.input(8)
    half = graph.view(a, 4)
    other = graph.copy_like(a)
    graph.expand(other)
    graph.expand(graph.cont(half, 4))
    # Both rows, and the half of one in a room of 32 bytes.
    assert graph.reserved() == 3 * ROW


def test_the_smallest_room_that_is_large_enough_is_taken() -> None:
    """Free are four rows and one; a row goes into the one, and four rows go into the four."""
    graph = Graph()
    large, kept, small = graph.input(8, 4), graph.input(8), graph.input(8)
    last = graph.input(8)
    ends = graph.new((4,), large, small)  # makes both free, and takes 32 bytes at the end
    graph.expand(ends)
    row = graph.copy_like(kept)
    graph.expand(row)
    four = graph.new((8, 4), row, last)
    graph.expand(four)
    assert graph.reserved() == (4 + 1 + 1 + 1 + 1) * ROW
