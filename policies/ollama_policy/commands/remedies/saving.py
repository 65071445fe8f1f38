"""Remedies that make models take less: context, parallelism, KV cache, prompt cache, and the version."""

import json
from collections.abc import Callable, Iterator
from shlex import quote
from typing import Final

from ollama_policy.commands.remedies.facts import ASSUMED_PARALLEL, Declarations, Server, Settings
from ollama_policy.commands.remedies.remedy import SERVER, Document, Gain, Kind, Remedy
from ollama_policy.formats.writing import many
from ollama_policy.live import fix_commands
from ollama_policy.live.runners.runner import CACHE_VARIABLE
from ollama_policy.model.images import shown
from ollama_policy.rules.leaking_version import leaks_of
from ollama_provider.ollama import memory
from ollama_provider.ollama.answers import ModelDetails, RunningModel
from ollama_provider.ollama.kinds import is_mlx
from ollama_provider.ollama.leaks import fixed_in
from ollama_provider.ollama.settings.kv_cache_types import UNQUANTISED
from ollama_provider.ollama.settings.variables import PROMPT_CACHE_MIB
from ollama_provider.ollama.sizes import MIB, text_of
from ollama_provider.ollama.versions import Behavior, Version

MODEST_CONTEXT: Final = 4096  # what Ollama takes by itself with under 23 GiB of VRAM
MODEST_CACHE_MIB: Final = 512  # as OLL202 has it
_QUANTISED: Final = "q8_0"
_ESTIMATED: Final = "estimated"
GROWN: Final = "anonymous and swapped memory beyond what the load took"
# Less is what a process needs for itself, a large vocabulary among it.
_WORTH_A_LOAD: Final = 64 * MIB
_SHARE_WORTH_A_LOAD: Final = 0.1


class _Load:
    """A model as it is loaded, or would be."""

    def __init__(
        self,
        model: RunningModel,
        details: ModelDetails,
        disk_bytes: int,
        settings: Settings,
        version: Version | None,
    ) -> None:
        self.model, self.details, self.disk_bytes, self.version = model, details, disk_bytes, version
        self.num_ctx = model.context_length
        self.parallel = max(1, settings.parallel or ASSUMED_PARALLEL)
        kv_cache_type = (settings.kv_cache_type or "f16").lower()
        self.kv_cache_type = "f16" if kv_cache_type in UNQUANTISED else kv_cache_type

    def bytes(self, *, num_ctx: int = 0, parallel: int = 0, kv_cache_type: str = "") -> int:
        """What it holds once loaded, with the present setting where none is given. Raises ValueError: it is not known.

        What is held beside the KV cache is known for a CPU alone.
        """
        found = memory.estimate(
            self.details.metadata,
            weights_bytes=self.disk_bytes,
            num_ctx=num_ctx or self.num_ctx,
            parallel=parallel or self.parallel,
            kv_cache_type=kv_cache_type or self.kv_cache_type,
            version=self.version,
        )
        return found.kv_cache if self.model.size_vram else found.at_load

    def fails_with(self, kv_cache_type: str) -> bool:
        """Whether it would not load any more."""
        try:
            self.bytes(kv_cache_type=kv_cache_type)
        except memory.RefusedLoadError:
            return True
        except ValueError:
            return False
        return False

    def prompt_cache(self) -> int:
        """What its context's tokens take of a prompt cache. Raises ValueError."""
        return memory.estimate(
            self.details.metadata,
            weights_bytes=self.disk_bytes,
            num_ctx=self.num_ctx,
            parallel=self.parallel,
            kv_cache_type=self.kv_cache_type,
            prompt_cache_bytes=-1,
            version=self.version,
        ).prompt_cache


def _load_of(server: Server, settings: Settings, model: RunningModel) -> _Load:
    """Raises KeyError where the server did not tell the model's details."""
    disk_bytes = server.installed[model.name].size
    return _Load(model, server.details[model.name], disk_bytes, settings, server.version)


def saving(server: Server, declared: Declarations, cache_mib: int) -> Iterator[Remedy]:
    """Every remedy of this kind that this server, or these declarations, call for. `cache_mib` is to be proposed."""
    loads = [
        _load_of(server, declared.settings, model)
        for model in server.reached
        if model.name in server.details and model.context_length > 0
    ]
    for load in loads:
        yield from _context(server, declared, load)
    yield from _parallel(declared.settings, loads)
    yield from _kv_cache(declared.settings, loads)
    yield from _reload(server)
    yield from _prompt_cache(server, declared, cache_mib)
    yield _version(server, declared)


