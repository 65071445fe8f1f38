"""What the server's variables are, and how much memory there is: by options, else by the checker's sources."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ollama_policy.errors import CannotLookError
from ollama_policy.formats.writing import place_of
from ollama_policy.live.capacity.sums import Settings
from ollama_policy.model.rule import Target
from ollama_policy.model.servers import may_have_gpu, memory_limit, raw_text, text, version_of
from ollama_policy.model.settings import MEMORY_LIMIT, Setting, Subject, Unknown
from ollama_provider.apply.capacity import DEFAULT_NUM_CTX, memory_of_this_machine
from ollama_provider.ollama.memory import known_kv_cache_types
from ollama_provider.ollama.settings import llama_arguments
from ollama_provider.ollama.settings.kv_cache_types import (
    DEFAULT,
    OF_BOTH,
    OF_KEYS,
    OF_VALUES,
    VARIABLES,
    in_effect,
    larger,
)
from ollama_provider.ollama.settings.variables import (
    DEFAULT_KEEP_ALIVE,
    PROMPT_CACHE_MIB,
    VRAM_TIERS,
    env_bool,
    env_keep_alive,
    env_uint,
    trimmed,
)
from ollama_provider.ollama.sizes import MIB, bytes_of, text_of
from ollama_provider.ollama.versions import NEWEST_KNOWN, Behavior, Version, beyond_known, dotted, version_in

_T = TypeVar("_T")
_CACHE_RAM = "LLAMA_ARG_CACHE_RAM"
_PROCESS = "the server's process"
_VRAM_OF_TIERS = (0, 23 * 2**30, 47 * 2**30)  # of VRAM_TIERS: Behavior.CONTEXT_BY_VRAM
_MODELS_A_GPU = 3  # defaultModelsPerGPU in server/sched.go, and as many without one


class Given(NamedTuple):
    """What the command line says; None where it does not."""

    memory: str | None = None
    gpu_memory: str | None = None
    num_parallel: int | None = None
    kv_cache_type: str | None = None
    flash_attention: bool | None = None
    max_loaded: int | None = None
    context_length: int | None = None


class Found(NamedTuple):
    """The settings, where each that is not Ollama's default is from, and what had to be assumed."""

    settings: Settings
    num_ctx: int
    num_ctx_from: str
    keep_alive: int  # of a model that says none, in nanoseconds
    memory_from: str
    origins: dict[str, str]
    assumed: list[str]


