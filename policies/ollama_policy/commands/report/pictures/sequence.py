"""The calls of a probe as a sequence diagram: the steps of the story, with what was measured at each."""

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from ollama_policy.commands.probe.account import Account, Call
from ollama_policy.commands.probe.probing import CONVERSATION, DIFFERENT, REPEATED, Sample
from ollama_policy.commands.report.pictures import svg, words
from ollama_policy.commands.report.pictures.escaping import mermaid, shortened
from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.commands.report.pictures.timeline import Round, rounds, was_loaded_before
from ollama_provider.ollama.sizes import MIB

LANES = ("User", "Application", "Ollama", "Memory")
_USER, _APPLICATION, _OLLAMA, _MEMORY = range(4)

_LOOPS = {DIFFERENT: "prompts that differ", CONVERSATION: "turns of a conversation", REPEATED: "one prompt"}
_WIDTH, _FIRST, _APART = 780, 80, 200
_LINE = 17


class Message(NamedTuple):
    source: int
    target: int
    words: str
    is_answer: bool = False


class Note(NamedTuple):
    lane: int
    words: str


class Loop(NamedTuple):
    words: str
    steps: "tuple[Message | Note, ...]"


Step = Message | Note | Loop


def steps(account: Account) -> list[Step]:
    """What was done and measured, in order. The probe is both user and application."""
    found: list[Step] = [*_load(account)]
    made = list(rounds(account.samples))
    if made:
        found += _round(made[0], made[:1], account.calls[:1])
        for phase, words_of in _LOOPS.items():
            rest = [one for one in made[1:] if one.phase == phase]
            if rest:
                calls = tuple(call for call in account.calls[1:] if call.phase == phase)
                loop = f"{_numbers(rest[0].first, rest[-1].last)}, {words_of}: medians, and sums over all"
                found.append(Loop(loop, tuple(_round(rest[0], rest, calls))))
        if account.calls:
            found.append(Note(_MEMORY, f"M = sum(m - r) = {words.change(account.total)}: {words.verdict(account)}"))
        else:
            found.append(Note(_MEMORY, words.verdict(account)))
    found += _releases(account)
    return found


def _load(account: Account) -> Iterator[Step]:
    before, load = account.of_phase("before"), account.of_phase("load")
    if before is None or load is None:
        return
    if was_loaded_before(account):
        yield Note(_OLLAMA, f"was in memory before: {words.held(before.ps_size)} by /api/ps")
        return
    yield Message(_APPLICATION, _OLLAMA, f"load {shortened(account.model, 40)}, keep_alive 10m")
    yield Message(_OLLAMA, _MEMORY, f"allocated: {words.change(_difference(load, before))}")
    yield Message(_OLLAMA, _APPLICATION, f"loaded after {words.seconds(load.seconds - before.seconds)}", is_answer=True)


def _numbers(first: int, last: int) -> str:
    return f"call {first}" if first == last else f"calls {first} to {last}"


def _round(first: Round, made: list[Round], calls: tuple[Call, ...]) -> Iterator[Message]:
    is_one = len(made) == 1
    allocated = words.change(sum(call.allocated for call in calls) if calls else None)
    released = words.change(sum(call.released for call in calls) if calls else None)
    yield Message(_USER, _APPLICATION, "request model inference")
    yield Message(_APPLICATION, _OLLAMA, _numbers(first.first, first.last) if is_one else "call")
    yield Message(_OLLAMA, _MEMORY, f"m, allocated: {allocated}")
    yield Message(
        _OLLAMA, _APPLICATION, f"result after {words.seconds(median(one.seconds for one in made))}", is_answer=True
    )
    yield Message(_APPLICATION, _USER, "response", is_answer=True)
    yield Message(_MEMORY, _OLLAMA, f"r, given back: {released}", is_answer=True)


def _releases(account: Account) -> Iterator[Step]:
    before, idle = account.of_phase("before"), account.of_phase("idle")
    expiry, reload, unload = (account.of_phase(phase) for phase in ("expiry", "reload", "unload"))
    if idle is not None:
        yield Note(_MEMORY, f"idle: {words.held(idle.held)} held, {words.held(idle.ps_size)} by /api/ps")
    if idle is not None and expiry is not None:
        yield Message(_APPLICATION, _OLLAMA, "one more call, keep_alive 1s")
        yield _came_back("timer ran out", _difference(idle, expiry))
    if unload is not None:
        if reload is not None:
            yield Message(_APPLICATION, _OLLAMA, "load again, keep_alive 10m")
        yield Message(_APPLICATION, _OLLAMA, "release: keep_alive 0")
        start = reload or idle
        yield _came_back("unloaded", None if start is None else _difference(start, unload))
        if before is not None:
            yield Note(_MEMORY, _kept(_difference(unload, before)))
    elif idle is not None:
        how = "though its runner was replaced meanwhile" if account.is_replaced else "as it was found"
        yield Note(_OLLAMA, f"left in memory, {how}: no release was tried")


