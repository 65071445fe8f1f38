"""What in a request loads a model anew, and so loses its pin. Measured on 0.34.3 and 0.17.4, one request each.

Of those, a llama-server shows some in its command line (llm/llama_server.go:386 of 0.34.3).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from ollama_provider.ollama.settings.batches import AUTOMATIC_BATCHES
from ollama_provider.ollama.versions import Behavior, Version

_EVERY_VERSION = ("num_ctx", "num_batch", "num_gpu", "num_thread")
_SET_BY: Final = {"-b": "num_batch", "-ngl": "num_gpu", "-t": "num_thread", "--main-gpu": "main_gpu"}
_LOAD_MODE, _SHIFT = "--load-mode", "--context-shift"


def reloading_fields(version: Version | None) -> tuple[str, ...]:
    """The options, and the one field beside them, whose other value loads a model anew; of the newest if not known."""
    mmap = "use_mmap" if Behavior.NO_MMAP_RELOADS.holds(version, if_unknown=False) else "use_mmap: true"
    rows = {
        "main_gpu": Behavior.MAIN_GPU_RELOADS,
        "draft_num_predict": Behavior.DRAFT_RELOADS,
        "shift: false": Behavior.SHIFT_RELOADS,
    }
    return (*_EVERY_VERSION, mmap, *(name for name, row in rows.items() if row.holds(version, if_unknown=True)))


def flags_in(command: Sequence[str]) -> dict[str, str]:
    """What of a llama-server's command line comes from options: each flag with its value, or an empty text."""
    valued = {*_SET_BY, _LOAD_MODE}
    found = {flag: value for flag, value in pairwise(command) if flag in valued}
    return found | ({_SHIFT: ""} if _SHIFT in command else {})


def options_shown(flags: Mapping[str, str]) -> dict[str, str]:
    """The options that `flags_in` shows to be set, by a request or by the model's own parameters."""
    shown = {option: flags[flag] for flag, option in _SET_BY.items() if flag in flags}
    is_usual = shown.get("num_batch", "") in {str(batch) for batch in AUTOMATIC_BATCHES}  # as far as one can see
    return {option: value for option, value in shown.items() if not (is_usual and option == "num_batch")}


def fields_hidden(flags: Mapping[str, str], version: Version | None, *, knows_context: bool) -> tuple[str, ...]:
    """Those of `reloading_fields` that a request may have had, and `flags_in` would not show it.

    `knows_context` says that the context in memory is the declared one.
    """
    visible = {*_SET_BY.values(), *(("num_ctx",) if knows_context else ())}
    if flags.get(_LOAD_MODE) == "none":
        visible.add("use_mmap: true")
    if _SHIFT in flags:
        visible.add("shift: false")
    return tuple(field for field in reloading_fields(version) if field not in visible)
