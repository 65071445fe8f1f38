"""Reading back what `ollama-policy probe --format json` wrote. A file is data: every value in it is looked at."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from ollama_policy.commands.probe.account import MOMENTS, PHASES, VERSION, Account, Lost, Sight, account, schema
from ollama_policy.commands.probe.probing import Called, Sample
from ollama_policy.errors import UnreadableError
from ollama_policy.live.runners.runner import Engine, Runner
from ollama_policy.text.json_schema import check

_WANTED = "what `ollama-policy probe --format json` writes"


def read(data: bytes) -> Account:
    """The account, made again of its samples. Raises UnreadableError, at the byte where it is not JSON."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(getattr(error, "pos", 0), f"no JSON ({error})", _WANTED) from None
    if not isinstance(document, dict) or "version" not in document or "samples" not in document:
        raise UnreadableError(0, "no probe", _WANTED)
    if document["version"] != VERSION:
        raise UnreadableError(0, f"a probe of version {document['version']!r:.20}", f"version {VERSION}: probe again")
    samples = _of(document, "$", "samples", list)
    read_samples = [_sample(one, f"$.samples[{number}]") for number, one in enumerate(samples)]
    # Of the many samples each was looked at already; jsonschema takes a minute for them.
    check(document | {"samples": [], "calls": []}, schema(), "a probe")
    _check_order(read_samples)
    runner, lost = document["runner"], (Lost(**one) for one in document["lost"])
    called = Called(
        document["ollama"],
        None if runner is None else _runner(runner),
        document.get("num_ctx"),
        document.get("called"),
        document.get("left", ""),
    )
    sight = Sight(document["counts"], document["unseen"], tuple(lost))
    return account(document["model"], document["server"], called, sight, read_samples)


def _runner(one: Mapping[str, Any]) -> Runner:
    return Runner(**{**one, "engine": Engine(one["engine"])})


def _sample(one: Any, where: str) -> Sample:
    if not isinstance(one, dict):
        raise _wrong(where, one, "a sample")
    seconds = _of(one, where, "seconds", (int, float))
    if not isfinite(seconds) or seconds < 0:
        raise _wrong(f"{where}.seconds", seconds, "a number from 0")
    return Sample(
        seconds=float(seconds),
        phase=_one_of(one, where, "phase", PHASES),
        call=_count(one, where, "call"),
        moment=_one_of(one, where, "moment", MOMENTS),
        server=None if one.get("server") is None else _count(one, where, "server"),
        runners=None if one.get("runners") is None else _count(one, where, "runners"),
        ps_size=_count(one, where, "ps_size"),
        ps_size_vram=_count(one, where, "ps_size_vram"),
        pid=None if one.get("pid") is None else _count(one, where, "pid"),
        tokens=_count(one, where, "tokens"),
    )


def _check_order(samples: Sequence[Sample]) -> None:
    seen = {sample.held is None for sample in samples}
    if len(seen) > 1:
        raise UnreadableError(0, "samples of which only some have the figures of processes", _WANTED)
    for number, (earlier, later) in enumerate(pairwise(samples), 1):
        if later.seconds < earlier.seconds or later.call < earlier.call:
            raise UnreadableError(0, f"$.samples[{number}], which is earlier than the one before it", _WANTED)


def _of(one: Mapping[str, Any], where: str, key: str, kind: Any) -> Any:
    value = one.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _wrong(f"{where}.{key}", value, kind.__name__ if isinstance(kind, type) else "a number")
    return value


def _count(one: Mapping[str, Any], where: str, key: str) -> int:
    value: int = _of(one, where, key, int)
    if not 0 <= value < 2**63:
        raise _wrong(f"{where}.{key}", value, "a whole number from 0")
    return value


def _one_of(one: Mapping[str, Any], where: str, key: str, allowed: tuple[str, ...]) -> str:
    value: str = _of(one, where, key, str)
    if value not in allowed:
        raise _wrong(f"{where}.{key}", value, "one of " + ", ".join(allowed))
    return value


def _wrong(where: str, value: object, wanted: str) -> UnreadableError:
    return UnreadableError(0, f"{where}: {value!r:.80}", wanted)
