"""The story's matrix of remedies, made concrete for one server and its declarations: pure, values in, values out."""

from ollama_policy.commands.remedies.facts import Declarations, Server
from ollama_policy.commands.remedies.releasing import releasing
from ollama_policy.commands.remedies.remedy import Remedy, in_order
from ollama_policy.commands.remedies.saving import MODEST_CACHE_MIB, saving


def matrix(server: Server, declared: Declarations, cache_mib: int = MODEST_CACHE_MIB) -> list[Remedy]:
    """Every remedy that there is something to say of here, in order. `cache_mib` is the prompt cache to propose.

    What gives nothing back is possible, and recommended nowhere.
    """
    declared = declared._replace(settings=declared.settings.of(server))
    every = [*releasing(server, declared), *saving(server, declared, cache_mib)]
    return in_order(one._replace(is_recommended=False) if one.gain.bytes == 0 else one for one in every)
