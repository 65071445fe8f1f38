"""How exact the estimates of memory are: ours, Ollama's own prediction and gguf-parser's, beside real runners.

`python -m benchmarks.memory_accuracy [--quick] [--architecture NAME]... [--json FILE] [--from FILE]`: small models of
every supported architecture, over contexts, requests at once and types of KV cache, each loaded on a real Ollama. The
real figure is the most that was resident of the runner's process when its contexts were filled; with contexts too long
to be filled in minutes, what is resident after the load (what long prompts take on top in Ollama's own engine differs
from run to run by some masks: `ollama.memory` says by how many). Exit status 1 where ours is off by more than 5 % and
by more than 32 MiB. Half an hour; `--from` judges what an earlier run measured anew, in seconds.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Report
from benchmarks.peers import gguf_parser
from ollama_provider.ollama.gguf_header import read_header_of
from ollama_provider.ollama.memory import Estimate, estimate
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.ollama_server import OllamaServer
from tests.engines.runner_memory import Measured, measure
from tests.engines.tiny_architectures import EMBEDDING, Shape, write_architecture
from tests.engines.toolchain import find_or_build

WITHIN_SHARE, WITHIN_BYTES = 0.05, 32 * 2**20
CONTEXTS = (2048, 8192, 32768)
FILLED_UP_TO = 2048
MIB = 2**20


@dataclass(frozen=True)
class Model:
    what: str
    architecture: str
    shape: Shape

    @property
    def embeds(self) -> bool:
        return self.architecture in EMBEDDING


MODELS = (
    Model("llama", "llama", Shape()),
    Model("llama, 8 KV heads", "llama", Shape(kv_heads=8)),
    Model("llama, tied, 32,000 tokens", "llama", Shape(vocabulary=32000, has_output=False)),
    Model("mistral: llama, 4 times as wide inside", "llama", Shape(inner=4096, vocabulary=32000)),
    Model("qwen2", "qwen2", Shape()),
    Model("qwen2, 100,000 tokens", "qwen2", Shape(vocabulary=100_000)),
    Model("qwen3", "qwen3", Shape()),
    Model("qwen3, tied, 32,000 tokens", "qwen3", Shape(vocabulary=32000, has_output=False)),
    Model("gemma2", "gemma2", Shape()),
    Model("gemma3", "gemma3", Shape(layers=12)),
    Model("gemma3, window 512, 4 KV heads", "gemma3", Shape(layers=12, window=512, kv_heads=4)),
    Model("phi3", "phi3", Shape()),
    Model("granite", "granite", Shape()),
    Model("qwen3moe, 4 experts of 8", "qwen3moe", Shape()),
    Model("lfm2, 2 layers of 8 with attention", "lfm2", Shape()),
    Model("bert", "bert", Shape(context_length=512)),
    Model("bert, 1,024 wide", "bert", Shape(width=1024, inner=4096, heads=16, context_length=512)),
    Model("nomic-bert", "nomic-bert", Shape(context_length=2048)),
)


@dataclass(frozen=True)
class Case:
    model: Model
    num_ctx: int
    parallel: int
    kv_cache_type: str

    @property
    def is_filled(self) -> bool:
        return self.num_ctx * self.parallel <= FILLED_UP_TO


@dataclass(frozen=True)
class Compared:
    """Bytes. `ours` is the total where the contexts were filled, else the figure at load, as `real` is."""

    case: Case
    measured: Measured
    estimate: Estimate
    gguf_parser: int

    @property
    def real(self) -> int:
        return self.measured.at_load if self.measured.peak is None else self.measured.peak

    @property
    def ours(self) -> int:
        return self.estimate.at_load if self.measured.peak is None else self.estimate.total

    @property
    def cache(self) -> int:
        """As the log has it: with the states of recurrent layers."""
        return self.estimate.kv_cache + self.estimate.recurrent

    @property
    def holds(self) -> bool:
        return is_near(self.ours, self.real) and is_near(
            self.estimate.predicted_by_ollama, self.measured.said_by_ollama
        )


def is_near(found: int, real: int) -> bool:
    return abs(found - real) <= max(WITHIN_SHARE * real, WITHIN_BYTES)


def cases(models: tuple[Model, ...], *, quick: bool) -> Iterator[Case]:
    """By server: all of one number of requests and one type of cache together."""
    for parallel, kv_cache_type in ((1, "f16"), (4, "q8_0")) if quick else product((1, 4), ("f16", "q8_0")):
        for model, num_ctx in product(models, CONTEXTS[:2] if quick else CONTEXTS):
            if model.embeds and (num_ctx != CONTEXTS[0] or (parallel, kv_cache_type) != (1, "f16")):
                continue  # one at a time, without a cache, and no longer than trained
            yield Case(model, num_ctx, parallel, kv_cache_type)


def compare(ollama: Path, parser: Path | None, wanted: list[Case], report: Report) -> Iterator[Compared]:
    with TemporaryDirectory(prefix="ollama-iac-memory-") as folder:
        servers = dict.fromkeys((case.parallel, case.kv_cache_type) for case in wanted)
        for parallel, kv_cache_type in servers:
            home = Path(folder) / f"{parallel}-{kv_cache_type}"
            environment = {"OLLAMA_NUM_PARALLEL": str(parallel), "OLLAMA_KV_CACHE_TYPE": kv_cache_type}
            if kv_cache_type != "f16":
                environment["OLLAMA_FLASH_ATTENTION"] = "1"
            with OllamaServer(ollama, home, environment) as server:
                for case in wanted:
                    if (case.parallel, case.kv_cache_type) == (parallel, kv_cache_type):
                        report(f"{case.model.what}, {case.num_ctx} x {parallel}, {kv_cache_type}")
                        yield _compared(server, home, parser, case)


def _compared(server: OllamaServer, folder: Path, parser: Path | None, case: Case) -> Compared:
    name, file = "measured", folder / "model.gguf"
    write_architecture(file, case.model.architecture, case.model.shape)
    server.create_from_gguf(name, file)
    shown = server.call("POST", "/api/show", {"model": name, "verbose": True}).json()["model_info"]
    measured = measure(
        server,
        name,
        num_ctx=case.num_ctx,
        parallel=case.parallel,
        embeds=case.model.embeds,
        fill=case.is_filled,
    )
    found = _estimate(case, shown, file)
    peer = _peers_figure(parser, file, case) if parser else 0
    server.call("DELETE", "/api/delete", {"model": name})
    file.unlink()
    return Compared(case, measured, found, peer)


def _estimate(case: Case, metadata: Mapping[str, Any], file: Path) -> Estimate:
    return estimate(
        metadata,
        weights_bytes=file.stat().st_size,
        num_ctx=case.num_ctx,
        parallel=case.parallel,
        kv_cache_type=case.kv_cache_type,
    )


def measured_before(file: Path, models: tuple[Model, ...]) -> Iterator[Compared]:
    """What `--json` wrote, with the estimates of now. Raises ValueError, OSError."""
    by_name = {model.what: model for model in models}
    with TemporaryDirectory(prefix="ollama-iac-memory-") as folder:
        for one in json.loads(file.read_text()):
            if (model := by_name.get(one["model"])) is None:
                continue
            gguf = Path(folder) / f"{model.what}.gguf"
            if not gguf.exists():
                write_architecture(gguf, model.architecture, model.shape)
            case = Case(model, one["num_ctx"], one["parallel"], one["kv_cache_type"])
            found = _estimate(case, read_header_of(gguf).model_info, gguf)
            yield Compared(case, Measured(**one["measured"]), found, one["gguf_parser"])


def _peers_figure(parser: Path, file: Path, case: Case) -> int:
    """Its context is that of all requests together; a context longer than the trained one is the caller's to cut."""
    context = min(case.num_ctx, case.model.shape.context_length) * case.parallel
    command = [str(parser), str(file), str(context), str(case.parallel), case.kv_cache_type, "true"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def rows(found: list[Compared]) -> str:
    """MiB, and how far each is off, in MiB and percent of the real figure."""
    lines = [
        "| model | num_ctx x requests, cache | real | ours | off | ollama | off | gguf-parser | off "
        "| /api/ps: ours | off | KV in log: ours | off |",
        "|---" * 13 + "|",
    ]
    for one in found:
        case, real = one.case, one.real
        ollama, predicted = one.measured.said_by_ollama, one.estimate.predicted_by_ollama
        cells = (
            case.model.what,
            f"{case.num_ctx} x {case.parallel}, {case.kv_cache_type}",
            f"{real / MIB:.1f}{'' if case.is_filled else ' at load'}",
            f"{one.ours / MIB:.1f}",
            ("" if is_near(one.ours, real) else "**") + _off(one.ours, real),
            f"{ollama / MIB:.1f}",
            _off(ollama, real),
            f"{one.gguf_parser / MIB:.1f}",
            _off(one.gguf_parser, real),
            f"{predicted / MIB:.1f}",
            ("" if is_near(predicted, ollama) else "**") + _off(predicted, ollama),
            f"{one.cache / MIB:.1f}",
            _off(one.cache, one.measured.kv_cache_in_log),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _off(found: int, real: int) -> str:
    share = f" ({(found - real) / real:+.0%})" if real else ""
    return f"{(found - real) / MIB:+.1f}{share}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="two servers and two contexts only")
    parser.add_argument("--architecture", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--from", dest="before", type=Path, metavar="FILE", help="what --json wrote; nothing is run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    models = tuple(model for model in MODELS if not given.architecture or model.architecture in given.architecture)
    found: list[Compared] = []
    try:
        if given.before:
            found += measured_before(given.before, models)
        else:
            ollama, peer = find_or_build(report).ollama, gguf_parser(report)
            for one in compare(ollama, peer, list(cases(models, quick=given.quick)), report):
                found.append(one)
                report(rows([one]).splitlines()[-1])
    except (ToolchainError, EngineError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    if not found:
        print("nothing was measured", file=sys.stderr)
        return 2
    print(rows(found))
    print(summary(found))
    if given.json:
        given.json.write_text(json.dumps([as_json(one) for one in found], indent=1) + "\n")
    return 0 if all(one.holds for one in found) else 1


def summary(found: list[Compared]) -> str:
    """How many are within 5 % or 32 MiB, by whose estimate; the worst of each."""
    figures: dict[str, Callable[[Compared], int]] = {
        "ours": lambda one: one.ours,
        "Ollama's": lambda one: one.measured.said_by_ollama,
        "gguf-parser's": lambda one: one.gguf_parser,
    }
    lines = []
    for whose, figure in figures.items():
        near, worst = 0, found[0]
        for one in found:
            near += is_near(figure(one), one.real)
            if abs(figure(one) / one.real - 1) > abs(figure(worst) / worst.real - 1):
                worst = one
        lines.append(
            f"{whose}: {near} of {len(found)} within 5 % or 32 MiB of the real figure; the worst is off by "
            f"{_off(figure(worst), worst.real)} MiB: {worst.case.model.what}, {worst.case.num_ctx} x "
            f"{worst.case.parallel}, {worst.case.kv_cache_type}"
        )
    return "\n".join(lines)


def as_json(one: Compared) -> dict[str, Any]:
    case = one.case
    return {
        "model": case.model.what,
        "architecture": case.model.architecture,
        "num_ctx": case.num_ctx,
        "parallel": case.parallel,
        "kv_cache_type": case.kv_cache_type,
        "measured": asdict(one.measured),
        "ours": one.estimate._asdict() | {"at_load": one.estimate.at_load, "total": one.estimate.total},
        "gguf_parser": one.gguf_parser,
        "holds": one.holds,
    }


if __name__ == "__main__":
    sys.exit(main())
