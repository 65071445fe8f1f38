"""Random sequences of what happens to a server's models, each checked after each step."""

import random
from dataclasses import dataclass, field
from typing import Any

from tests.engines.lives.world import Kill, World, choose_declarations, full
from tests.engines.observing import installed

STEPS = (4, 9)
KILL_WITHIN = 25  # requests
CALLS: list[dict[str, Any]] = [
    {},
    {"keep_alive": -1},
    {"keep_alive": 0},
    {"keep_alive": "1s"},
    {"options": {"num_ctx": 512}},
]


@dataclass
class Told:
    """What one sequence did, in words that let it be followed by hand."""

    seed: int
    steps: list[str] = field(default_factory=list)
    kills: int = 0
    failures: int = 0
    crashes: int = 0


def play(world: World, seed: int) -> Told:
    """Plays the sequence of a seed. Raises BrokenPromiseError; its notes say which steps led there."""
    draw = random.Random(seed)
    told = Told(seed)
    try:
        for _ in range(draw.randint(*STEPS)):
            _step(world, draw, told)
        told.steps.append("end")
        world.end()
        told.crashes = world.crashes
    except AssertionError as error:
        error.add_note(f"seed {seed}: " + "; ".join(told.steps))
        raise
    return told


def _step(world: World, draw: random.Random, told: Told) -> None:
    there = sorted(installed(world.server))
    kind = draw.choices(
        ("apply", "kill", "rename", "call", "make", "copy", "remove", "adopt"), (6, 3, 1, 5, 2, 1, 1, 1)
    )[0]
    if kind in ("apply", "kill"):
        declared = choose_declarations(world, draw)
        kill = Kill(draw.randint(1, KILL_WITHIN), draw.random() < 0.5) if kind == "kill" else None
        told.steps.append(f"apply {declared} {kill or ''}")
        done = world.apply(declared, kill)
        told.kills += done.was_killed
        told.failures += len(done.failures)
        told.steps[-1] += f" -> {dict(done.failures) or 'done'}{', killed' if done.was_killed else ''}"
    elif kind == "rename" and world.declared:
        moved = {f"moved_{key}"[-8:]: values for key, values in world.declared.items()}
        told.steps.append(f"the same under other keys {moved}")
        told.failures += len(world.apply(moved).failures)
    elif kind == "call" and there:
        name = draw.choice(there)
        fields = draw.choice(CALLS)
        told.steps.append(f"call {name} {fields}")
        world.client_call(name, **fields)
    elif kind == "make":
        name = f"mine-{draw.randint(0, 2)}"
        told.steps.append(f"a person makes {name}")
        if f"{name}:latest" not in world.people:
            world.person_makes(name, world.ggufs[4])
    elif kind == "copy" and there:
        source, name = draw.choice(there), f"copy-{draw.randint(0, 2)}"
        told.steps.append(f"a person copies {source} to {name}")
        if f"{name}:latest" not in there and "previous" not in source:
            world.person_copies(source, name)
    elif kind in ("remove", "adopt"):
        in_use = {full(values["name"]) for values in world.declared.values()}
        free = sorted(world.people.keys() - in_use - set(world.engine.known().values()))
        if free:
            name = draw.choice(free)
            told.steps.append(f"{kind} {name}")
            if kind == "remove":
                world.person_removes(name)
            elif world.engine.can_adopt and not world.is_cut_off:
                key = f"i{draw.randint(0, 9)}"
                if key not in world.engine.known():
                    world.engine.adopt(key, name)
                    world.declared[key] = {"name": name}