class Sources:
    """Reads the settings of one server."""

    def __init__(self, given: Given, servers: Sequence[Subject], target: Target) -> None:
        self._given, self._target = given, target
        self._server = servers[0] if len(servers) == 1 else None
        self._running: Mapping[str, str] | None = None
        self._origins: dict[str, str] = {}
        self._assumed: list[str] = []
        if len(servers) > 1:
            places = ", ".join(_place(one) for one in servers[:4]) + (", ..." if len(servers) > 4 else "")
            self._assumed.append(
                f"{len(servers)} servers are configured ({places}), and which of them is this one is not known: their "
                "variables are not used. Give only one of these files, or options"
            )

    def read(self, version_text: str, is_here: bool, running_with: Mapping[str, str] | None = None) -> Found:
        """`running_with` is what the server's own process shows: it counts, and where a file differs, that is said.

        Raises CannotLookError for an option that is none.
        """
        self._running = running_with
        given, target = self._given, self._target
        version = version_in(version_text) or (version_of(self._server, target) if self._server else target.version)
        gpus = target.gpu_count if target.gpu_count is not None else 1
        gpu_bytes = _bytes(given.gpu_memory, "--gpu-memory")
        if gpu_bytes is None:
            gpu_bytes = (target.gpu_memory_bytes or 0) * gpus
        memory, memory_from = self._memory(is_here)
        context = self._one("OLLAMA_CONTEXT_LENGTH", given.context_length, "--context-length", env_uint)
        prompt_cache, refused = self._prompt_cache(version)
        settings = Settings(
            memory,
            gpu_bytes,
            self._one("OLLAMA_NUM_PARALLEL", given.num_parallel, "--num-parallel", env_uint) or 1,
            self._kv_cache_type(version),
            self._one("OLLAMA_FLASH_ATTENTION", given.flash_attention, "--flash-attention", env_bool),
            self._one("OLLAMA_MAX_LOADED_MODELS", given.max_loaded, "--max-loaded", env_uint)
            or _MODELS_A_GPU * max(1, gpus if gpu_bytes else 1),
            prompt_cache,
            version,
            refused,
        )
        keep_alive = self._one("OLLAMA_KEEP_ALIVE", None, "", env_keep_alive)
        num_ctx, num_ctx_from = _default_context(gpu_bytes, version)
        if context:
            num_ctx, num_ctx_from = context, self._origins["OLLAMA_CONTEXT_LENGTH"]
        self._say_what_is_taken(version, gpu_bytes)
        return Found(
            settings,
            num_ctx,
            num_ctx_from,
            DEFAULT_KEEP_ALIVE if keep_alive is None else keep_alive,
            memory_from,
            self._origins,
            self._assumed,
        )

    def _memory(self, is_here: bool) -> tuple[int | None, str]:
        if (memory := _bytes(self._given.memory, "--memory")) is not None:
            return memory, "--memory"
        server, target = self._server, self._target
        if server is not None and isinstance(
            server.settings[MEMORY_LIMIT].value if MEMORY_LIMIT in server.settings else 0, Unknown
        ):
            self._assumed.append(f"{_place(server)}: its memory limit cannot be decided: no limit is assumed")
        limit = memory_limit(server, target) if server is not None else target.memory_bytes
        if limit is not None:
            is_own = server is not None and server.value(MEMORY_LIMIT) == limit
            return limit, f"the limit at {_place(server)}" if is_own and server is not None else "target-memory"
        if is_here and (here := memory_of_this_machine()) is not None:
            return here, "this machine's"
        return None, ""

    def _one(self, name: str, given: _T | None, option: str, read: Callable[[str], _T | None]) -> _T | None:
        if given is not None:
            self._origins[name] = option
            return given
        setting = self._server.settings.get(name) if self._server is not None else None
        if self._running is not None:
            return self._one_of_process(name, setting, self._running.get(name, ""), read)
        if setting is None:
            return None
        where = _where(setting)
        if isinstance(setting.value, Unknown):
            self._assumed.append(
                f"{where}: {name} cannot be decided ({setting.value.reason}): Ollama's default is used"
            )
            return None
        value = read(text(setting))
        if value is not None:
            self._origins[name] = where
        return value

    def _one_of_process(
        self, name: str, setting: Setting | None, runs: str, read: Callable[[str], _T | None]
    ) -> _T | None:
        value = read(trimmed(runs))
        if setting is not None and not isinstance(setting.value, Unknown) and read(text(setting)) != value:
            self._assumed.append(
                f"the server runs with {name} {trimmed(runs) or 'not set'}, {_where(setting)} says "
                f"{text(setting) or 'nothing'}: it takes effect with a restart"
            )
        if value is not None:
            self._origins[name] = _PROCESS
        return value

    def _kv_cache_type(self, version: Version | None) -> str:
        given, known = self._given.kv_cache_type, known_kv_cache_types(version)
        if given is not None and given.lower() not in known:
            raise CannotLookError(f"--kv-cache-type {given}: expected one of {', '.join(known)}")
        found = {OF_BOTH: self._one(OF_BOTH, given, "--kv-cache-type", lambda value: value.lower() or None)}
        if found[OF_BOTH] is None and Behavior.LLAMA_SERVER.holds(version, if_unknown=True):
            found |= {name: self._one(name, None, "", lambda value: value or None) for name in (OF_KEYS, OF_VALUES)}
        keys, values = in_effect(lambda name: found.get(name) or "", version)
        taken = larger(keys, values)
        if keys != values:
            self._assumed.append(
                f"keys are cached as {keys} and values as {values}: the sums are with {taken} for both"
            )
        if taken in known:
            return taken
        name = next(name for name in VARIABLES if (found.get(name) or DEFAULT) == taken)
        where = self._origins.pop(name)
        if not Behavior.UNCHECKED_KV_CACHE_TYPE.holds(version, if_unknown=False):
            self._assumed.append(f"{where}: Ollama ignores the KV cache type {taken!r}, and uses f16")
        else:
            self._assumed.append(
                f"{where}: what a model takes with the KV cache type {taken!r} is not known: f16 is assumed, and it "
                "may be more"
            )
        return DEFAULT

    def _prompt_cache(self, version: Version | None) -> tuple[int, str]:
        """Bytes of each runner, negative: as many tokens as its context has; and why llama-server ends, if it does.

        What the server runs with counts; where a file says otherwise, that is said.
        """
        if not Behavior.PROMPT_CACHE.holds(version, if_unknown=True):
            return 0, ""
        setting = self._server.settings.get(_CACHE_RAM) if self._server is not None else None
        if self._running is None:
            self._one(_CACHE_RAM, None, "", lambda value: value)
        written = None if setting is None or not setting.is_known or setting.value is None else raw_text(setting)
        where = "" if setting is None else _where(setting)
        if self._running is not None:
            runs = self._running.get(_CACHE_RAM)
            if written is not None and _cache(runs) != _cache(written):
                then = " and no model loads then" if _cache(written) is None else ""
                self._assumed.append(
                    f"the server runs with {_CACHE_RAM} {_said(runs)}, {where} says {_said(written)}: it takes effect "
                    f"with a restart{',' if then else ''}{then}"
                )
            written, where = runs, _PROCESS
            if runs is not None:
                self._origins[_CACHE_RAM] = where
        cache = _cache(written)
        if cache is None:
            self._origins.pop(_CACHE_RAM, None)
            ends = f"{where}: {_CACHE_RAM} is {written!r}: llama-server exits, and no model loads"
            return PROMPT_CACHE_MIB * MIB, ends
        return cache, ""

    def _say_what_is_taken(self, version: Version | None, gpu_bytes: int) -> None:
        """What of the version and of GPUs is taken for granted."""
        if version is None:
            self._assumed.append(f"the version of Ollama is not known: assumed to be {dotted(NEWEST_KNOWN)}")
        elif (words := beyond_known(version)) is not None:
            self._assumed.append(words)
        if not gpu_bytes and self._server is not None and may_have_gpu(self._server):
            self._assumed.append(
                f"{_place(self._server)}: the server may have a GPU whose memory is not known: the sums are for a "
                "server without one; give --gpu-memory"
            )


