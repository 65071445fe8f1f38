"""Remedies as text, as Markdown and as JSON."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ollama_policy.commands.remedies.facts import Edit, Server
from ollama_policy.commands.remedies.remedy import Document, Remedy
from ollama_policy.formats.markdown import cell
from ollama_policy.formats.writing import many
from ollama_policy.text.escaping import shown
from ollama_policy.text.json_schema import BYTES, FLAG, INTEGER, TEXT, Schema, document, listed, or_null, record
from ollama_provider.ollama.sizes import text_of

VERSION: Final = 1
_ADDED_UP: Final = "What two remedies give back of the same model does not add up."
_OF_THE_DOCUMENT: Final = "the usual recommendation"


def _told(remedies: Sequence[Remedy]) -> list[Remedy]:
    """Those that a person has something of: what gives back, prevents and edits nothing is in the JSON alone."""
    return [one for one in remedies if one.gain.bytes != 0 or one.gain.later or one.edits]


def text(server: Server, remedies: Sequence[Remedy], diff: str | None) -> str:
    remedies = _told(remedies)
    lines = [_headline(server, remedies), _ADDED_UP, ""]
    for one in remedies:
        lines += [f"{_standing(one)}: {one.title}, of {one.target}", f"  gives back  {_gain(one)}"]
        lines += [f"  {label:10}  {words}" for label, words in _words(one)]
        lines += [f"  do          {command}" for command in one.commands]
        lines += [f"  edit        {_edit(edit)}" for edit in one.edits]
        lines.append("")
    return "\n".join(map(shown, lines)) + ("" if diff is None else f"\n{_diff(diff)}")


def markdown(server: Server, remedies: Sequence[Remedy], diff: str | None) -> str:
    remedies = _told(remedies)
    head = ("remedy", "of", "gives back", "why", "cost", "risk", "what to do", "kind of remedy")
    lines = [f"## Remedies for {cell(server.url)}", "", cell(_headline(server, remedies)), "", _ADDED_UP, ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one in remedies:
        to_do = "<br>".join(
            [f"<code>{cell(command)}</code>" for command in one.commands] + [cell(_edit(edit)) for edit in one.edits]
        )
        title = f"**{cell(one.title)}** ({_standing(one)})" if one.is_recommended else cell(one.title)
        row = cell(one.row.value + (f": {_OF_THE_DOCUMENT}" if one.is_of_the_document else ""))
        cells = (title, cell(one.target), cell(_gain(one)), cell(one.why), cell(one.cost), cell(one.risk), to_do, row)
        lines.append("| " + " | ".join(cells) + " |")
    if diff is not None:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", diff)), default=0))
        lines += ["", f"{fence}diff", _diff(diff).rstrip("\n"), fence]
    return "\n".join(lines) + "\n"


def as_json(server: Server, remedies: Sequence[Remedy], diff: str | None) -> str:
    report: dict[str, Any] = {
        "version": VERSION,
        "server": server.url,
        "ollama": server.version_text,
        "held_bytes": sum(model.size for model in server.running.models),
        "remedies": [
            {
                "id": one.id,
                "title": one.title,
                "target": one.target,
                "bytes": one.gain.bytes,
                "is_at_most": one.gain.is_at_most,
                "bytes_from": one.gain.with_later,
                "recommended": one.is_recommended,
                "document": one.row.value,
                "recommended_by_document": one.is_of_the_document,
                "why": one.why,
                "cost": one.cost,
                "risk": one.risk,
                "commands": list(one.commands),
                "edits": [edit._asdict() for edit in one.edits],
            }
            for one in remedies
        ],
        "diff": diff,
    }
    return json.dumps(report, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `remedies --format json`."""
    edit = record({"rule": TEXT, "place": TEXT, "title": TEXT, "address": TEXT, "is_safe": FLAG})
    remedy = {"id": TEXT, "title": TEXT, "target": TEXT, "bytes": or_null(INTEGER), "is_at_most": FLAG}
    remedy |= {"bytes_from": TEXT, "recommended": FLAG, "document": {"enum": [row.value for row in Document]}}
    remedy |= {"recommended_by_document": FLAG, "why": TEXT, "cost": TEXT, "risk": TEXT, "commands": listed(TEXT)}
    return document(
        "What `ollama-policy remedies --format json` found, what is recommended first",
        VERSION,
        {
            "server": TEXT,
            "ollama": TEXT,
            "held_bytes": BYTES,
            "remedies": listed(record(remedy | {"edits": listed(edit)})),
            "diff": or_null(TEXT, "What --apply-to wrote; null without it."),
        },
    )


Written = Callable[[Server, Sequence[Remedy], str | None], str]
FORMATS: Final[dict[str, Written]] = {"text": text, "json": as_json, "markdown": markdown}


def _headline(server: Server, remedies: Sequence[Remedy]) -> str:
    held = sum(model.size for model in server.running.models)
    recommended = sum(one.is_recommended for one in remedies)
    in_memory = f"{many(len(server.running.models), 'model')} in memory, {text_of(held)}"
    return f"{server.url}, Ollama {server.version_text}: {in_memory}; {recommended} of {len(remedies)} recommended"


def _standing(one: Remedy) -> str:
    return "recommended" if one.is_recommended else "possible"


def _gain(one: Remedy) -> str:
    if one.gain.bytes is None:
        return one.gain.how
    if not one.gain.bytes:
        return f"nothing now; {one.gain.later}" if one.gain.later else f"nothing now: {one.gain.how}"
    most = "up to " if one.gain.is_at_most else ""
    return f"{most}{text_of(one.gain.bytes)} ({one.gain.with_later})"


def _words(one: Remedy) -> list[tuple[str, str]]:
    row = one.row.value + (f": {_OF_THE_DOCUMENT}" if one.is_of_the_document else "")
    return [("why", one.why), ("cost", one.cost), ("risk", one.risk), ("document", row)]


def _edit(edit: Edit) -> str:
    applied = ", which --apply-to writes" if edit.is_safe else ""
    return f"{edit.place}: {edit.title} ({edit.rule}{applied})"


def _diff(diff: str) -> str:
    return diff or "These files have no safe fix to write.\n"
