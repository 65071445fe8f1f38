"""What in a request loads a model anew, and so loses its pin. Measured on 0.34.3 and 0.17.4, one request each."""

from ollama_provider.ollama.versions import Behavior, Version

_EVERY_VERSION = ("num_ctx", "num_batch", "num_gpu", "num_thread")


def reloading_fields(version: Version | None) -> tuple[str, ...]:
    """The options, and the one field beside them, whose other value loads a model anew; of the newest if not known."""
    mmap = "use_mmap" if Behavior.NO_MMAP_RELOADS.holds(version, if_unknown=False) else "use_mmap: true"
    rows = {
        "main_gpu": Behavior.MAIN_GPU_RELOADS,
        "draft_num_predict": Behavior.DRAFT_RELOADS,
        "shift: false": Behavior.SHIFT_RELOADS,
    }
    return (*_EVERY_VERSION, mmap, *(name for name, row in rows.items() if row.holds(version, if_unknown=True)))
