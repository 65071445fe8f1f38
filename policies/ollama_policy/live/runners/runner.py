"""What a runner's command line and environment say of it: whose it is, and what bounds the caches in it."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ollama_provider.ollama.names import InvalidNameError, ModelName
from ollama_provider.ollama.reloading import flags_in
from ollama_provider.ollama.settings import kv_cache_types

_BLOB: Final = re.compile(r"sha256[-:]([0-9a-f]{64})(?![0-9a-f])")
_INTEGER: Final = re.compile(r"\s*([+-]?\d+)")
DEFAULT_CHECKPOINTS: Final = 32  # of a slot: llama.cpp's common/common.h (n_ctx_checkpoints), in b10488 and b10969
MLX_CACHE_BYTES: Final = 8 * 2**30  # mlxrunner/prefix_cache.go:43 of 0.34.3, read: nothing sets it
CACHE_VARIABLE: Final = "LLAMA_ARG_CACHE_RAM"
CHECKPOINTS_VARIABLE: Final = "LLAMA_ARG_CTX_CHECKPOINTS"
VARIABLES: Final = frozenset(
    (
        CACHE_VARIABLE,
        CHECKPOINTS_VARIABLE,
        *kv_cache_types.VARIABLES,
        "OLLAMA_CONTEXT_LENGTH",
        "OLLAMA_FLASH_ATTENTION",
        "OLLAMA_KEEP_ALIVE",
        "OLLAMA_MAX_LOADED_MODELS",
        "OLLAMA_NUM_PARALLEL",
    )
)  # what memory depends on


class Engine(StrEnum):
    """What serves a model."""

    LLAMA_SERVER = "llama-server"  # every GGUF model from 0.30 on
    MLX = "MLX runner"  # models of safetensors
    OLLAMA = "Ollama's runner"  # before 0.30


class Runner(NamedTuple):
    """One runner. `model` is a path or a name, `context` the tokens of all its `slots` together.

    `environment` has what of VARIABLES is set; None where the process does not show it. `flags` are those of a
    llama-server that come from options.
    """

    pid: int
    engine: Engine
    model: str
    context: int | None = None
    slots: int = 1
    environment: Mapping[str, str] | None = None
    flags: Mapping[str, str] = MappingProxyType({})

    @property
    def as_body(self) -> dict[str, Any]:
        """What a probe's document says of it: whose it is and what bounds its caches."""
        return {key: value for key, value in self._asdict().items() if key != "flags"}

    @property
    def blob(self) -> str:
        """The digest of its weights; empty where it is started with a name."""
        return blob_in(self.model)

    def holds(self, name: ModelName, blob: str) -> bool:
        """Whether it is this model's: by the digest of its weights, or by its name where it is started with one."""
        if self.blob:
            return self.blob == blob
        try:
            return ModelName.parse(self.model) == name
        except InvalidNameError:
            return False

    def setting(self, variable: str, default: int) -> tuple[int, bool]:
        """The number that llama.cpp reads in a variable, and whether the variable sets it.

        As `std::stoi`: what follows the digits is ignored. No other text lets a runner start.
        """
        found = _INTEGER.match((self.environment or {}).get(variable, ""))
        return (int(found[1]), True) if found else (default, False)

    @property
    def checkpoints(self) -> int:
        """How many checkpoints of a slot's context it keeps at most, of a model that needs them."""
        if self.engine is not Engine.LLAMA_SERVER:
            return 0
        return max(0, self.setting(CHECKPOINTS_VARIABLE, DEFAULT_CHECKPOINTS)[0])


def blob_in(text: str) -> str:
    """The digest in the path of a blob, or in a line of a Modelfile; empty where there is none."""
    found = _BLOB.search(text)
    return f"sha256:{found[1]}" if found else ""


def runner_of(pid: int, command: Sequence[str]) -> Runner | None:
    """The runner that a command line starts, of any version of Ollama; None where it starts none."""
    program = PurePath(command[0]).name.removesuffix(".exe") if command else ""
    model = _after(command, "--model")
    if not model:
        return None
    if program == "llama-server":
        context, slots = _number(_after(command, "-c")), _number(_after(command, "-np"))
        return Runner(pid, Engine.LLAMA_SERVER, model, context, slots or 1, flags=flags_in(command))
    if "runner" in command[1:3]:
        return Runner(pid, Engine.OLLAMA if _BLOB.search(model) else Engine.MLX, model)
    return None


def _after(command: Sequence[str], option: str) -> str:
    places = [at for at, word in enumerate(command[:-1]) if word == option]
    return command[places[0] + 1] if places else ""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
