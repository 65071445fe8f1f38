"""What a log comes to: for people as text or Markdown, for programs as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ollama_policy.commands.logs.event import Event, Kind
from ollama_policy.commands.logs.model import Model
from ollama_policy.commands.logs.timeline import Entry, Timeline
from ollama_policy.formats import json_report, markdown
from ollama_policy.formats import text as text_format
from ollama_policy.formats.writing import Look, many, tool_version
from ollama_policy.model.result import Result
from ollama_policy.text.escaping import shown, shown_path, valid_unicode
from ollama_policy.text.json_schema import COUNT, FLAG, TEXT, Schema, document, listed, or_null, record

VERSION: Final = 1


class Account(NamedTuple):
    """Everything that was read. `lines` were looked at, `cut` were longer than is kept, `known` are Ollama's."""

    path: str
    models: Mapping[str, Model]
    timeline: Timeline
    result: Result
    lines: int
    cut: int
    known: int
    has_debug: bool
    notes: Sequence[str] = ()  # of how it was read


def render(form: str, account: Account, look: Look) -> str:
    if form == "json":
        return _json(account)
    if form == "markdown":
        return "\n".join(_markdown(account))
    if not account.known and not account.result.findings:
        return f"{shown_path(account.path)}: none of its {many(account.lines, 'line')} is Ollama's\n"
    return "".join(f"{line}\n" for line in _text(account)) + text_format.render(account.result, look)


def event_line(path: str, event: Event, models: Mapping[str, Model]) -> str:
    """One event on one line, as it is written while a log is followed."""
    model = models.get(event.model)
    named = f"{model.shown}: " if model else ""
    at = f" {_time(event.place.at)}" if event.place.at else ""
    return shown_path(f"{path}:{event.place.number}") + shown(f"{at} {event.kind.value}: {named}{event.text}")


def event_json(event: Event, models: Mapping[str, Model]) -> dict[str, Any]:
    model = models.get(event.model)
    return {"model": event.model or None, "names": list(model.names) if model else []} | _event(Entry(event))


# Text.


def _text(account: Account) -> Iterator[str]:
    for title, entries in _chapters(account):
        yield title
        width = max(len(str(entry.event.place.number)) for entry in entries)
        for entry in entries:
            event = entry.event
            times = f" (x{entry.times})" if entry.times > 1 else ""
            head = f"  {event.place.number:>{width}}  {_time(event.place.at):12}  {event.kind.value:9}"
            yield shown(f"{head}  {event.text}{times}")
        yield ""
    for note in _notes(account):
        yield f"note: {note}"


def _chapters(account: Account) -> Iterator[tuple[str, list[Entry]]]:
    server = account.timeline.of("")
    if server:
        yield "the server", server
    for digest in account.timeline.models():
        model = account.models.get(digest)
        title = _title(model) if model else shown(digest[:19])
        yield title, account.timeline.of(digest)


def _title(model: Model) -> str:
    title = shown(model.shown)
    if model.names:
        title += f" ({shown(model.digest[:19])})"
    else:
        title += (
            " (its name is not in the log"
            + (f"; the weights call themselves {shown(model.label)}" if model.label else "")
            + ")"
        )
    loads = many(model.loads, "load")
    return f"{title}: {loads}, {'in memory' if model.is_resident else 'not in memory'} at the end"


def _notes(account: Account) -> Iterator[str]:
    yield from account.notes
    if account.timeline.models() and not account.has_debug:
        yield (
            "without OLLAMA_DEBUG=1 Ollama does not log when and why a model leaves memory; this report derives it "
            "from the number of runners at each load"
        )
    unnamed = sum(not model.names for model in account.models.values())
    if unnamed:
        yield (
            f"{many(unnamed, 'model')} could not be named: lines have the digest of the weights; "
            "--models FOLDER or --host URL may name them"
        )
    if account.cut:
        yield f"{many(account.cut, 'line')} too long to be Ollama's, of which only the beginning was read"
    if account.timeline.dropped:
        yield f"{many(account.timeline.dropped, 'event')} before these are not shown"


