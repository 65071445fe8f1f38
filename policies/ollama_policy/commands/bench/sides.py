"""The two sides of a comparison, and the ready cases."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ollama_provider.ollama.names import ModelName


class Case(StrEnum):
    """What is compared with what."""

    PINNED = "pinned"
    ALIGNED = "aligned"
    SERVERS = "servers"


class Side(NamedTuple):
    """How one side calls. `is_cold`: the model is unloaded before each call, as a keep_alive that expired leaves it.

    `options` are sent with the calls in turn: two that differ in num_ctx make Ollama load the model anew each time.
    """

    name: str
    server: str
    model: ModelName
    options: tuple[Mapping[str, Any], ...] = ({},)
    is_cold: bool = False

    @property
    def reloads(self) -> bool:
        """Whether its calls make Ollama load the model anew."""
        return len(self.options) > 1


def steps(sides: Sequence[Side], rounds: int, calls: int, concurrency: int) -> list[str]:
    """What measuring the sides will do to a server, in lines for a person."""
    lines = []
    for side in sides:
        if side.is_cold:
            doing = f"unload {side.model} before each of {calls} calls"
        elif len(side.options) > 1:
            doing = (
                f"make {calls} calls, {concurrency} at once, which load {side.model} again at each change of num_ctx"
            )
        else:
            doing = f"load {side.model}, pinned, and make {calls} calls, {concurrency} at once"
        lines.append(f"{doing}: {side.name}")
    return [f"do in turn, {rounds} times and once to warm up:", *(f"  {line}" for line in lines)]


def sides_of(case: Case, model: ModelName, server: str, other_server: str, num_predict: int) -> tuple[Side, Side]:
    """The old and the new side of a ready case. What makes two servers differ is theirs to say."""
    common = {"num_predict": num_predict}
    if case is Case.PINNED:
        return (
            Side("cold: unloaded between calls", server, model, (common,), is_cold=True),
            Side('pinned: memory_management = "manual"', server, model, (common,)),
        )
    if case is Case.ALIGNED:
        # From 0.30 on, contexts past the one that a model was trained for are all the same to Ollama.
        contexts = tuple({**common, "num_ctx": num_ctx} for num_ctx in (2048, 1024))
        return (
            Side("clients with two num_ctx: reloaded at each change", server, model, contexts),
            Side("clients with the same options", server, model, contexts[:1]),
        )
    return Side(server, server, model, (common,)), Side(other_server, other_server, model, (common,))
