"""The models that a server is to hold, with what their memory is worked out from: its own answers, a GGUF file, or the
registry that one is to be pulled from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ollama_policy.formats.writing import place_of
from ollama_policy.live.capacity.observe import ServerDetails
from ollama_policy.live.capacity.registries import OfRegistry
from ollama_policy.live.capacity.settings import Found
from ollama_policy.live.capacity.sums import Model
from ollama_policy.live.declared import Declared
from ollama_provider.files.gguf import parts, why_no_model
from ollama_provider.ollama import durations, kinds
from ollama_provider.ollama.answers import only_embed
from ollama_provider.ollama.gguf_header import GgufHeader, InvalidGgufError, read_header_of
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.registry_header import RegistryModel
from ollama_provider.ollama.versions import version_in

_LONGEST_CHAIN: Final = 16  # of models that are derived from each other


def models(
    declared: Sequence[Declared], looked: ServerDetails, found: Found, registries: OfRegistry
) -> Iterator[Model]:
    """What is declared to be, or may be, in memory; and what is pinned there already and nobody declares."""
    by_name = _by_name(declared)
    yield from _pinned_by_others(by_name, looked)
    for one in by_name.values():
        if not one.must_be_absent or _elsewhere(list(_chain(one, by_name)), looked):
            yield _model(one, by_name, looked, found, registries)


def repeated(declared: Sequence[Declared]) -> Iterator[str]:
    """What is declared more than once under one name, and which of these declarations counts."""
    for name, one in _by_name(declared).items():
        places = list(dict.fromkeys(_place(other) for other in declared if other.model_name == name))
        if len(places) > 1:
            yield f"{name} is declared {len(places)} times ({', '.join(places)}): the sums are with {_place(one)}"


def _by_name(declared: Sequence[Declared]) -> dict[ModelName, Declared]:
    """One declaration of each name: of several, the last of those that hold most of it."""
    found: dict[ModelName, Declared] = {}
    for one in declared:
        other = found.get(one.model_name)
        if other is None or _holds(one) >= _holds(other):
            found[one.model_name] = one
    return found


def _holds(one: Declared) -> tuple[bool, bool]:
    return one.must_be_resident, not one.must_be_absent


def _place(one: Declared) -> str:
    return place_of(one.subject.file, one.subject.file.position(one.subject.span.start))


def _pinned_by_others(by_name: Mapping[ModelName, Declared], looked: ServerDetails) -> Iterator[Model]:
    seen = looked.seen
    digests = {seen.installed[name].digest for name in by_name if name in seen.installed}
    for model in seen.running.models:
        if seen.running.is_pinned(model) and model.name not in by_name and model.digest not in digests:
            name, place = str(model.name), "in memory, but not declared"
            listed = seen.installed.get(model.name)
            keeps = listed is None or not only_embed(listed.capabilities)
            yield Model(name, place, model.digest, is_pinned=True, held_bytes=model.size, keeps_prompts=keeps)


def missing(declared: Sequence[Declared], looked: ServerDetails) -> dict[ModelName, bool]:
    """The models that a server has to pull first, and whether by plain HTTP."""
    by_name = _by_name(declared)
    names: dict[ModelName, bool] = {}
    for one in by_name.values():
        if one.must_be_absent or not one.is_decided:
            continue
        chain = list(_chain(one, by_name))
        if _elsewhere(chain, looked) or _reaches_another(chain, looked):
            continue
        is_there = any(name in looked.seen.installed for name in _names(chain))
        if not is_there and "gguf" not in chain[-1].subject.settings:
            names[_root(chain)] = chain[-1].subject.value("insecure") is True
    return names


def _model(
    one: Declared, by_name: Mapping[ModelName, Declared], looked: ServerDetails, found: Found, registries: OfRegistry
) -> Model:
    model = Model(
        str(one.model_name),
        _place(one),
        is_pinned=one.must_be_resident,
        keep_alive=found.keep_alive if one.keep_alive is None else durations.parse(one.keep_alive),
    )
    if not one.is_decided:
        return model._replace(problem="its declared memory settings cannot be decided")
    chain = list(_chain(one, by_name))
    if where := _elsewhere(chain, looked):
        return model._replace(elsewhere=where)
    if other := _reaches_another(chain, looked):
        return model._replace(problem=other)
    # What Ollama makes of it: its own parameter, else the one of the model that it is derived from, and so on.
    num_ctx, num_ctx_from = next(
        ((ctx, "its parameters") for link in chain if (ctx := link.context_length)), (found.num_ctx, found.num_ctx_from)
    )
    model = model._replace(num_ctx=num_ctx, num_ctx_from=num_ctx_from)
    gguf = chain[-1].subject.value("gguf")
    problem = ""
    if isinstance(gguf, str):
        file, header = _header(gguf, chain[-1])
        if isinstance(header, GgufHeader):
            return model._replace(
                metadata=header.model_info,
                weights=gguf,
                weights_bytes=header.weights_bytes,
                embedding_bytes=header.embedding_bytes,
                file=str(file),
            )
        problem = header
    names = _names(chain)
    for name in names:
        if name in looked.seen.installed and name in looked.details:
            details, on_disk = looked.details[name], looked.seen.installed[name]
            if why := kinds.why_not_held(name, on_disk, details.capabilities, version_in(looked.seen.version)):
                return model._replace(problem=why)
            if kinds.is_mlx(on_disk):
                return model._replace(problem=kinds.MLX_MEMORY)
            if num_ctx_from != "its parameters" and details.num_ctx is not None:
                model = model._replace(num_ctx=details.num_ctx, num_ctx_from="the model's own")
            return model._replace(
                metadata=details.metadata,
                weights=details.blob or on_disk.digest,
                weights_bytes=on_disk.size,
                file=details.blob if looked.is_here and os.access(details.blob, os.R_OK) else "",
            )
    if any(name in looked.seen.installed for name in names):
        return model._replace(problem="what it is made of is not in the snapshot: take one by `fit --record`")
    of_registry = registries.get(_root(chain), "")
    if isinstance(of_registry, RegistryModel) and not problem:
        header = of_registry.header
        return model._replace(
            metadata=header.model_info,
            weights=str(_root(chain)),
            weights_bytes=header.weights_bytes,
            embedding_bytes=header.embedding_bytes,
            beginning=of_registry.beginning,
        )
    why = f", and its registry does not say what it is made of ({of_registry})" if of_registry else ""
    return model._replace(problem=problem or f"it is not on the server{why}: pull it there")


def _elsewhere(chain: Sequence[Declared], looked: ServerDetails) -> str:
    """Where what is declared runs, if not on this server: as the server says, else as the name does."""
    names = _names(chain)
    there = [name for name in names if name in looked.seen.installed]
    if there:
        return kinds.runs_elsewhere(looked.seen.installed[there[0]])
    return "ollama.com" if any(name.is_cloud_tag for name in names) else ""


def _reaches_another(chain: Sequence[Declared], looked: ServerDetails) -> str:
    """Why a name of the chain means another model to the server; empty where none does."""
    version = version_in(looked.seen.version)
    for one in _names(chain):
        there = looked.seen.installed.get(one)
        if there is not None and kinds.is_called_elsewhere(one, there, version):
            return f"{one}: {kinds.called_elsewhere(one)}"
    name = next((name for name in _names(chain) if not kinds.can_be_reached(name, version)), None)
    return (
        "" if name is None else f"an apply refuses {name}, by which Ollama reaches {name.reached}: declare another tag"
    )


def _chain(one: Declared, by_name: Mapping[ModelName, Declared]) -> Iterator[Declared]:
    """A declaration, and those that it is derived from."""
    link: Declared | None = one
    for _ in range(_LONGEST_CHAIN):
        if link is None:
            return
        yield link
        link = by_name.get(link.base) if link.base is not None else None


def _names(chain: Sequence[Declared]) -> list[ModelName]:
    return [chain[0].model_name, *(link.base for link in chain if link.base is not None)]


def _root(chain: Sequence[Declared]) -> ModelName:
    """What a chain of derived models begins with."""
    return _names(chain)[-1]


def wanted(declared: Sequence[Declared]) -> set[ModelName]:
    """The models whose details are asked for."""
    return {name for one in declared for name in (one.model_name, one.base) if name is not None}


def _header(gguf: str, one: Declared) -> tuple[Path, GgufHeader | str]:
    """Of the file, relative to the declaration's folder or to this one; else what is wrong with it."""
    for path in (Path(one.subject.file.path).parent / gguf, Path(gguf)):
        try:
            if path.is_file():
                header = read_header_of(path)
                if len(files := parts(path)) > 1:
                    return path, f"its GGUF {path} is the first of {len(files)} files, which are not summed here"
                if (there := path.stat().st_size) < header.length:
                    found = f"{there:,} bytes of the {header.length:,} that its tensors need"
                    return path, f"its GGUF {path} is cut off: it has {found}. Copy or download it again"
                if why := why_no_model(path):
                    return path, f"its GGUF {path} is refused by an apply: {why}"
                return path, header
        except (OSError, ValueError, InvalidGgufError) as error:
            return path, f"its GGUF {path} cannot be read: {getattr(error, 'strerror', None) or error}"
    return Path(gguf), f"its GGUF {gguf} is not here, and it is not on the server"
