"""Whether a model that is to be pinned fits beside what is pinned already: told when it is planned.

Only a hint can be had before a load: the model's own need is `ollama.memory`'s estimate, what is pinned is what
/api/ps says of it, and how much there is, the API does not say at all. So where a part is not known, nothing is said.
"""

import os
from dataclasses import dataclass, field

from ollama_provider.model import ModelDeclaration
from ollama_provider.ollama import kinds
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.memory import estimate
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import text_of
from ollama_provider.server import REFRESH_SECONDS, Server, View

DEFAULT_NUM_CTX = 4096  # Ollama 0.17 on a machine without a large GPU


@dataclass
class Room:
    """The memory of one server, and what one plan is to pin there. `memory_bytes` is None where it is not known."""

    memory_bytes: int | None
    planned: dict[ModelName, int] = field(default_factory=dict)

    async def misfit(self, server: Server, declared: ModelDeclaration) -> str | None:
        """Notes what the model needs, and says with the sums where it does not fit beside all that is pinned."""
        if self.memory_bytes is None or not declared.must_be_resident:
            return None
        try:
            view = await server.view(REFRESH_SECONDS)
            need = await _need(server, declared, view)
        except OllamaError:
            # A plan needs no server, and does not wait for one twice: whoever must reach it says what is wrong.
            self.memory_bytes = None
            return None
        if need is None:
            return None
        name = declared.model_name
        self.planned[name] = need
        held = {model.name: model.size for model in view.running.models if view.running.is_pinned(model)}
        others = {other: size for other, size in (held | self.planned).items() if other != name}
        if need + sum(others.values()) <= self.memory_bytes:
            return None
        beside = ", ".join(
            f"{other} {text_of(size)}" for other, size in sorted(others.items(), key=lambda one: -one[1])
        )
        return (
            f"{name} is to be pinned and takes about {text_of(need)}"
            + (f", beside {text_of(sum(others.values()))} that is or will be pinned there ({beside})" if others else "")
            + f"; the server has {text_of(self.memory_bytes)}. What does not fit is swapped, refused or killed"
        )


def memory_of_this_machine() -> int | None:
    """The bytes of its memory, or of the container that this process is in."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:  # noqa: PTH123 - one small file
            limit = file.read().strip()
    except (OSError, ValueError):
        limit = ""
    return min(total, int(limit)) if limit.isdecimal() else total


def room_of(server: Server, declared_bytes: int | None) -> Room:
    """As the provider's configuration says, else this machine's memory where the server is on it, else not known."""
    if declared_bytes is not None:
        return Room(declared_bytes)
    return Room(memory_of_this_machine() if server.client.is_on_this_machine else None)


async def _need(server: Server, declared: ModelDeclaration, view: View) -> int | None:
    """Bytes, or None where the model is not there to be looked at, or of an architecture that is not known."""
    present = view.installed.get(declared.model_name) or (
        view.installed.get(declared.base_name) if declared.base_name else None
    )
    if present is None or kinds.runs_elsewhere(present) or kinds.is_mlx(present):
        return None
    details = await server.client.show(present.name)
    own = (declared.parameters or {}).get("num_ctx") or details.num_ctx or DEFAULT_NUM_CTX
    try:
        return estimate(details.metadata, weights_bytes=present.size, num_ctx=int(own)).total
    except ValueError:
        return None
