"""The engine's own dry run: what llama.cpp says that a model would take, from its header alone."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import gguf

from benchmarks import memory_files
from benchmarks.memory_architectures import ALL_SIZES, Bounds, Value, draw
from benchmarks.memory_tensors import as_converted
from tests.engines.errors import EngineError
from tests.engines.llama_library import ContextLoad, Library, Tensors

# What it ends with where llama.cpp says no, rather than aborts.
_REFUSED: Final = "failed to create llama_context"
_HOST = re.compile(r"^Host +(\d+) +(\d+) +(\d+)", re.MULTILINE)
_REASON = re.compile(r"(?: E |^/\S+/|^E )(.+)", re.MULTILINE)
_WITHIN: Final = 60.0
KV_CACHE_TYPES: Final = (*["f16"] * 6, *["q8_0"] * 3, *["q4_0"] * 2, "bf16", "q4_1", "iq4_nl", "q5_0", "q5_1")


class RefusedError(EngineError):
    """llama.cpp would not load the model so, and says why."""


class Dry(NamedTuple):
    """What llama-fit-params prints of the host: whole MiB, cut."""

    model: int
    context: int
    compute: int


@dataclass(frozen=True)
class Load:
    """How Ollama starts llama-server: `num_ctx` is one request's; `flash_attention` None is automatic."""

    num_ctx: int
    parallel: int = 1
    kv_cache_type: str = "f16"
    flash_attention: bool | None = None
    embeds: bool = False

    @property
    def batch(self) -> int:
        """As Ollama 0.34 chooses it (server/sched.go:835, llm/llama_server.go:91)."""
        if self.embeds:
            return min(2048, self.num_ctx)
        context = self.num_ctx * self.parallel
        return 2048 if context > 32768 else 1024 if context > 4096 else 512

    @property
    def arguments(self) -> list[str]:
        flash = {None: "auto", True: "on", False: "off"}[self.flash_attention]
        batch = str(self.batch)
        return [
            *("-c", str(self.num_ctx * self.parallel), "-np", str(self.parallel), "-b", batch, "-ub", batch),
            *("-ctk", self.kv_cache_type, "-ctv", self.kv_cache_type, "--flash-attn", flash),
        ]

    def __str__(self) -> str:
        flash = {None: "", True: ", flash", False: ", no flash"}[self.flash_attention]
        return f"{self.num_ctx} x {self.parallel}, {self.kv_cache_type}{flash}"


@dataclass(frozen=True)
class Model:
    """A model that is nothing but its header. `seed` makes it anew, or is where its shape was published."""

    architecture: str
    seed: str
    mix: str
    metadata: Mapping[str, Value]
    tensors: Tensors
    kinds: Mapping[str, gguf.GGMLQuantizationType]

    @property
    def weights_bytes(self) -> int:
        """Of the tensors' data."""
        return sum(memory_files.size(dimensions, self.kinds[name]) for name, dimensions in self.tensors.items())

    def write(self, path: Path) -> int:
        """How many bytes the file has, of which almost all are a hole."""
        return memory_files.write(path, self.architecture, self.metadata, self.tensors, self.kinds)


