"""What is declared against the memory of the server: a bar, and a table of the same."""

from ollama_policy.commands.fit.text import Judged, growth_of, outcome, takes, verdict_of
from ollama_policy.commands.report.pictures import svg
from ollama_policy.commands.report.pictures.table import Table
from ollama_policy.live.capacity.sums import Fit, Need, Verdict
from ollama_provider.ollama.sizes import text_of

_WIDTH, _HEIGHT, _BAR = 640.0, 112.0, 34.0


def sentence(judged: Judged) -> str:
    fit = judged.fit
    if fit.loads_nothing:
        return f"No model loads. {fit.settings.refused}."
    there_is = (
        "" if fit.settings.capacity is None else f", in {text_of(fit.settings.capacity)} ({judged.found.memory_from})"
    )
    words = (
        f"What is declared {verdict_of(fit)}: {text_of(fit.pinned_bytes)} pinned, "
        f"{text_of(fit.together_bytes)} with what may be loaded beside{there_is}."
    )
    return f"{words} Warning: {growth_of(fit)}." if fit.outgrows else words


def picture(judged: Judged) -> str:
    """What is pinned, what may come beside it, and where the memory ends."""
    fit = judged.fit
    capacity = fit.settings.capacity or 0
    scale = (_WIDTH - 20) / max(capacity, fit.together_bytes, 1)
    pinned, together, end = (10 + scale * size for size in (fit.pinned_bytes, fit.together_bytes, capacity))
    body = [svg.rectangle(10, 30, pinned - 10, _BAR, "held")] if fit.pinned_bytes else []
    if together > pinned:
        body.append(svg.rectangle(pinned, 30, together - pinned, _BAR, "box"))
    if capacity:
        body += [
            svg.line(end, 22, end, 30 + _BAR + 8, "arrow"),
            svg.text(end, 16, f"memory: {text_of(capacity)}", "strong", "end" if end > _WIDTH / 2 else "start"),
        ]
    body += [
        svg.text(10, 30 + _BAR + 20, f"pinned: {text_of(fit.pinned_bytes)}", "alarm"),
        svg.text(10, 30 + _BAR + 38, f"beside it, at most: {text_of(fit.together_bytes - fit.pinned_bytes)}"),
    ]
    return svg.picture("fit", "Does it fit", sentence(judged), (_WIDTH, _HEIGHT), "\n".join(body))


def table(judged: Judged) -> Table:
    fit = judged.fit
    verdicts = {id(verdict.need): verdict for verdict in fit.verdicts}
    rows = [_row(need, verdicts.get(id(need)), fit) for need in fit.needs]
    rows += [(model.name, model.place, "", "", f"not known: {why}") for model, why in fit.unknown]
    rows += [
        (one.name, one.place, "", "", f"needs no memory here, it runs on {one.elsewhere}") for one in fit.elsewhere
    ]
    heads = ("model", "where", "it takes", "Ollama predicts", "outcome")
    return Table("What the declared models need", heads, tuple(rows))


def _row(need: Need, verdict: Verdict | None, fit: Fit) -> tuple[str, ...]:
    kind = "pinned" if need.model.is_pinned else "automatic"
    words = f"{kind}{outcome(verdict, fit)}"
    predicted = "not known" if need.predicted is None else text_of(need.predicted)
    return need.model.name, need.model.place, takes(need, fit).removeprefix("takes "), predicted, words