def _time(at: str) -> str:
    """The time of a day without its date, as far as it is one."""
    clock = at.partition("T")[2] or at
    return clock[:12]


# Markdown.


def _markdown(account: Account) -> Iterator[str]:
    yield f"# {markdown.cell(account.path)}"
    yield ""
    for title, entries in _chapters(account):
        yield f"## {markdown.cell(title)}"
        yield ""
        yield "| line | when | what | |"
        yield "|---|---|---|---|"
        for entry in entries[-500:]:
            event = entry.event
            times = f" (x{entry.times})" if entry.times > 1 else ""
            cells = (event.place.at, event.kind.value, event.text + times)
            yield f"| {event.place.number} | {' | '.join(map(markdown.cell, cells))} |"
        yield ""
    for note in _notes(account):
        yield f"- {markdown.cell(note)}"
    yield ""
    yield markdown.render(account.result)


# JSON.


def _json(account: Account) -> str:
    findings = json.loads(json_report.render(account.result))
    document = {
        "version": VERSION,
        "tool": {"name": "ollama-policy", "version": tool_version()},
        "log": {
            "path": valid_unicode(account.path),
            "lines": account.lines,
            "cut": account.cut,
            "of_ollama": account.known,
        },
        "has_debug": account.has_debug,
        "server": [_event(entry) for entry in account.timeline.of("")],
        "models": [_model(account, digest) for digest in account.timeline.models()],
        "events_dropped": account.timeline.dropped,
        "notes": list(account.notes),
        "findings": findings["findings"],
        "summary": {key: findings["summary"][key] for key in ("errors", "warnings", "infos")},
    }
    return json.dumps(document, indent=2) + "\n"


def _model(account: Account, digest: str) -> dict[str, Any]:
    model = account.models.get(digest) or Model(digest, "")
    return {
        "digest": digest,
        "path": model.path,
        "names": list(model.names),
        "general_name": model.label,
        "in_memory": model.is_resident,
        "loads": model.loads,
        "prompt_cache": None if model.cache is None else model.cache.facts(),
        "events": [_event(entry) for entry in account.timeline.of(digest)],
    }


def _event(entry: Entry) -> dict[str, Any]:
    event = entry.event
    return {
        "line": event.place.number,
        "at": event.place.at or None,
        "kind": event.kind.value,
        "cause": event.cause,
        "text": event.text,
        "count": entry.times,
        "facts": event.facts,
        "raw": event.place.raw.decode("utf-8", "backslashreplace"),
    }


def schema() -> Schema:
    """The JSON Schema of `logs --format json`, and of the lines that --follow writes."""
    event = {"line": COUNT, "at": or_null(TEXT), "kind": {"enum": [kind.value for kind in Kind]}, "cause": TEXT}
    event |= {"text": TEXT, "count": COUNT, "facts": {"type": "object"}, "raw": TEXT}
    cache = dict.fromkeys(("prompts", "bytes", "peak_bytes", "updates", "dropped"), COUNT)
    cache |= dict.fromkeys(("limit_bytes", "limit_tokens"), or_null(COUNT))
    model = {
        "digest": TEXT,
        "path": TEXT,
        "names": listed(TEXT),
        "general_name": TEXT,
        "in_memory": FLAG,
        "loads": COUNT,
        "prompt_cache": or_null(record(cache)),
    }
    return (
        document(
            "What `ollama-policy logs --format json` read",
            VERSION,
            {
                "tool": record({"name": TEXT, "version": TEXT}),
                "log": record({"path": TEXT, "lines": COUNT, "cut": COUNT, "of_ollama": COUNT}),
                "has_debug": FLAG,
                "server": listed(record(event)),
                "models": listed(record(model | {"events": listed(record(event))})),
                "events_dropped": COUNT,
                "notes": listed(TEXT),
                "findings": listed(record(json_report.finding_schema())),
                "summary": record(dict.fromkeys(("errors", "warnings", "infos"), COUNT)),
            },
        )
        | json_report.PLACES
    )