def _context(server: Server, declared: Declarations, load: _Load) -> Iterator[Remedy]:
    now, name = load.num_ctx, load.model.name
    wanted = [one.context_length for one in declared.of(name) if one.context_length is not None]
    is_declared = bool(wanted) and max(wanted) < now
    proposed = max(wanted) if is_declared else MODEST_CONTEXT if now > MODEST_CONTEXT else 0
    if not proposed or load.details.only_embeds:
        return
    if is_declared:
        why = f"in memory with a context of {now}, where {proposed} is declared"
        commands: tuple[str, ...] = (fix_commands.stop(server.url, name),)
    else:
        why = f"in memory with a context of {now}"
        commands = (_less_context(server, declared, load, proposed),)
    yield Remedy(
        Kind.CONTEXT,
        f"a context of {proposed} in place of {now}",
        str(name),
        _gain([load], lambda one: one.bytes() - one.bytes(num_ctx=proposed), declared.settings),
        Document.LESS,
        is_declared,
        why,
        f"what a request brings beyond {proposed} tokens is cut off",
        "a client that asks for a num_ctx of its own reloads the model with it: change that client, too",
        commands,
    )


def _less_context(server: Server, declared: Declarations, load: _Load, proposed: int) -> str:
    """Where the context is set, as far as the server shows it: a request's own num_ctx is seen nowhere, and wins."""
    name = load.model.name
    if declared.of(name):
        return f"parameters = {{ num_ctx = {proposed} }} in its declaration, then apply it"
    if load.details.num_ctx is not None:
        # A runner of the content that it had before would be an orphan.
        body = {"model": str(name), "from": str(name), "parameters": {"num_ctx": proposed}}
        create = f"curl {quote(f'{server.url}/api/create')} -d {quote(json.dumps(body))}"
        return f"{fix_commands.stop(server.url, name)} && {create}"
    return _in_environment(declared.settings, f"OLLAMA_CONTEXT_LENGTH={proposed}")


def _parallel(settings: Settings, loads: list[_Load]) -> Iterator[Remedy]:
    if settings.parallel is None or settings.parallel < 2 or not loads:
        return
    yield Remedy(
        Kind.PARALLEL,
        f"OLLAMA_NUM_PARALLEL of 1 in place of {settings.parallel}",
        SERVER,
        _gain(loads, lambda one: one.bytes() - one.bytes(parallel=1), settings),
        Document.LESS,
        False,
        "every parallel request has its own KV cache, used or not",
        "requests to one model wait for each other",
        "under load a full queue answers 503: see OLLAMA_MAX_QUEUE",
        (_in_environment(settings, "OLLAMA_NUM_PARALLEL=1"),),
    )


def _kv_cache(settings: Settings, loads: list[_Load]) -> Iterator[Remedy]:
    """One variable is for all of them: where it would end the loads of one, it is not a remedy."""
    if any(load.fails_with(_QUANTISED) for load in loads):
        return
    loads = [load for load in loads if load.kv_cache_type == "f16" and not load.details.only_embeds]
    if not loads:
        return
    gain = _gain(loads, lambda one: one.bytes() - one.bytes(kv_cache_type=_QUANTISED), settings)
    if gain.bytes is not None and gain.bytes <= 0:
        return
    yield Remedy(
        Kind.KV_CACHE,
        f"a KV cache of {_QUANTISED} in place of f16",
        SERVER,
        gain,
        Document.LESS,
        False,
        f"in {_QUANTISED} the KV cache takes about half",
        "some precision; slower on some hardware",
        "it needs flash attention: without it loads fail from 0.30 on, and before 0.30 the cache stays f16 "
        "(issues 15043, 16946)",
        (_in_environment(settings, f"OLLAMA_KV_CACHE_TYPE={_QUANTISED}", "OLLAMA_FLASH_ATTENTION=1"),),
    )


def _prompt_cache(server: Server, declared: Declarations, proposed: int) -> Iterator[Remedy]:
    """Of runners of llama-server alone: an MLX runner reads no such variable, one that only embeds keeps no prompts."""
    runners = [model for model in server.reached if not _has_no_prompt_cache(server, model)]
    if not server.has_prompt_cache or not runners:
        return
    bounds = [_bound(server, declared.settings, model) for model in runners]
    if all(bound is not None and bound <= proposed * MIB for bound in bounds):
        return
    most = sum(max(0, bound - proposed * MIB) for bound in bounds if bound is not None)
    measured = [server.grown.get(model.name) for model in runners]
    of_runners = f"for {many(len(runners), 'runner')}"
    if None in bounds:
        gain = Gain(None, "not known: it is bounded by the context's tokens, whose bytes are not known")
    elif None in measured:
        how = f"the bound less the new one, {of_runners}; /api/ps does not show what they hold now"
        gain = Gain(most, how, is_at_most=True)
    else:
        now = sum(max(0, one.beyond - proposed * MIB) for one in measured if one is not None)
        holders = "the runner" if len(runners) == 1 else "the runners"
        later = f"without it {holders} may come to hold {text_of(most)} more"
        gain = Gain(now, f"measured: {GROWN}, less the new bound, {of_runners}", later=later)
    edits = tuple(one for one in declared.edits if one.rule == "OLL202")
    yield Remedy(
        Kind.PROMPT_CACHE,
        f"a prompt cache of {proposed} MiB a runner",
        SERVER,
        gain,
        Document.LESS,
        True,
        "every runner keeps the states of past prompts, which only an unload frees (issue 18264)",
        "a restart: every model is loaded again; repeated long prompts are processed again if they no longer fit",
        "the variable is llama.cpp's, not documented by Ollama",
        (_in_environment(declared.settings, f"{CACHE_VARIABLE}={proposed}"),),
        edits if proposed == MODEST_CACHE_MIB else (),
    )