def _cache(text: str | None) -> int | None:
    """Bytes of a prompt cache, -1 where the context's tokens bound it; None where llama-server ends at the text."""
    mebibytes = PROMPT_CACHE_MIB if text is None else llama_arguments.whole(text)
    return None if mebibytes is None else -1 if mebibytes < 0 else mebibytes * MIB


def _said(text: str | None) -> str:
    return f"{PROMPT_CACHE_MIB}, the default" if text is None else text or "nothing"


def _default_context(gpu_bytes: int, version: Version | None) -> tuple[int, str]:
    """The context where no variable says one, and why it is that."""
    if not gpu_bytes or not Behavior.CONTEXT_BY_VRAM.holds(version, if_unknown=True):
        return DEFAULT_NUM_CTX, "Ollama's default"
    tier = max(tokens for tokens, least in zip(VRAM_TIERS, _VRAM_OF_TIERS, strict=True) if gpu_bytes >= least)
    return tier, f"Ollama's default with {text_of(gpu_bytes)} of GPU memory"


def faults_of(given: Given) -> list[str]:
    """What is wrong with the options, whatever the server's version is."""
    faults = []
    for value, option in ((given.memory, "--memory"), (given.gpu_memory, "--gpu-memory")):
        try:
            _bytes(value, option)
        except CannotLookError as error:
            faults.append(str(error))
    return faults


def _bytes(value: str | None, option: str) -> int | None:
    if value is None:
        return None
    found = bytes_of(value.strip())
    if not found:
        raise CannotLookError(f'{option} {value}: expected an amount of memory, such as "16GiB"')
    if found < MIB and value.strip().isdigit():
        raise CannotLookError(f"{option} {value} is {found} bytes: write the unit, such as {value.strip()}GiB")
    return found


def _where(setting: Setting) -> str:
    return place_of(setting.file, setting.file.position(setting.span.start))


def _place(server: Subject) -> Any:
    return place_of(server.file, server.file.position(server.span.start))
