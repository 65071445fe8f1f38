"""The story's architecture, named after what Ollama has, with one server's figures, and where memory is held.

The story's model loader is Ollama's scheduler; its memory manager is the keep_alive timer of each runner; its pool
is the memory of the runners' processes, which all goes back when such a process ends.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ollama_policy.commands.drift.judge import orphans
from ollama_policy.commands.report.pictures import svg
from ollama_policy.commands.report.pictures.escaping import mermaid, shortened
from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.formats.writing import many
from ollama_policy.live.snapshot import NoAnswer, Server, ServerState
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import RunningModel
from ollama_provider.ollama.sizes import text_of

_MOST_RUNNERS = 12  # that are drawn; the table has all
_WIDTH = 560
_LINE = 17


class Box(NamedTuple):
    """`name` is Ollama's, `document` is what the story calls it. `is_held`: its memory waits for no timer."""

    id: str
    name: str
    document: str
    lines: tuple[str, ...]
    is_held: bool = False


class Runner(NamedTuple):
    """A model in memory. `why_held` is empty where a timer will release it."""

    name: str
    bytes: int
    vram: int
    context: int
    released: str
    why_held: str


class Architecture(NamedTuple):
    boxes: tuple[Box, ...]  # from the client down to the memory
    runners: tuple[Runner, ...]

    @property
    def held(self) -> list[Runner]:
        return [runner for runner in self.runners if runner.why_held]


def architecture(server: Server | None) -> Architecture:
    """What is known of a server; None where none was named."""
    found = runners(server) if isinstance(server, ServerState) else ()
    boxes = (
        Box("client", "Clients", "Client", ("their own keep_alive and options win over the server's",)),
        Box("api", "Ollama's API", "Ollama API", _api(server)),
        Box("scheduler", "Scheduler", "Model Loader", _scheduler(server)),
        Box("timers", "keep_alive timers, one for each runner", "Memory Manager", _timers(server, found)),
        Box("memory", "Memory of the runners' processes", "Memory Pool", _memory(server, found), _is_held(found)),
    )
    return Architecture(boxes, found)


def runners(seen: ServerState) -> tuple[Runner, ...]:
    """The models in memory, those that are held first, the largest first."""
    lost = {id(model) for model in orphans(seen)}
    found = [_runner(seen, model, is_orphan=id(model) in lost) for model in seen.running.models]
    return tuple(sorted(found, key=lambda runner: (not runner.why_held, -runner.bytes, runner.name)))


def _runner(seen: ServerState, model: RunningModel, *, is_orphan: bool) -> Runner:
    is_pinned = seen.running.is_pinned(model)
    left = max(0, round(seen.running.left_of(model).total_seconds()))
    released = "never" if is_pinned else f"in {durations.text(left * durations.NANOSECONDS['s'])} without a call"
    held = [words for words, holds in (("pinned", is_pinned), ("orphan: no name reaches it", is_orphan)) if holds]
    return Runner(str(model.name), model.size, model.size_vram, model.context_length, released, ", ".join(held))


def _is_held(found: tuple[Runner, ...]) -> bool:
    return any(runner.why_held for runner in found)


def _api(server: Server | None) -> tuple[str, ...]:
    if server is None:
        return ("no server was looked at: --host URL puts its figures here",)
    if isinstance(server, NoAnswer):
        return (server.url, f"could not be looked at: {server.problem}")
    stored = sum(model.size for model in server.installed.values())
    return (
        f"Ollama {server.version} at {server.url}",
        f"/api/tags: {many(len(server.installed), 'model')}, {text_of(stored)}",
    )


def _scheduler(server: Server | None) -> tuple[str, ...]:
    count = (f"/api/ps: {len(server.running.models)} in memory now",) if isinstance(server, ServerState) else ()
    return ("loads a runner by its weights file, evicts for room", *count)


def _timers(server: Server | None, found: tuple[Runner, ...]) -> tuple[str, ...]:
    if not isinstance(server, ServerState):
        return ("a runner ends when its timer ends; a pin has none",)
    pinned = sum(runner.released == "never" for runner in found)
    return (f"{len(found) - pinned} running, {pinned} pinned: those never run down",)


def _memory(server: Server | None, found: tuple[Runner, ...]) -> tuple[str, ...]:
    if not isinstance(server, ServerState):
        return ("all of it is freed when a runner's process ends",)
    total = sum(runner.bytes for runner in found)
    in_vram = sum(runner.vram for runner in found)
    lines = (f"{text_of(total)} in all, {text_of(in_vram)} in VRAM, by Ollama's estimate",)
    held = [runner for runner in found if runner.why_held]
    if not held:
        return (*lines, "nothing is held beyond a timer")
    return (*lines, f"HELD HERE: {text_of(sum(runner.bytes for runner in held))} in {len(held)} of {len(found)}")


