"""Whether a model that is to be pinned fits beside what is pinned already: told when it is planned.

Only a hint can be had before a load: the model's own need is `ollama.memory`'s estimate, what is pinned is what
/api/ps says of it, and how much there is, the API does not say at all. So where a part is not known, nothing is said.
What a load takes and what its runner may grow by, prompt by prompt, are two figures: the second alone is not a misfit.
The server's variables are not seen, so a prompt cache is taken to have Ollama's own bound.
"""

import os
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from ollama_provider.apply.server import REFRESH_SECONDS, Server, View
from ollama_provider.model import ModelDeclaration
from ollama_provider.ollama import kinds
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.memory import estimate
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import text_of
from ollama_provider.ollama.versions import Behavior, Version, version_in

DEFAULT_NUM_CTX = 4096  # Ollama's own on a machine without a large GPU
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of cgroup v2, and of v1
_BOUND = "bound it with LLAMA_ARG_CACHE_RAM"


class Need(NamedTuple):
    """Bytes that a load takes, and that its runner may grow by on top."""

    takes: int
    growth: int


class Shortage(NamedTuple):
    """What does not fit, in words with the sums. `is_growth`: it fits, until the runners' prompt caches grow."""

    words: str
    is_growth: bool


@dataclass
class Capacity:
    """The memory of one server, and what one plan is to pin there. `memory_bytes` is None where it is not known."""

    memory_bytes: int | None
    planned: dict[ModelName, Need] = field(default_factory=dict)

    async def shortage(self, server: Server, declared: ModelDeclaration) -> Shortage | None:
        """Notes what the model needs, and says where it does not fit, or may outgrow, beside all that is pinned."""
        if self.memory_bytes is None or not declared.must_be_resident:
            return None
        try:
            view = await server.view(REFRESH_SECONDS)
            version = version_in(await server.version())
            need = await _need(server, declared, view, version)
        except OllamaError:
            # A plan needs no server, and does not wait for one twice: whoever must reach it says what is wrong.
            self.memory_bytes = None
            return None
        if need is None:
            return None
        name = declared.model_name
        self.planned[name] = need
        held = {model.name: Need(model.size, 0) for model in view.running.models if view.running.is_pinned(model)}
        others = {other: one for other, one in (held | self.planned).items() if other != name}
        takes = need.takes + sum(one.takes for one in others.values())
        growth = need.growth + sum(one.growth for one in others.values())
        if takes + growth <= self.memory_bytes:
            return None
        is_growth = takes <= self.memory_bytes
        words = f"{name} is to be pinned and takes about {text_of(need.takes)}"
        if need.growth:
            words += f", may grow by {text_of(need.growth)}: {_BOUND}"
        words += _beside(others) + f"; the server has {text_of(self.memory_bytes)}"
        if is_growth:
            return Shortage(f"{words}. It fits until the prompt caches grow, and only an unload gives that back", True)
        return Shortage(f"{words}. {_past_memory(version)}", False)


def _beside(others: dict[ModelName, Need]) -> str:
    if not others:
        return ""
    each = ", ".join(
        f"{other} {text_of(one.takes)}" for other, one in sorted(others.items(), key=lambda one: -one[1].takes)
    )
    growth = sum(one.growth for one in others.values())
    grown = f", which may grow by {text_of(growth)}," if growth else ""
    total = text_of(sum(one.takes for one in others.values()))
    return f"; beside it {total} is or will be pinned there ({each}){grown}".removesuffix(",")


def _past_memory(version: Version | None) -> str:
    if Behavior.EVICTS_ON_CPU.holds(version, if_unknown=False):
        return "What does not fit is swapped, refused or killed"
    return "Without a GPU Ollama makes no room: past the memory the kernel kills"


def memory_of_this_machine() -> int | None:
    """The bytes of its memory, or of the container that this process is in."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    return min([total, *filter(None, map(_limit, _LIMITS))])


def _limit(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - one small file
            limit = file.read().strip()
    except (OSError, ValueError):
        return None
    return int(limit) if limit.isdecimal() else None


def capacity_of(server: Server, declared_bytes: int | None) -> Capacity:
    """The one of this run. As the provider's configuration says, else this machine's memory, else not known."""
    if server not in _OF_SERVERS:
        if declared_bytes is None and server.client.is_on_this_machine:
            declared_bytes = memory_of_this_machine()
        _OF_SERVERS[server] = Capacity(declared_bytes)
    return _OF_SERVERS[server]


_OF_SERVERS: WeakKeyDictionary[Server, Capacity] = WeakKeyDictionary()


async def _need(server: Server, declared: ModelDeclaration, view: View, version: Version | None) -> Need | None:
    """None where the model is not there to be looked at, or of an architecture that is not known."""
    present = view.installed.get(declared.model_name) or (
        view.installed.get(declared.base_name) if declared.base_name else None
    )
    if present is None or kinds.runs_elsewhere(present) or kinds.is_mlx(present):
        return None
    details = await server.client.show(present.name)
    own = (declared.parameters or {}).get("num_ctx") or details.num_ctx or DEFAULT_NUM_CTX
    try:
        found = estimate(details.metadata, weights_bytes=present.size, num_ctx=int(own), version=version)
    except ValueError:
        return None
    return Need(found.total, found.prompt_cache)
