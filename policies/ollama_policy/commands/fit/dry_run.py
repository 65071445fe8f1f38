"""Asks `llama-fit-params`, llama.cpp's own dry run of a load, for models whose architecture the estimate does not know.

It reads a GGUF's header alone and allocates nothing, so of a model that is not here a file of its first MiB and a hole
does as well. It prints `DEVICE MODEL CONTEXT COMPUTE` in whole MiB, cut, one line a device. Its compute part is an
upper bound: it has the logits of a whole batch, where a server has those of one token for each request.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ollama_policy.errors import CannotLookError
from ollama_policy.live.capacity.sums import DryRun, Model, Settings
from ollama_provider.ollama.memory import UnknownArchitectureError
from ollama_provider.ollama.settings.batches import automatic_batch
from ollama_provider.ollama.sizes import MIB
from ollama_provider.ollama.versions import Behavior

NAME: Final = "llama-fit-params"
_SECONDS: Final = 20.0
_PADDING: Final = 2**20
_LINE: Final = re.compile(r"^\S+ (\d+) (\d+) (\d+)\s*$", re.MULTILINE)


def program(given: str | None) -> str | None:
    """The one to ask: as given, else on PATH; None where there is none. Raises CannotLookError for one that is none."""
    found = shutil.which(given or NAME)
    if given is not None and found is None:
        raise CannotLookError(f"--fit-params {given}: it is not a program; expected llama.cpp's {NAME}")
    return found


def asked(models: Iterable[Model], settings: Settings, to_ask: str | None) -> Iterator[Model]:
    """The models, with a dry run where the estimate does not know one, and else with what may tell."""
    for model in models:
        why = _unknown_architecture(model, settings)
        if not why or not Behavior.LLAMA_SERVER.holds(settings.version, if_unknown=True):
            yield model
        elif not model.file and not model.beginning:
            yield model._replace(problem=f"{why}; no GGUF of it is here to ask {NAME} about")
        elif to_ask is None:
            yield model._replace(problem=f"{why}; {NAME} on PATH, or named by --fit-params, may tell")
        else:
            yield _asked(model, settings, to_ask, why)


def _unknown_architecture(model: Model, settings: Settings) -> str:
    if model.problem or model.held_bytes is not None:
        return ""
    try:
        model.estimated(settings)
    except UnknownArchitectureError as error:
        return str(error)
    except ValueError:
        return ""
    return ""


def _asked(model: Model, settings: Settings, to_ask: str, why: str) -> Model:
    try:
        with tempfile.TemporaryDirectory(prefix="ollama-policy-") as folder:
            file = model.file or _sparse(Path(folder, "model.gguf"), model)
            ran = subprocess.run(
                [to_ask, "-m", file, *_arguments(model, settings)],
                env={**os.environ, "GGML_NO_BACKTRACE": "1"},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return model._replace(problem=f"{why}; {to_ask} does not tell: {error}")
    devices = [tuple(map(int, line)) for line in _LINE.findall(ran.stdout)]
    if ran.returncode != 0 or not devices:
        last = next((line.strip() for line in reversed(ran.stderr.splitlines()) if line.strip()), "it says nothing")
        return model._replace(problem=f"{why}; {to_ask} does not tell: {last[:200]}")
    # What is cut of each figure is less than a MiB.
    parts = [sum(device[part] + 1 for device in devices) * MIB for part in range(3)]
    return model._replace(dry_run=DryRun(to_ask, *parts))


def _sparse(path: Path, model: Model) -> str:
    """A file with the header, and a hole for the weights and what is between them."""
    with path.open("wb") as file:
        file.write(model.beginning)
        file.truncate(len(model.beginning) + model.weights_bytes + _PADDING)
    return str(path)


def _arguments(model: Model, settings: Settings) -> list[str]:
    """As Ollama starts llama-server for it (llm/llama_server.go), on a CPU where no GPU is known."""
    trained = model.metadata.get(f"{model.metadata.get('general.architecture')}.context_length")
    num_ctx = min(model.num_ctx, trained) if isinstance(trained, int) and trained > 0 else model.num_ctx
    tokens = num_ctx * settings.num_parallel
    batch = str(automatic_batch(tokens))
    flash = {None: "auto", True: "on", False: "off"}[settings.flash_attention]
    words = ["-c", str(tokens), "-np", str(settings.num_parallel), "-b", batch, "-ub", batch, "-fa", flash]
    words += ["-ctk", settings.kv_cache_type, "-ctv", settings.kv_cache_type, "--no-repack", "--fit-print", "on"]
    return words if settings.gpu_bytes else [*words, "--device", "none"]
