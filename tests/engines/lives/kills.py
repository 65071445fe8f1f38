"""Kill -9 at every request of an apply, enumerated: what is there then, and that the next apply goes on from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.engines.lives.world import BrokenPromiseError, Kill, Values, World

MANUAL = {"memory_management": "manual"}


@dataclass(frozen=True)
class Scenario:
    """An apply that changes something: what is declared before it, what then happens, and what it declares."""

    name: str
    after: Callable[[World], dict[str, Values]]
    before: Callable[[World], dict[str, Values]] = field(default=lambda world: {})
    between: Callable[[World], None] = field(default=lambda world: None)


def tiny(world: World) -> Values:
    return {"name": world.registry.reference("tiny:latest"), "insecure": True} | MANUAL


def other(world: World) -> Values:
    return {"name": world.registry.reference("other:latest"), "insecure": True} | MANUAL


def derived(world: World, system: str = "be brief") -> Values:
    return {"name": "derived", "base": tiny(world)["name"], "insecure": True, "system": system} | MANUAL


def uploaded(world: World) -> Values:
    return {"name": "up", "gguf": str(world.ggufs[2])} | MANUAL


def move_the_tag(world: World) -> None:
    world.registry.push("tiny:latest", world.ggufs[3])


SCENARIOS = (
    Scenario("a pull", lambda world: {"m": tiny(world)}),
    Scenario("an upload", lambda world: {"m": uploaded(world)}),
    Scenario("a derivation", lambda world: {"m": derived(world)}),
    Scenario(
        "a moved tag",
        before=lambda world: {"m": tiny(world)},
        between=move_the_tag,
        after=lambda world: {"m": tiny(world) | {"pull_policy": "always"}},
    ),
    Scenario(
        "another variant",
        before=lambda world: {"m": derived(world)},
        after=lambda world: {"m": derived(world, "be kind")},
    ),
    Scenario("a rename", before=lambda world: {"m": tiny(world)}, after=lambda world: {"m": other(world)}),
    Scenario("a destroy", before=lambda world: {"m": tiny(world)}, after=lambda world: {}),
)


def kill_at_every_request(scenario: Scenario, fresh: Callable[[], World], *, is_before: bool) -> Iterator[Kill]:
    """Plays a scenario once for each request of its apply, on a `fresh` world each; gives the kills that were tried.

    Raises BrokenPromiseError, with the kill in its notes.
    """
    request = 0
    while True:
        request += 1
        kill, world = Kill(request, is_before), fresh()
        try:
            if before := scenario.before(world):
                world.apply(before)
            scenario.between(world)
            declared = scenario.after(world)
            done = world.apply(declared, kill)
            if world.apply(declared).failures:
                raise BrokenPromiseError("the next apply does not go on")
            world.end()
        except BrokenPromiseError as error:
            error.add_note(f"{scenario.name}: {kill}")
            raise
        if not done.was_killed:
            return
        yield kill
