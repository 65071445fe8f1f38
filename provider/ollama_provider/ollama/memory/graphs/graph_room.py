"""The room that llama.cpp reserves for the nodes of graphs, by the model's tensors (llama.cpp b10970)."""

from typing import Final

# 40 nodes a token in these, else 8 a tensor (graph_max_nodes in llama-context.cpp:2307).
_MANY_NODES: Final = frozenset({"qwen3next", "qwen35", "qwen35moe", "nanbeige"})
_GRAPHS, _NODE = 2, 410  # bytes of a tensor's header and its place in a graph (ggml_graph_overhead_custom)
# The scheduler's copies of inputs, two of up to 30 a split, and the bytes of their headers (ggml_backend_sched_new).
_COPIES, _HEADER = 2 * 30, 336


def nodes_of(architecture: str, tensors: int, tokens: int) -> int:
    """How many nodes graphs have room for. `tokens` is how many are read at once."""
    if architecture in _MANY_NODES:
        return max(40 * tokens, 32 * tensors)
    return max(1024, 8 * tensors)


def written(nodes: int) -> int:
    """Bytes that llm_graph_result fills with zeros for a graph, without the tensors' contents (llama-graph.cpp)."""
    return _GRAPHS * _NODE * nodes


def unwritten(nodes: int) -> int:
    """Bytes that the scheduler asks for and, on a CPU alone, hardly writes to. They are not part of /api/ps' size."""
    return _COPIES * _HEADER * nodes
