"""What remedies are found from: what a server said and what is declared for it, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ollama_policy.live.declared import Declared
from ollama_policy.live.reclaimable import Entry
from ollama_policy.live.runners.growth import Grown
from ollama_policy.live.runners.runner import CACHE_VARIABLE
from ollama_provider.ollama.answers import InstalledModel, ModelDetails, Running, RunningModel
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.settings.kv_cache_types import in_effect, larger
from ollama_provider.ollama.settings.llama_arguments import whole
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB, env_uint
from ollama_provider.ollama.versions import Behavior, Version, version_in

ASSUMED_PARALLEL: Final = 1  # from 0.10 on


class Server(NamedTuple):
    """What a server said. `details` are those of the models that are in memory and reached by their names.

    `grown` are those whose processes show by how much they have grown. `variables` are those of its own process that
    memory depends on; None where that is not shown.
    """

    url: str
    version_text: str
    installed: Mapping[ModelName, InstalledModel]
    running: Running
    details: Mapping[ModelName, ModelDetails] = {}
    orphans: Sequence[Entry] = ()
    grown: Mapping[ModelName, Grown] = {}
    variables: Mapping[str, str] | None = None

    @property
    def version(self) -> Version | None:
        return version_in(self.version_text)

    @property
    def reached(self) -> list[RunningModel]:
        """What is in memory, but for orphans."""
        lost = {(entry.model.name, entry.model.digest) for entry in self.orphans}
        return [model for model in self.running.models if (model.name, model.digest) not in lost]

    @property
    def has_prompt_cache(self) -> bool:
        return Behavior.PROMPT_CACHE.holds(self.version, if_unknown=False)


class Settings(NamedTuple):
    """What is known of the server's variables; what is not said is what Ollama takes by itself.

    `place` is where its environment is written, empty where no file shows it, or several that may be meant.
    """

    place: str = ""
    parallel: int | None = None
    kv_cache_type: str | None = None
    cache_mib: int | None = None  # negative: as many tokens as the context has
    is_container: bool = False

    def of(self, server: Server) -> "Settings":
        """The same, with what the server's process shows in place of what files say: it runs with that."""
        variables = server.variables
        if variables is None:
            return self
        cache = variables.get(CACHE_VARIABLE)
        return self._replace(
            parallel=env_uint(variables.get("OLLAMA_NUM_PARALLEL", "")) or ASSUMED_PARALLEL,
            kv_cache_type=larger(*in_effect(lambda name: variables.get(name, ""), server.version)),
            cache_mib=None if cache is None else whole(cache),
        )

    @property
    def cache(self) -> int:
        return PROMPT_CACHE_MIB if self.cache_mib is None else self.cache_mib


class Edit(NamedTuple):
    """What the checker's fix of a finding would write at a place. `address` is of the declaration or the server."""

    rule: str
    place: str
    title: str
    address: str
    is_safe: bool


class Declarations(NamedTuple):
    """What the files declare for this server. `others` may be for it. `is_complete`: no declaration is unread.

    Without files nothing is declared, and nothing is called undeclared.
    """

    models: Sequence[Declared] = ()
    others: frozenset[ModelName] = frozenset()
    is_complete: bool = False
    settings: Settings = Settings()
    edits: Sequence[Edit] = ()

    def of(self, name: ModelName) -> list[Declared]:
        return [one for one in self.models if one.model_name == name]