def _came_back(how: str, count: int | None) -> Message:
    back = "out of /api/ps"
    if count is not None:
        back = f"{words.held(count)} came back" if count > 0 else "nothing came back"
    return Message(_MEMORY, _OLLAMA, f"{how}: {back}", is_answer=True)


def _kept(count: int | None) -> str:
    if count is not None and count < -MIB:
        return f"{words.held(-count)} less than at the start: another model was evicted, or ended"
    return f"kept over the start: {words.change(count)}"


def _difference(later: Sample, earlier: Sample) -> int | None:
    return None if later.held is None or earlier.held is None else later.held - earlier.held


# As text.


def table(found: list[Step]) -> Table:
    rows = []
    for step in found:
        for one in step.steps if isinstance(step, Loop) else (step,):
            within = f"{step.words}: " if isinstance(step, Loop) else ""
            if isinstance(one, Note):
                rows.append((LANES[one.lane], "", within + one.words))
            elif isinstance(one, Message):
                rows.append((LANES[one.source], LANES[one.target], within + one.words))
    return Table("The calls, step by step", ("from", "to", "what was measured"), tuple(rows))


def as_mermaid(found: list[Step]) -> str:
    lines = ["sequenceDiagram", *(f"    participant {lane}" for lane in LANES)]
    for step in found:
        if isinstance(step, Loop):
            lines += [f"    loop {mermaid(step.words)}", *(f"    {_mermaid(one)}" for one in step.steps), "    end"]
        else:
            lines.append(_mermaid(step))
    return "\n".join(lines) + "\n"


def _mermaid(step: Message | Note) -> str:
    if isinstance(step, Note):
        return f"    Note over {LANES[step.lane]}: {mermaid(step.words)}"
    kind = "-->>" if step.is_answer else "->>"
    return f"    {LANES[step.source]}{kind}{LANES[step.target]}: {mermaid(step.words)}"


# As a picture.


def picture(account: Account, found: list[Step]) -> str:
    """The diagram as SVG."""
    body: list[str] = []
    y = 58.0
    for step in found:
        if isinstance(step, Loop):
            start = y
            body.append(svg.text(18, y + 16, f"loop: {step.words}", "strong"))
            y += 30
            for one in step.steps:
                y = _draw(one, y, body)
            body.insert(0, svg.rectangle(8, start - 2, _WIDTH - 16, y - start, "rule"))
            y += 14
        else:
            y = _draw(step, y, body)
    lanes = [svg.line(_x(lane), 40, _x(lane), y, "lane") for lane in range(len(LANES))]
    heads = [
        svg.rectangle(_x(lane) - 60, 8, 120, 32, "box") + svg.text(_x(lane), 29, name, "strong", "middle")
        for lane, name in enumerate(LANES)
    ]
    title = f"Measured calls of {account.model}"
    description = "User, application, Ollama and memory, with what was measured at each step. The table has every step."
    return svg.picture("calls", title, description, (_WIDTH, y + 10), "\n".join([*lanes, *heads, *body]))


def _x(lane: int) -> float:
    return _FIRST + _APART * lane


def _draw(step: Message | Note, y: float, body: list[str]) -> float:
    """Draws it below y, and gives where the next begins."""
    if isinstance(step, Note):
        width = 176.0 if step.lane != _MEMORY else 190.0
        left = min(_x(step.lane) - width / 2, _WIDTH - width - 14)
        lines = svg.lines_of(step.words, width - 12)
        height = _LINE * len(lines) + 12
        body.append(svg.rectangle(left, y, width, height, "note"))
        body += svg.paragraph(left + width / 2, y + 18, lines, "", "middle")
        return y + height + 12
    lines = svg.lines_of(step.words, abs(_x(step.source) - _x(step.target)) - 14)
    middle = (_x(step.source) + _x(step.target)) / 2
    body += svg.paragraph(middle, y + 12, lines, "", "middle")
    y += _LINE * len(lines) + 3
    body.append(svg.arrow(_x(step.source), _x(step.target), y, "answer" if step.is_answer else "arrow"))
    return y + 12
