"""What fits, as text with a bar for each server, and as JSON."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ollama_policy.formats.writing import many
from ollama_policy.live.capacity.settings import Found
from ollama_policy.live.capacity.sums import PROCESS_BYTES, Fit, Need, Verdict
from ollama_policy.text.escaping import shown
from ollama_policy.text.json_schema import (
    BYTES,
    COUNT,
    FLAG,
    INTEGER,
    TEXT,
    Schema,
    document,
    listed,
    mapped,
    or_null,
    record,
)
from ollama_provider.ollama.sizes import MIB, text_of

VERSION: Final = 2
_WIDTH: Final = 40
_LEGEND: Final = "# pinned   = what may be loaded beside   . free   ! more than there is"
_LEAST_SHOWN: Final = MIB // 2  # of a part
_BY_DRY_RUN: Final = "as {} says, of which compute is an upper bound"
_KILLS: Final = ", the kernel would kill"
# Of an estimate: what it says beside what the process takes.
_NO_PARTS: Final = frozenset(("prompt_cache", "predicted_by_ollama", "listed_by_ollama", "later"))
_GPU: Final = "the figures are for a server without a GPU; what does not fit into the GPU is in the machine's memory"


class Judged(NamedTuple):
    """One server, what it is to hold, and how that was found."""

    url: str
    version_text: str
    fit: Fit
    found: Found


class Report(NamedTuple):
    """All servers. `problems` are what could not be looked at, each with its place."""

    judged: Sequence[Judged]
    problems: Sequence[tuple[str, str]]


def text(report: Report) -> str:
    lines = []
    for judged in report.judged:
        lines += [*_server(judged), ""]
    lines += [f"not looked at: {place}: {problem}" for place, problem in report.problems]
    if report.judged:
        lines.append(_LEGEND)
    return "".join(f"{shown(line)}\n" for line in lines)


def as_json(report: Report) -> str:
    document = {
        "version": VERSION,
        "servers": [_as_object(judged) for judged in report.judged],
        "problems": [{"place": place, "problem": problem} for place, problem in report.problems],
    }
    return json.dumps(document, indent=2) + "\n"


def schema() -> Schema:
    """The JSON Schema of `fit --format json`."""
    figure = or_null(BYTES)
    settings = {"num_parallel": COUNT, "kv_cache_type": TEXT, "flash_attention": or_null(FLAG)}
    settings |= {"max_loaded_models": or_null(COUNT), "context_length": or_null(COUNT)}
    settings |= {"prompt_cache_bytes": INTEGER | {"description": "Negative: as many tokens as the context has."}}
    model = {"name": TEXT, "place": TEXT, "pinned": FLAG, "fits": or_null(FLAG), "bytes": BYTES, "at_load_bytes": BYTES}
    model |= {"growth_bytes": BYTES, "dry_run_by": or_null(TEXT, "The llama-fit-params that was asked.")}
    model |= {"listed_by_ollama_bytes": or_null(BYTES, "`size` in /api/ps, once it is loaded.")}
    model |= {"predicted_by_ollama_bytes": figure, "parts": or_null(mapped(BYTES)), "num_ctx": or_null(COUNT)}
    model |= {"num_ctx_from": or_null(TEXT), "evicts": listed(TEXT), "missing_bytes": BYTES}
    model |= {"largest_num_ctx": or_null(COUNT), "largest_parallel": or_null(COUNT)}
    server = {
        "server": TEXT,
        "ollama": TEXT,
        "fits": or_null(FLAG, "Null where it is not known."),
        "memory_bytes": figure,
        "memory_from": or_null(TEXT),
        "gpu_memory_bytes": BYTES,
        "pinned_bytes": BYTES,
        "together_bytes": BYTES,
        "grown_bytes": BYTES,
        "outgrows": FLAG,
        "refused": or_null(TEXT, "The variable that llama-server ends at, so that no model loads."),
        "largest_prompt_cache_mib": or_null(COUNT, "With which what fits does not outgrow; null where nothing grows."),
        "evicts_for_memory": FLAG,
        "largest_num_parallel": or_null(COUNT),
        "settings": record(settings),
        "settings_from": mapped(TEXT),
        "assumed": listed(TEXT),
        "models": listed(record(model)),
        "shared": mapped(TEXT),
        "rivals": listed(listed(TEXT)),
        "unknown": listed(record({"name": TEXT, "place": TEXT, "problem": TEXT})),
        "elsewhere": listed(record({"name": TEXT, "place": TEXT, "runs_on": TEXT})),
    }
    problems = listed(record({"place": TEXT, "problem": TEXT}))
    title = "Whether what is declared fits, as `ollama-policy fit --format json` says it"
    return document(title, VERSION, {"servers": listed(record(server)), "problems": problems})


FORMATS: Final = {"text": text, "json": as_json}


def bar(fit: Fit) -> str:
    """`[####====......]`: the whole is the memory, or what is to be held where that is more."""
    capacity = fit.settings.capacity or 0
    whole = max(capacity, fit.together_bytes, 1)
    pinned = round(_WIDTH * fit.pinned_bytes / whole)
    held = round(_WIDTH * fit.together_bytes / whole)
    drawn = "#" * pinned + "=" * (held - pinned) + "." * (_WIDTH - held)
    here = round(_WIDTH * capacity / whole)
    return f"[{drawn[:here]}{'!' * (held - here)}{drawn[max(here, held) :]}]"


def _server(judged: Judged) -> list[str]:
    fit, found = judged.fit, judged.found
    capacity = fit.settings.capacity
    pinned, beside = fit.pinned_bytes, fit.together_bytes - fit.pinned_bytes
    lines = [f"{judged.url}, Ollama {judged.version_text}: {verdict_of(fit)}"]
    if capacity is not None:
        gpu = f" and {text_of(fit.settings.gpu_bytes)} of GPUs" if fit.settings.gpu_bytes else ""
        lines.append(f"  {bar(fit)} of {text_of(capacity - fit.settings.gpu_bytes)} ({found.memory_from}){gpu}")
    may_grow = fit.grown_bytes > fit.together_bytes and not fit.loads_nothing
    grown = f"; may grow to {text_of(fit.grown_bytes)}" if may_grow else ""
    lines.append(
        f"  {many(len(fit.pinned), 'pin')} {text_of(pinned)}; {len(fit.together)} of {len(fit.automatic)} others at "
        f"once {text_of(beside)}; together {text_of(fit.together_bytes)}{grown}"
    )
    if fit.outgrows:
        lines.append(f"  warning: {growth_of(fit)}")
    verdicts = {id(verdict.need): verdict for verdict in fit.verdicts}
    for need in fit.needs:
        lines += _model(need, verdicts.get(id(need)), fit)
    lines += [f"  {one}: on the runner of {other}, which has the same weights" for one, other in fit.shared.items()]
    lines += [f"  {one.name} ({one.place}): needs no memory here, it runs on {one.elsewhere}" for one in fit.elsewhere]
    lines += [f"  {model.name} ({model.place}): not known: {why}" for model, why in fit.unknown]
    if fit.largest_parallel is not None:
        lines.append(f"  OLLAMA_NUM_PARALLEL is {fit.settings.num_parallel}; up to {fit.largest_parallel} would fit")
    lines += [
        f"  does not fit: {one} and {other} have the same weights and one runner: a pin cannot hold beside the other"
        for one, other in fit.rivals
    ]
    values = _values(judged)
    lines += [
        f"  {name} is {values[name]}, as {origin} says" for name, origin in found.origins.items() if name in values
    ]
    if fit.settings.refused:
        lines.append(f"  error: {fit.settings.refused}")
    lines += [f"  note: {words}" for words in (*found.assumed, *_rules_of(fit))]
    if fit.settings.gpu_bytes:
        lines.append(f"  note: {_GPU}")
    return lines


def growth_of(fit: Fit) -> str:
    """The warning of one that fits, and does not any more when the prompt caches are full."""
    over = text_of(fit.grown_bytes - (fit.settings.capacity or 0))
    most = fit.largest_prompt_cache // MIB
    fitting = f": up to {most} MiB for each runner fits" if most else ""
    return (
        f"the prompt caches may grow by {text_of(fit.grown_bytes - fit.together_bytes)}, {over} beyond the memory, "
        f"and only an unload frees that: bound them with LLAMA_ARG_CACHE_RAM{fitting}"
    )


def _rules_of(fit: Fit) -> list[str]:
    """What a server does past its memory, where that is not what people expect."""
    if fit.settings.evicts_for_memory:
        return []
    return [
        "without a GPU, this Ollama makes no room when memory is short: beyond the memory, the kernel kills a process; "
        f"at most {many(fit.settings.max_loaded, 'model')} are loaded, and one more replaces another, even a pinned one"
    ]


def _values(judged: Judged) -> dict[str, object]:
    settings = judged.fit.settings
    return {
        "OLLAMA_NUM_PARALLEL": settings.num_parallel,
        "OLLAMA_KV_CACHE_TYPE": settings.kv_cache_type,
        "OLLAMA_FLASH_ATTENTION": settings.flash_attention,
        "OLLAMA_MAX_LOADED_MODELS": settings.max_loaded,
        "OLLAMA_CONTEXT_LENGTH": judged.found.num_ctx,
        "LLAMA_ARG_CACHE_RAM": settings.prompt_cache_bytes // MIB if settings.prompt_cache_bytes >= 0 else -1,
    }


def verdict_of(fit: Fit) -> str:
    if fit.loads_nothing:
        return "no model loads"
    if fit.rivals:
        return "does not fit"
    if fit.settings.capacity is None:
        return "not known: the memory of the server is not known; give --memory"
    if fit.fits is False:
        return f"does not fit{_KILLS if _is_over(fit) else ''}"
    if fit.fits is None:
        return f"not known: {many(len(fit.unknown), 'model')} of unknown size"
    words = "fits, with evictions" if any(verdict.evicts for verdict in fit.verdicts) else "fits"
    return f"{words}, and may outgrow the memory" if fit.outgrows else words


def _is_over(fit: Fit) -> bool:
    """Whether the kernel has to end a process, as Ollama ends no model."""
    return not fit.settings.evicts_for_memory and any(verdict.missing_bytes for verdict in fit.verdicts)


def _model(need: Need, verdict: Verdict | None, fit: Fit) -> list[str]:
    model = need.model
    kind = "pinned" if model.is_pinned else "automatic"
    lines = [f"  {model.name} ({model.place}): {kind}, {takes(need, fit)}{outcome(verdict, fit)}"]
    if model.held_bytes is not None:
        return [*lines, "      as /api/ps says"]
    shown_parts = {name: size for name, size in _parts(need).items() if size >= _LEAST_SHOWN}
    parts = ", ".join(f"{name.replace('_', ' ')} {text_of(size)}" for name, size in shown_parts.items())
    lines.append(f"      {parts}" + ("" if model.dry_run is None else f", {_BY_DRY_RUN.format(model.dry_run.program)}"))
    trained = model.metadata.get(f"{model.metadata.get('general.architecture')}.context_length")
    cut = f", cut to the trained {trained}" if isinstance(trained, int) and 0 < trained < model.num_ctx else ""
    predicted = "" if need.predicted is None else f"; Ollama predicts {text_of(need.predicted)}"
    lines.append(f"      num_ctx {model.num_ctx} ({model.num_ctx_from}){cut}{predicted}")
    if verdict is not None and need.parts is not None:
        largest = []
        if verdict.largest_num_ctx is not None:
            largest.append(f"num_ctx {verdict.largest_num_ctx}")
        if verdict.largest_parallel is not None:
            largest.append(f"{verdict.largest_parallel} at once")
        would = " or ".join(largest)
        lines.append(
            f"      beside the pins up to {would} would fit" if would else "      no num_ctx fits beside the pins"
        )
    return lines


def takes(need: Need, fit: Fit) -> str:
    """What one model takes, and by how much it may grow, with what bounds that where it is too much."""
    words = f"takes {text_of(need.total)}"
    if not need.growth or fit.loads_nothing:
        return words
    words += f", may grow by {text_of(need.growth)}"
    return f"{words}: bound it with LLAMA_ARG_CACHE_RAM" if fit.outgrows else words


def outcome(verdict: Verdict | None, fit: Fit) -> str:
    if verdict is None:
        return ""
    words = "; does not load" if fit.loads_nothing else "" if verdict.fits else "; does not fit"
    if verdict.missing_bytes:
        words += f", {text_of(verdict.missing_bytes)} too much" + ("" if fit.settings.evicts_for_memory else _KILLS)
    if verdict.evicts:
        pins = {need.model.name for need in fit.pinned}
        words += "; evicts " + ", ".join(f"{name}, a pin" if name in pins else name for name in verdict.evicts)
    return words


def _parts(need: Need) -> dict[str, int]:
    if need.model.dry_run is not None:
        dry = need.model.dry_run
        return {"model": dry.model, "context": dry.context, "compute": dry.compute, "process": PROCESS_BYTES}
    parts = {} if need.parts is None else need.parts._asdict()
    return {name: size for name, size in parts.items() if name not in _NO_PARTS}


def _as_object(judged: Judged) -> dict[str, Any]:
    fit, found = judged.fit, judged.found
    verdicts = {id(verdict.need): verdict for verdict in fit.verdicts}
    settings = fit.settings
    return {
        "server": judged.url,
        "ollama": judged.version_text,
        "fits": fit.fits,
        "memory_bytes": settings.memory_bytes,
        "memory_from": found.memory_from or None,
        "gpu_memory_bytes": settings.gpu_bytes,
        "pinned_bytes": fit.pinned_bytes,
        "together_bytes": fit.together_bytes,
        "grown_bytes": fit.grown_bytes,
        "outgrows": fit.outgrows,
        "refused": settings.refused or None,
        "largest_prompt_cache_mib": None if fit.grown_bytes == fit.together_bytes else fit.largest_prompt_cache // MIB,
        "evicts_for_memory": fit.settings.evicts_for_memory,
        "largest_num_parallel": fit.largest_parallel,
        "settings": {
            "num_parallel": settings.num_parallel,
            "kv_cache_type": settings.kv_cache_type,
            "flash_attention": settings.flash_attention,
            "max_loaded_models": settings.max_loaded,
            "context_length": found.num_ctx,
            "prompt_cache_bytes": settings.prompt_cache_bytes,
        },
        "settings_from": found.origins,
        "assumed": found.assumed,
        "models": [_model_object(need, verdicts.get(id(need))) for need in fit.needs],
        "shared": fit.shared,
        "rivals": [list(pair) for pair in fit.rivals],
        "unknown": [{"name": model.name, "place": model.place, "problem": why} for model, why in fit.unknown],
        "elsewhere": [{"name": one.name, "place": one.place, "runs_on": one.elsewhere} for one in fit.elsewhere],
    }


def _model_object(need: Need, verdict: Verdict | None) -> dict[str, Any]:
    model = need.model
    return {
        "name": model.name,
        "place": model.place,
        "pinned": model.is_pinned,
        "fits": None if verdict is None else verdict.fits,
        "bytes": need.total,
        "at_load_bytes": need.at_load,
        "growth_bytes": need.growth,
        "dry_run_by": None if model.dry_run is None else model.dry_run.program,
        "listed_by_ollama_bytes": None if need.parts is None else need.parts.listed_by_ollama,
        "predicted_by_ollama_bytes": need.predicted,
        "parts": _parts(need) or None,
        "num_ctx": model.num_ctx or None,
        "num_ctx_from": model.num_ctx_from or None,
        "evicts": [] if verdict is None else list(verdict.evicts),
        "missing_bytes": 0 if verdict is None else verdict.missing_bytes,
        "largest_num_ctx": None if verdict is None else verdict.largest_num_ctx,
        "largest_parallel": None if verdict is None else verdict.largest_parallel,
    }
