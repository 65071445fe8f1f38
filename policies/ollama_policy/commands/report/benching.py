"""What `bench` measured, as the story's table. A file is data: every value in it is looked at."""

import json
from typing import Any

from ollama_policy.commands.bench.figures import CONFIDENCE, Figures, Gain
from ollama_policy.commands.bench.sides import Side
from ollama_policy.commands.bench.table import VERSION, Comparison, gain, rows, schema
from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.errors import UnreadableError
from ollama_policy.text.json_schema import check
from ollama_provider.ollama.names import InvalidNameError, ModelName

_WANTED = "what `ollama-policy bench --format json` writes"


def read(data: bytes) -> Comparison:
    """Raises UnreadableError, at the byte where it is not JSON."""
    try:
        document: Any = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(getattr(error, "pos", 0), f"no JSON ({error})", _WANTED) from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise UnreadableError(
            0, "no comparison", f'an object with "version": {VERSION}, as `bench --format json` has it'
        )
    check(document, schema(), "a comparison")
    sides = [_side(document[key]) for key in ("old", "new")]
    figures = [Figures(**{field: document[key][field] for field in Figures._fields}) for key in ("old", "new")]
    told = document["gain"]
    made = None if told is None else Gain(*(told[field] for field in Gain._fields))
    return Comparison(sides[0], sides[1], figures[0], figures[1], made, document["concurrency"], document["rounds"])


def _side(one: dict[str, Any]) -> Side:
    try:
        return Side(one["name"], one["server"], ModelName.parse(one["model"]))
    except InvalidNameError as error:
        raise UnreadableError(0, f"a comparison of {error}", _WANTED) from None


def sentence(found: Comparison) -> str:
    return f"{found.old.model}, {found.rounds} rounds for each side, {found.concurrency} at once: {gain(found.gain)}."


def table(found: Comparison) -> Table:
    heads = ("", f"before: {found.old.name}", f"after: {found.new.name}")
    return Table(f"Both sides in turn, intervals at {CONFIDENCE:.0%}", heads, tuple(rows(found)))
