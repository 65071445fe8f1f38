"""Which models Ollama runs one request at a time, whatever OLLAMA_NUM_PARALLEL says (server/sched.go:509, 514).

The scheduler knows them by the architecture of their file; a declaration knows a name only. So the names of Ollama's
library whose files are of these architectures stand here. A name that is not among them says nothing.
"""

from typing import Final

# The architecture in the file -> how names in the library begin.
_FAMILIES: Final = {
    "mllama": ("llama3.2-vision",),
    "qwen3vl": ("qwen3-vl",),
    "qwen35": ("qwen3.5",),
    "qwen3next": ("qwen3-next", "qwen3-coder-next"),
    "lfm2": ("lfm2", "lfm2.5"),
    "nemotron_h_moe": ("nemotron-3",),
    "bert and others that embed only": (
        "nomic-embed",
        "mxbai-embed",
        "snowflake-arctic-embed",
        "qwen3-embedding",
        "embeddinggemma",
        "granite-embedding",
        "bge",
        "all-minilm",
        "paraphrase-multilingual",
    ),
}


def runs_one_at_a_time(name: str) -> bool:
    """Whether a model of this name, as its tag is written, surely runs one request at a time."""
    model = name.lower().rpartition("/")[2].partition(":")[0]
    is_of_library = "/" not in name or name.lower().startswith(("library/", "registry.ollama.ai/library/"))
    beginnings = [beginning for names in _FAMILIES.values() for beginning in names]
    return is_of_library and any(model == one or model.startswith(f"{one}-") for one in beginnings)
