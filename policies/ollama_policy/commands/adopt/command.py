"""`ollama-policy adopt`: declarations for what a server holds now. It only reads the server.

A declaration says what an import finds (`ollama_provider.lifecycle.Lifecycle.adopt`), so that the first plan has
nothing to change: the name, "manual" for what is pinned, for the rest the keep_alive that holds there; and that a
destroy leaves the files, which were there before. What else the server shows stands in comments.
Pulumi cannot import a dynamic resource: there the first `up` takes over what is there, without a pull or a load.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from ollama_policy.formats.writing import many
from ollama_policy.text.escaping import shown
from ollama_provider.apply.drift import CLOCK_SLACK, second_name
from ollama_provider.ollama import durations, kinds
from ollama_provider.ollama.answers import Connection, InstalledModel, Running, RunningModel
from ollama_provider.ollama.errors import NotFoundError, RefusedError
from ollama_provider.ollama.names import DEFAULT_NAMESPACE, DEFAULT_TAG, InvalidNameError, ModelName

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama

# Ollama's own default, 5m, is what a model has that is not in memory: a server does not tell its OLLAMA_KEEP_ALIVE.
_USUAL_MINUTES = (5, 10, 15, 30, 60)
_LONG_SECONDS = 3600  # OLL005
_AT_ONCE = 8  # /api/show is slow on a server of many models: 24 to 48 ms a call where there are a thousand
_KEPT = {"on_destroy": "unload"}  # what was there before is nobody's to delete
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


class Engine(StrEnum):
    """Whose declarations are written."""

    TERRAFORM = "terraform"
    PULUMI = "pulumi"


class Held(NamedTuple):
    """A model on disk, whether it is pinned, and what there is to say of it.

    `keep_alive` is a duration within which its memory goes back; None for what is pinned, or runs elsewhere.
    """

    name: ModelName
    is_pinned: bool
    remarks: tuple[str, ...]
    keep_alive: str | None = None


class Holding(NamedTuple):
    """What a server holds. `remarks` are about what no declaration can name."""

    url: str
    models: tuple[Held, ...]
    remarks: tuple[str, ...]


async def look(connection: Connection, *, only_resident: bool = False) -> Holding:
    """Asks a server. Raises OllamaError."""
    from ollama_provider.ollama.http.api import Ollama  # noqa: PLC0415 - httpx, for those who really ask a server

    async with Ollama(connection) as client:
        await client.supported_version()
        installed, running = await asyncio.gather(client.installed(), client.running())
        second_names = {second_name(name) for name in installed}
        in_memory: dict[ModelName, list[RunningModel]] = {}
        for model in running.models:
            in_memory.setdefault(model.name, []).append(model)
        wanted = [name for name in installed if name not in second_names and (name in in_memory or not only_resident)]
        elsewhere = [name for name in wanted if kinds.is_called_elsewhere(name, installed[name], None)]
        names = [name for name in wanted if not name.is_local_tag and name not in elsewhere]
        names.sort(key=lambda name: str(name).lower())
        at_once = asyncio.Semaphore(_AT_ONCE)
        origins = await asyncio.gather(*(_origin(client, installed[name], at_once) for name in names))
    models = []
    for name, origin in zip(names, origins, strict=True):
        runners = in_memory.get(name, [])
        is_pinned = any(map(running.is_pinned, runners))
        has_timer = not is_pinned and not kinds.runs_elsewhere(installed[name])
        keep_alive = _keep_alive(runners, running) if has_timer else None
        memory = [_memory(model, running, model.digest == installed[name].digest) for model in runners]
        models.append(Held(name, is_pinned, (*origin, *memory), keep_alive))
    left_out = sorted(str(name) for name in wanted if name.is_local_tag)
    remarks = (*_not_declared(running, installed, second_names), *map(_unreached, left_out), *map(_sent, elsewhere))
    return Holding(connection.url, tuple(models), remarks)


def render(holding: Holding, engine: Engine, host: str | None, *, has_provider: bool = True) -> str:
    """The declarations as a file, with the server where it was named (`host`); else it is left to the environment.

    In Terraform's a provider block has it, unless the configuration has such a block already (`has_provider` is False).
    """
    names = resource_names([model.name for model in holding.models])
    if engine is Engine.PULUMI:
        return _pulumi(holding, names, host)
    return _terraform(holding, names, host, has_provider)


def resource_names(names: Iterable[ModelName]) -> list[str]:
    """A name a model, in order: an identifier of HCL and of Python, and no two the same."""
    taken: set[str] = set()
    return [_free_name(_identifier(name), taken) for name in names]


def hcl_text(text: str) -> str:
    """A text as HCL writes it: quoted, and without anything that begins a template or is not shown."""
    return '"' + re.sub(r"(\$+|%+)(?=\{)|.", _hcl_escape, text, flags=re.DOTALL) + '"'


def python_text(text: str) -> str:
    """A text as Python writes it, in double quotes where it has no quotes itself."""
    written = repr(text)
    return written if "'" in text or '"' in text else f'"{written[1:-1]}"'


def _keep_alive(runners: Collection[RunningModel], running: Running) -> str:
    """A duration that the time a model has left does not exceed, so that no plan finds it held for too long."""
    left = max(((running.left_of(one) - CLOCK_SLACK).total_seconds() for one in runners), default=0)
    wanted = (minutes * 60 for minutes in _USUAL_MINUTES if left <= minutes * 60)
    seconds = next(wanted, None) or ceil(left / 3600) * 3600
    return durations.text(seconds * durations.NANOSECONDS["s"])


async def _origin(client: "Ollama", model: InstalledModel, at_once: asyncio.Semaphore) -> list[str]:
    if where := kinds.runs_elsewhere(model):
        return [f"Runs on {where}: this server does not hold it in memory, and `manual` is refused."]
    remarks = [f"Memory: {kinds.MLX_MEMORY}."] if kinds.is_mlx(model) else []
    return remarks + await _parentage(client, model.name, at_once)


async def _parentage(client: "Ollama", name: ModelName, at_once: asyncio.Semaphore) -> list[str]:
    async with at_once:
        try:
            parent = (await client.show(name)).parent
        except NotFoundError:
            return []  # deleted in this moment: the plan will say so
        except RefusedError as error:
            return [f"Its details cannot be read, so an import will fail. The server says: {error.words}"]
    if not parent:
        return []
    if _is_name(parent):
        return [
            f"Derived from {parent}, but the server does not report how, so it is declared only by its name. See "
            "`base`."
        ]
    return [
        "Made from a file of which the server reports nothing more, so it is declared only by its name. See `gguf`."
    ]


def _is_name(parent: str) -> bool:
    try:
        ModelName.parse(parent)
    except InvalidNameError:
        return False  # the path of an uploaded file's blob
    return True


def _memory(model: RunningModel, running: Running, is_current: bool) -> str:
    size = f"{model.size / 2**20:,.0f} MiB by Ollama's count, context {model.context_length}"
    if not is_current:
        words = "An older content of this name is in memory: `ollama-policy reclaim` frees it, and until then"
        return f"{words} the plan shows drift. It takes {size}."
    if running.is_pinned(model):
        return f"Pinned: {size}."
    left = durations.text(max(0, int(running.left_of(model).total_seconds())) * 10**9)
    return f"In memory for {left} more: {size}."


def _not_declared(running: Running, installed: Collection[ModelName], second_names: set[ModelName]) -> Iterator[str]:
    for model in running.models:
        if model.name not in installed:
            yield f"{model.name} is in memory and not on disk: `ollama-policy reclaim` frees it."
    for name in sorted(map(str, second_names.intersection(installed))):
        yield f"{name} was left by an interrupted apply: the next apply of that model removes it."


def _sent(name: ModelName) -> str:
    return f"{name} is left out: {kinds.called_elsewhere(name)}."


def _unreached(name: str) -> str:
    return f"{name} is left out: a declaration of the tag local is refused, because Ollama reaches another model by it."


def _identifier(name: ModelName) -> str:
    parts = [name.model]
    if name.namespace.lower() != DEFAULT_NAMESPACE:
        parts.insert(0, name.namespace)
    if name.tag.lower() != DEFAULT_TAG:
        parts.append(name.tag)
    text = re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_")
    return text if text[:1].isalpha() else f"model_{text}".rstrip("_")


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _hcl_escape(match: re.Match[str]) -> str:
    found = match.group()
    if found in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[found]
    if match.group(1):
        # `$${` is a `${`; how a longer run of signs is read is nobody's to know by heart.
        return found * 2 if len(found) == 1 else "".join(f"\\u{ord(sign):04x}" for sign in found)
    if found.isprintable():
        return found
    return f"\\u{ord(found):04x}" if ord(found) < 0x10000 else f"\\U{ord(found):08x}"


def _mode(model: Held) -> str:
    return "manual" if model.is_pinned else "automatic"


def _inputs(model: Held, host: str | None) -> dict[str, str]:
    inputs = {"name": str(model.name), "memory_management": _mode(model)}
    inputs |= {"keep_alive": model.keep_alive} if model.keep_alive else {}
    return inputs | _KEPT | ({"host": host} if host else {})


def _comments(lines: Iterable[str]) -> str:
    return "".join(f"# {shown(line)}\n" for line in lines)


def _accepted(model: Held, key: str) -> str:
    """The comment by which `check` accepts a long keep_alive: it is what was found, and not what anybody declared."""
    is_long = key == "keep_alive" and durations.seconds(model.keep_alive or "0") > _LONG_SECONDS
    return "# ollama-policy: ignore[OLL005] a client's own keep_alive, as it was found\n" if is_long else ""


def _head(holding: Holding, how: str) -> list[str]:
    return [
        f"What {holding.url} holds, {many(len(holding.models), 'model')}, as `ollama-policy adopt` found it.",
        how,
        "A destroy, or a block that is removed later, unloads its model and leaves the files: see on_destroy.",
        *holding.remarks,
    ]


def _terraform(holding: Holding, names: list[str], host: str | None, has_provider: bool) -> str:
    how = "The next plan imports all of it and changes nothing; you can delete the import blocks after the apply."
    blocks = [_comments(_head(holding, how))]
    if host and has_provider and holding.models:
        blocks.append(f'provider "ollama" {{\n  host = {hcl_text(host)}\n}}\n')
        host = None
    for model, name in zip(holding.models, names, strict=True):
        identity = f"{model.name}@{host}" if host else str(model.name)
        inputs = _inputs(model, host)
        width = max(map(len, inputs))
        lines = "".join(
            f"{_indented(_accepted(model, key))}  {key:{width}} = {hcl_text(value)}\n" for key, value in inputs.items()
        )
        asked = "&".join(f"{key}={inputs[key]}" for key in ("keep_alive", *_KEPT) if key in inputs)
        blocks.append(f"import {{\n  to = ollama_model.{name}\n  id = {hcl_text(f'{identity}?{asked}')}\n}}\n")
        blocks.append(f'{_comments(model.remarks)}resource "ollama_model" "{name}" {{\n{lines}}}\n')
    return "\n".join(blocks)


def _indented(line: str, by: str = "  ") -> str:
    return f"{by}{line}" if line else ""


def _pulumi(holding: Holding, names: list[str], host: str | None) -> str:
    how = "The first `pulumi up` takes it over as it stands, without a pull or a load, and the next has no changes."
    blocks = [_comments(_head(holding, how))]
    if holding.models:
        blocks.append("from ollama_provider import OllamaModel\n")
    for model, name in zip(holding.models, names, strict=True):
        inputs = "".join(
            f"{_indented(_accepted(model, key), '    ')}    {key}={python_text(value)},\n"
            for key, value in _inputs(model, host).items()
        )
        blocks.append(f"{_comments(model.remarks)}OllamaModel(\n    {python_text(name)},\n{inputs})\n")
    return "\n".join(blocks)
