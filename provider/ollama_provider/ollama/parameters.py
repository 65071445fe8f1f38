"""Model parameters that Ollama takes no longer, in a request's options, a Modelfile and a declaration."""

from typing import Final, NamedTuple

from ollama_provider.ollama.versions import Behavior


class RemovedParameter(NamedTuple):
    """`behavior` says since when. `is_refused`: HTTP 400; the others are ignored. `note`: what took its place."""

    behavior: Behavior
    is_refused: bool = False
    note: str = ""


_OF_OLD = (
    "embedding_only f16_kv logits_all low_vram mirostat mirostat_eta mirostat_tau num_gqa numa penalize_newline "
    "rope_frequency_base rope_frequency_scale tfs_z vocab_only"
).split()

REMOVED_PARAMETERS: Final = {
    "typical_p": RemovedParameter(Behavior.REFUSES_TYPICAL_P, is_refused=True),
    "use_mlock": RemovedParameter(Behavior.NO_USE_MLOCK, note="LLAMA_ARG_LOAD_MODE=mlock on the server, from 0.34.2"),
    **{name: RemovedParameter(Behavior.NO_OLD_OPTIONS) for name in _OF_OLD},
}