class Oracle:
    """Makes models, and asks llama.cpp of them: `with oracle(...) as ...`."""

    def __init__(self, program: Path, folder: Path, library: Library) -> None:
        self.program, self.folder, self._library = program, folder, library

    def model(self, architecture: str, seed: str, bounds: Bounds = ALL_SIZES) -> Model:
        """The model of a seed: the same each time. Raises EngineError where llama.cpp does not take it."""
        random = Random(f"{architecture} {seed}")
        metadata = draw(architecture, random, bounds)
        mix = random.choice(memory_files.MIXES)
        return self.made(architecture, metadata, mix, random, seed, may_tie=architecture not in _NEVER_TIED)

    def made(
        self,
        architecture: str,
        metadata: Mapping[str, Value],
        mix: str,
        random: Random,
        seed: str,
        *,
        may_tie: bool,
    ) -> Model:
        metadata = {"general.architecture": architecture, **metadata}
        path = self.folder / "metadata.gguf"
        memory_files.write(path, architecture, metadata)
        tensors = as_converted(architecture, self._library.tensors(path), random, may_tie=may_tie)
        if mix == "MXFP4" and not any("_exps." in name for name in tensors):
            mix = "Q8_0"
        return Model(architecture, seed, mix, metadata, tensors, memory_files.typed(tensors, mix))

    def dry_run(self, file: Path, load: Load) -> Dry:
        """Raises RefusedError where llama.cpp would not load the model so, EngineError where it aborts."""
        # Repacked weights are in a buffer that the program does not count; they are as large as they were.
        command = [str(self.program), "-m", str(file), *load.arguments, "--no-repack", "--fit-print", "on"]
        environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=_WITHIN, env=environment, check=False, errors="replace"
        )
        found = _HOST.search(ran.stdout)
        if not found:
            reasons = _REASON.findall(ran.stderr)
            kind = RefusedError if _REFUSED in ran.stderr else EngineError
            raise kind(reasons[0] if reasons else f"llama-fit-params: exit {ran.returncode}")
        return Dry(*map(int, found.groups()))

    def server_run(self, file: Path, load: Load) -> dict[str, int]:
        """Bytes of the "model", "context", "compute" and "output" that llama-server would allocate.

        The dry run that llama-fit-params makes (common/fit.cpp), within llama.cpp's library and with what it cannot be
        told: as many outputs as there are requests, and --embedding. Repacked weights count too. Raises EngineError.
        """
        flash = {None: -1, True: 1, False: 0}[load.flash_attention]
        cache_type = gguf.GGMLQuantizationType[load.kv_cache_type.upper()].value
        outputs = load.batch if load.embeds else load.parallel
        context = ContextLoad(
            load.num_ctx * load.parallel, load.parallel, load.batch, outputs, cache_type, flash, load.embeds
        )
        return self._library.buffers(file, context)


@contextmanager
def oracle(program: Path) -> Iterator[Oracle]:
    """`program` is llama-fit-params, with libllama.so beside it."""
    with TemporaryDirectory(prefix="memory-oracle-") as folder, Library(program.parent) as library:
        yield Oracle(program, Path(folder), library)


def draw_load(model: Model, seed: str) -> Load:
    """A load as people have them, within what the model was trained for."""
    random = Random(f"load {model.architecture} {seed}")
    trained = model.metadata[f"{model.architecture}.context_length"]
    embeds = f"{model.architecture}.pooling_type" in model.metadata
    assert isinstance(trained, int)
    num_ctx = min(trained, random.choice((512, 2048, 4096, 4096, 8192, 16384, 32768, 65536, 131072)))
    alone = embeds or model.architecture in ONE_REQUEST
    parallel = 1 if alone else random.choice((1, 1, 1, 2, 4, 8))
    kv_cache_type = random.choice(KV_CACHE_TYPES)
    # Without flash attention a quantised cache is refused.
    flash_attention = random.choice((None, None, None, True, False if kv_cache_type == "f16" else None))
    return Load(num_ctx, parallel, kv_cache_type, flash_attention, embeds)


# Ollama allows them one request at a time (server/sched.go:514); with several, llama.cpp aborts on the last.
ONE_REQUEST: Final = frozenset(
    "qwen3vl qwen3vlmoe qwen35 qwen35moe qwen3next lfm2 lfm2moe nemotron_h nemotron_h_moe t5".split()
)
_NEVER_TIED: Final = frozenset(
    "phi2 phimoe gpt-oss nemotron gptneox baichuan stablelm qwen qwen2moe plamo codeshell orion internlm2 maple xverse "
    "dbrx olmo2 olmoe muse-glimmer jais exaone-moe rwkv6 rwkv6qwen2 rwkv7 arwkv7 bailingmoe bailingmoe2 dots1 "
    "llada-moe apertus minimax-m2 mimo2 step35 kimi-linear talkie mellum".split()
)