def _label(runner: Runner) -> tuple[str, ...]:
    lines = (
        f"{text_of(runner.bytes)}, {text_of(runner.vram)} in VRAM, context {runner.context}",
        f"released: {runner.released}",
    )
    return (*lines, f"HELD: {runner.why_held}") if runner.why_held else lines


# As text.


def tables(found: Architecture) -> Iterator[Table]:
    rows = tuple((box.name, box.document, "; ".join(box.lines)) for box in found.boxes)
    yield Table("The parts, from the client to the memory", ("in Ollama", "role", "on this server"), rows)
    if found.runners:
        models = tuple(
            (one.name, text_of(one.bytes), text_of(one.vram), str(one.context), one.released, one.why_held or "no")
            for one in found.runners
        )
        heads = ("model", "memory, estimate", "of it VRAM", "context", "released", "held")
        yield Table("Models in memory", heads, models)


def as_mermaid(found: Architecture) -> str:
    lines = ["flowchart TB"]
    lines += [f'    {box.id}["{_mermaid(box)}"]' for box in found.boxes]
    lines += ["    client --> api --> scheduler --> timers", "    timers <--> memory"]
    for number, one in enumerate(found.runners):
        lines.append(f'    memory --- runner{number}["{"<br/>".join(map(mermaid, (one.name, *_label(one))))}"]')
    lines += ["    classDef held stroke:#b3261e,stroke-width:3px,stroke-dasharray:7 4"]
    lines += [f"    class runner{number} held" for number, one in enumerate(found.runners) if one.why_held]
    return "\n".join(lines) + "\n"


def _mermaid(box: Box) -> str:
    return "<br/>".join(map(mermaid, (box.name, f"role: {box.document}", *box.lines)))


# As a picture.


def picture(found: Architecture) -> str:
    """The parts from top to bottom as SVG; the memory holds the runners."""
    body: list[str] = []
    y = 8.0
    for box in found.boxes[:-1]:
        bottom = y + _height(box)
        body += _box(box, y, "box", bottom - y)
        body.append(svg.arrow_down(_WIDTH / 2, bottom, bottom + 26, both_ways=box.id == "timers"))
        y = bottom + 26
    memory = found.boxes[-1]
    inside: list[str] = []
    top = y + _height(memory) + 4
    for runner in found.runners[:_MOST_RUNNERS]:
        label = _label(runner)
        height = 34 + _LINE * len(label)
        inside.append(svg.rectangle(44, top, _WIDTH - 88, height, "held" if runner.why_held else "box"))
        inside.append(svg.text(60, top + 24, shortened(runner.name, 52), "strong"))
        for number, line in enumerate(label):
            kind = "alarm" if runner.why_held and number == len(label) - 1 else ""
            inside.append(svg.text(60, top + 24 + _LINE * (number + 1), line, kind))
        top += height + 12
    if len(found.runners) > _MOST_RUNNERS:
        inside.append(svg.text(60, top + 14, f"and {len(found.runners) - _MOST_RUNNERS} more: the table has all"))
        top += 26
    body += [*_box(memory, y, "note", top - y), *inside]
    description = "; ".join(f"{box.name} ({box.document}): {', '.join(box.lines)}" for box in found.boxes)
    title = "Ollama's architecture, and where memory is held"
    return svg.picture("architecture", title, description, (_WIDTH, top + 10), "\n".join(body))


def _wrapped(box: Box) -> list[list[str]]:
    return [svg.lines_of(line, _WIDTH - 64) for line in box.lines]


def _height(box: Box) -> float:
    return 40 + _LINE * sum(map(len, _wrapped(box)))


def _box(box: Box, y: float, kind: str, height: float) -> Iterator[str]:
    yield svg.rectangle(20, y, _WIDTH - 40, height, kind)
    yield svg.text(36, y + 22, box.name, "strong")
    yield svg.text(_WIDTH - 36, y + 22, f"document: {box.document}", "muted", "end")
    at = y + 42
    for line in _wrapped(box):
        is_alarm = box.is_held and line[0].startswith("HELD")
        yield from svg.paragraph(36, at, line, "alarm" if is_alarm else "")
        at += _LINE * len(line)