def _bound(server: Server, settings: Settings, model: RunningModel) -> int | None:
    """Bytes that a runner's prompt cache may come to hold; None where they are not known."""
    grown = server.grown.get(model.name)
    mebibytes = settings.cache if grown is None or grown.cache_mib is None else grown.cache_mib
    if mebibytes >= 0:
        return mebibytes * MIB
    try:
        return _load_of(server, settings, model).prompt_cache()
    except (KeyError, ValueError):
        return None


def _reload(server: Server) -> Iterator[Remedy]:
    """Of each runner that has grown by more than a process needs for itself."""
    for model in server.reached:
        grown = server.grown.get(model.name)
        if grown is None or grown.beyond < _WORTH_A_LOAD:
            continue
        pinned = ", which pins it again" if server.running.is_pinned(model) else ""
        yield Remedy(
            Kind.RELOAD,
            "reload its runner",
            str(model.name),
            Gain(grown.beyond, f"measured: {GROWN}"),
            Document.LESS,
            grown.beyond > grown.held * _SHARE_WORTH_A_LOAD,
            f"its runner, process {grown.pid}, holds {text_of(grown.held)}, where /api/ps says {text_of(model.size)}",
            f"one load{pinned}: a call in progress ends first, and new calls wait",
            "it grows again with other prompts, until LLAMA_ARG_CACHE_RAM bounds it",
            (fix_commands.reload(server.url, model.name),),
        )


def _version(server: Server, declared: Declarations) -> Remedy:
    """The story's second. It helps against leaks that a release fixes, and against nothing else."""
    version = server.version
    leaks = leaks_of(version) if version is not None else ""
    risk = "a newer version has defaults of its own"
    runners = len(server.reached)
    if not Behavior.LLAMA_SERVER.holds(version, if_unknown=True):
        most = text_of(max(1, runners) * PROMPT_CACHE_MIB * MIB)
        risk += f": from 0.30 on a prompt cache, here of up to {most} in all, if LLAMA_ARG_CACHE_RAM does not bound it"
    if version is None:
        title, why = "update Ollama", f"{server.version_text} is not a version whose leaks are known"
        gain = Gain(None, "not known for this version")
    elif leaks:
        title, why = f"update Ollama to {shown(fixed_in(version))} or later", leaks
        gain = Gain(None, "not known: a leak grows with the calls; `ollama-policy probe` measures it")
    else:
        title, why = "update Ollama", f"no leak of {shown(version)} is known that a later release fixes"
        gain = Gain(0, "no memory is known that it would free")
    edits = tuple(one for one in declared.edits if one.rule in ("OLL301", "OLL302"))
    return Remedy(
        Kind.VERSION,
        title,
        SERVER,
        gain,
        Document.NEWEST,
        bool(leaks),
        why,
        "a restart: every model is loaded again",
        risk,
        ("install that version, and start the server again",) if leaks else (),
        edits,
    )


def _gain(loads: list[_Load], saved: Callable[[_Load], int], settings: Settings) -> Gain:
    """The sum over models; not known where one of them is not."""
    total = 0
    for load in loads:
        try:
            total += saved(load)
        except ValueError as error:
            return Gain(None, f"not known: {load.model.name}: {error}")
    assumed = [
        f"{name} is taken to be {default}"
        for name, value, default in (
            ("OLLAMA_NUM_PARALLEL", settings.parallel, str(ASSUMED_PARALLEL)),
            ("OLLAMA_KV_CACHE_TYPE", settings.kv_cache_type, "f16"),
        )
        if value is None
    ]
    is_bound = any(Behavior.LLAMA_SERVER.holds(load.version, if_unknown=True) for load in loads)
    held = "with all pages of its buffers in use" if is_bound else "as it is after the load"
    how = f"{_ESTIMATED} from the model's metadata, {held}" + (f"; {', '.join(assumed)}" if assumed else "")
    return Gain(total, how, is_at_most=is_bound)


def _has_no_prompt_cache(server: Server, model: RunningModel) -> bool:
    """None, or one that no variable bounds."""
    details, installed = server.details.get(model.name), server.installed.get(model.name)
    only_embeds = details is not None and details.only_embeds
    return only_embeds or (installed is not None and is_mlx(installed))


def _in_environment(settings: Settings, *assignments: str) -> str:
    if settings.place:
        return f"{' '.join(assignments)} in the environment at {settings.place}, then start the server again"
    lines = ", ".join(f"Environment={one}" for one in assignments)
    return f"`sudo systemctl edit ollama` with {lines} under [Service] (or -e to its container), then start it again"
