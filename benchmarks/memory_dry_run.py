"""How exact the estimate for llama-server is, against the engine's own dry run.

`python -m benchmarks.memory_dry_run --seed S [--shapes N] [--architecture NAME] [--published] [--json FILE]`: models of
every architecture that `benchmarks.memory_architectures` makes, drawn by a seed, each as a header and a hole; what
llama.cpp says that it would allocate, beside our estimate, gguf-parser's and Ollama's own prediction. A part holds
within 1 % or 4 MiB. Exit status 0 where every part of every architecture that we know holds, 1 where one does not, 2
where not all could be asked. 5,000 shapes take a quarter of an hour.

llama-fit-params prints whole MiB of the model, the context and the computing, of a context that wants the logits of a
whole batch: "compute, all logits". llama-server wants one row of them a request, pools where a model embeds, and keeps
repacked weights in a buffer that the program leaves out: "model" and "compute" are those, asked of the same library.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, NamedTuple

from benchmarks.measuring import Report, Result
from benchmarks.memory_architectures import ARCHITECTURES
from benchmarks.memory_oracle import Dry, Load, Model, Oracle, RefusedError, draw_load, oracle
from benchmarks.memory_published import published
from benchmarks.memory_tables import write_table
from benchmarks.peers import gguf_parser
from ollama_provider.ollama.memory import Tensor, UnknownArchitectureError, estimate, llama_server
from ollama_provider.ollama.memory.buffers import buffers
from ollama_provider.ollama.sizes import MIB
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.toolchain import Engines, find_or_build_fit_params

WITHIN_SHARE, WITHIN_MIB = 0.01, 4.0
PARTS: Final = ("model", "context", "compute", "compute, all logits")
PEER_EVERY = 10
_TRIES = 8


@dataclass(frozen=True)
class Part:
    """MiB. The real figure is from `real` to less than `real + cut`, as llama-fit-params cuts to whole ones."""

    name: str
    ours: float
    real: float
    cut: float = 1.0

    @property
    def off(self) -> float:
        if self.ours < self.real:
            return self.ours - self.real
        return max(0.0, self.ours - self.real - self.cut)

    @property
    def holds(self) -> bool:
        return abs(self.off) <= max(WITHIN_SHARE * self.real, WITHIN_MIB)


@dataclass(frozen=True)
class Compared:
    """One shape. `parts` is empty where `note` says why: not known to us, or refused by both."""

    architecture: str
    seed: str
    mix: str
    load: str
    note: str
    parts: tuple[Part, ...] = ()
    total: float = 0.0
    ours: float = 0.0
    by_ollama: float = 0.0
    by_gguf_parser: float | None = None

    @property
    def holds(self) -> bool:
        return all(part.holds for part in self.parts) and not self.note.startswith("disagree")

    @property
    def is_known(self) -> bool:
        return not self.note.startswith("not known")


def one_shape(asked: Oracle, parser: Path | None, architecture: str, seed: str) -> Compared:
    file = asked.folder / "model.gguf"
    for turn in range(_TRIES):
        its = seed if not turn else f"{seed}.{turn}"
        try:
            model = asked.model(architecture, its)
            load = draw_load(model, its)
            model.write(file)
            return compared(asked, parser, model, file, load)
        except EngineError as error:
            # A shape on which llama.cpp aborts is not a model: another is drawn.
            last = str(error)
    raise EngineError(f"{architecture}, seed {seed}: llama.cpp takes none of {_TRIES} shapes, the last because {last}")


def compared(asked: Oracle, parser: Path | None, model: Model, file: Path, load: Load) -> Compared:
    """Raises EngineError where llama.cpp aborts; where it refuses the load in words, so has the estimate to."""

    def result(note: str, **figures: Any) -> Compared:
        return Compared(model.architecture, model.seed, model.mix, str(load), note, **figures)

    dry: Dry | None = None
    refusal = ""
    try:
        dry = asked.dry_run(file, load)
    except RefusedError as error:
        refusal = str(error)
    try:
        ours = reserved(model, file.stat().st_size, load)
    except UnknownArchitectureError:
        return result("not known")
    except ValueError as error:
        return result("refused" if not dry else f"disagree: we refuse, {error}")
    if not dry:
        return result(f"disagree: llama.cpp refuses, {refusal}")
    real = asked.server_run(file, load)
    parts = [
        Part("model", ours.model / MIB, real["model"] / MIB, cut=0),
        Part("context", ours.context / MIB, dry.context),
        Part("compute", ours.compute / MIB, real["compute"] / MIB, cut=0),
    ]
    if not load.embeds:
        parts.append(Part("compute, all logits", ours.compute_of_all_logits / MIB, dry.compute))
    return result(
        "",
        parts=tuple(parts),
        total=sum(real.values()) / MIB,
        ours=(ours.model + ours.context + ours.compute + ours.output) / MIB,
        by_ollama=ours.by_ollama / MIB,
        by_gguf_parser=_peers_figure(parser, file, load) if parser else None,
    )


class Reserved(NamedTuple):
    """Bytes of ours, of what the dry run has."""

    model: int
    context: int
    compute: int
    compute_of_all_logits: int
    output: int
    by_ollama: int


def reserved(model: Model, weights_bytes: int, load: Load) -> Reserved:
    """Raises UnknownArchitectureError, and ValueError where the load would be refused."""
    tensors = [Tensor(name, shape, model.kinds[name].name) for name, shape in model.tensors.items()]
    its = llama_server.read_model(model.metadata, tensors)
    wanted = llama_server.load_of(its, load.num_ctx, load.parallel, load.kv_cache_type, load.flash_attention)
    found = buffers(its, wanted)
    whole = estimate(
        model.metadata,
        weights_bytes=weights_bytes,
        num_ctx=load.num_ctx,
        parallel=load.parallel,
        kv_cache_type=load.kv_cache_type,
        flash_attention=load.flash_attention,
        prompt_cache_bytes=0,
        tensors=tensors,
    )
    return Reserved(
        model=whole.weights,
        context=found.kv_cache + found.recurrent,
        compute=found.compute,
        compute_of_all_logits=buffers(its, replace(wanted, outputs=None)).compute,
        output=4 * load.parallel * _tokens(model),
        by_ollama=whole.predicted_by_ollama,
    )


def _tokens(model: Model) -> int:
    found = model.metadata[f"{model.architecture}.vocab_size"]
    assert isinstance(found, int)
    return found


def _peers_figure(parser: Path, file: Path, load: Load) -> float | None:
    """None where gguf-parser fails: it knows fewer architectures."""
    flash = "false" if load.flash_attention is False else "true"
    context = str(load.num_ctx * load.parallel)
    command = [str(parser), str(file), context, str(load.parallel), load.kv_cache_type, flash]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return int(ran.stdout) / MIB if ran.returncode == 0 else None


def compare_published(program: Path, parser: Path | None) -> Iterator[Compared]:
    """Each published shape, as Q4_K_M, with each of its loads; what llama.cpp aborts on is told as that."""
    with oracle(program) as asked:
        file = asked.folder / "model.gguf"
        for one in published():
            model = one.model(asked, "Q4_K_M")
            model.write(file)
            for load in one.loads:
                try:
                    yield compared(asked, parser, model, file, load)
                except EngineError as error:
                    yield Compared(model.architecture, one.name, model.mix, str(load), f"llama.cpp aborts: {error}")


def drawn(seed: str, shapes: int, architectures: Sequence[str]) -> list[tuple[str, str]]:
    """Each architecture in turn, the first ones once more where the shapes are not a multiple."""
    return [
        (architectures[number % len(architectures)], f"{seed}.{number // len(architectures)}")
        for number in range(shapes)
    ]


def run(
    program: Path, parser: Path | None, wanted: Sequence[tuple[str, str]], jobs: int, report: Report
) -> list[Compared]:
    """In parts of 100 shapes, side by side. Raises EngineError."""
    rest = iter(wanted)
    parts = list(iter(lambda: list(islice(rest, 100)), []))
    found: list[Compared] = []
    with ProcessPoolExecutor(jobs) as pool:
        for part in pool.map(_run_part, [program] * len(parts), [parser] * len(parts), parts):
            found += part
            report(f"{len(found)} of {len(wanted)} shapes, {sum(not one.holds for one in found)} missed")
    return found


def _run_part(program: Path, parser: Path | None, part: list[tuple[str, str]]) -> list[Compared]:
    """The peer looks at every tenth, as a process each is slow."""
    with oracle(program) as asked:
        return [one_shape(asked, parser if number % PEER_EVERY == 0 else None, *one) for number, one in enumerate(part)]


SEED, SHAPES = "bench", 660


def measure(_engines: Engines, report: Report) -> list[Result]:
    """Five shapes of each architecture: two minutes."""
    program, parser = find_or_build_fit_params(report), gguf_parser(report)
    found = run(program, parser, drawn(SEED, SHAPES, tuple(ARCHITECTURES)), 2, report)
    known = [one for one in found if one.is_known]
    missed = [one for one in known if not one.holds]
    architectures = len({one.architecture for one in known})
    what = f"shapes of which a part is off by more than 1 % and 4 MiB, of {len(known)}, {architectures} architectures"
    return [Result(what, len(missed), "", goal=0, detail=misses(missed[:1]))]


def table(found: Sequence[Compared]) -> str:
    """By architecture and part: how many hold, and the worst."""
    lines = [f"| architecture | shapes | {' | '.join(PARTS)} | worst |", "|---" * (len(PARTS) + 3) + "|"]
    for name in sorted({one.architecture for one in found if one.is_known}):
        its = [one for one in found if one.architecture == name]
        parts = [part for one in its for part in one.parts]
        cells = [name, str(len(its))]
        for what in PARTS:
            same = [part for part in parts if part.name == what]
            cells.append(f"{sum(part.holds for part in same)} of {len(same)}" if same else "")
        worst = max(parts, key=_badness, default=None)
        cells.append(f"{worst.off:+.1f} MiB of {worst.real:.0f}, {worst.name}" if worst and worst.off else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _badness(part: Part) -> float:
    """How far off, as a share of what is allowed."""
    return abs(part.off) / max(WITHIN_SHARE * part.real, WITHIN_MIB)


def misses(found: Sequence[Compared]) -> str:
    lines = []
    for one in found:
        if one.holds:
            continue
        off = ", ".join(f"{part.name} {part.ours:.1f} for {part.real:.1f} MiB" for part in one.parts if not part.holds)
        lines.append(f"- {one.architecture}, seed {one.seed}, {one.mix}, {one.load}: {one.note or off}")
    return "\n".join(lines)


def summary(found: Sequence[Compared]) -> str:
    """The totals beside those of the peers, and who is not known."""
    known = [one for one in found if one.is_known]
    lines = [f"- {sum(one.holds for one in known)} of {len(known)} loads hold in all parts, within 1 % or 4 MiB"]
    parts = [part for one in known for part in one.parts]
    for what in PARTS:
        same = [part for part in parts if part.name == what]
        lines.append(f"- {what}: {sum(part.holds for part in same)} of {len(same)}")
    refused = sum(one.note == "refused" for one in known)
    lines.append(f"- refused by llama.cpp and by us: {refused}")
    aborted = [f"{one.seed}, {one.load}" for one in known if one.note.startswith("llama.cpp aborts")]
    if aborted:
        lines.append(f"- llama.cpp itself aborts: {'; '.join(aborted)}")
    sized = [one for one in known if one.parts]
    for whose, figures in (
        ("ours", [(one.ours, one.total) for one in sized]),
        ("Ollama's prediction", [(one.by_ollama, one.total) for one in sized]),
        ("gguf-parser's", [(one.by_gguf_parser, one.total) for one in sized if one.by_gguf_parser is not None]),
    ):
        near = sum(abs(found - real) <= max(WITHIN_SHARE * real, WITHIN_MIB) for found, real in figures)
        lines.append(f"- the sum of the buffers, {whose}: {near} of {len(figures)} within 1 % or 4 MiB")
    unknown = sorted({one.architecture for one in found if not one.is_known})
    lines.append(f"- known: {len({one.architecture for one in known})} architectures")
    lines.append(f"- not known: {', '.join(unknown) or 'none'}")
    return "\n".join(lines)


def told(found: Sequence[Compared], arguments: str) -> str:
    """All as Markdown, with the command that has it again."""
    lines = [f"`python -m benchmarks.memory_dry_run {arguments}`", table(found), summary(found)]
    if missed := misses(found):
        lines.append(f"Misses:\n\n{missed}")
    return "\n\n".join(lines)


def as_json(one: Compared) -> dict[str, Any]:
    return {
        "architecture": one.architecture,
        "seed": one.seed,
        "weights": one.mix,
        "load": one.load,
        "note": one.note,
        "holds": one.holds,
        "parts": {part.name: {"ours": part.ours, "real": part.real} for part in one.parts},
        "total": {
            "real": one.total,
            "ours": one.ours,
            "ollama": one.by_ollama,
            "gguf_parser": one.by_gguf_parser,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_dry_run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", help="what draws the shapes; a fresh one, which is printed, where not given")
    parser.add_argument("--shapes", type=int, default=5000, metavar="N", help="how many; 5000 where not given")
    parser.add_argument("--architecture", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--published", action="store_true", help="the published shapes instead, of 71 known models")
    parser.add_argument("--no-peer", action="store_true", help="without gguf-parser")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="side by side; 2 where not given")
    parser.add_argument("--program", type=Path, metavar="FILE", help="llama-fit-params; else it is found or built")
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/memory.md too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    unknown = [name for name in given.architecture or () if name not in ARCHITECTURES]
    if unknown or given.shapes < 1 or given.jobs < 1:
        what = f"architecture {unknown[0]!r} is not one of llama.cpp's that are drawn" if unknown else ""
        print(f"error: {what or '--shapes and --jobs are 1 or more'}", file=sys.stderr)
        return 2
    seed = given.seed or str(SystemRandom().randrange(10**6))
    try:
        program = given.program or find_or_build_fit_params(report)
        peer = None if given.no_peer else gguf_parser(report)
        if given.published:
            found = list(compare_published(program, peer))
        else:
            wanted = drawn(seed, given.shapes, given.architecture or tuple(ARCHITECTURES))
            found = run(program, peer, wanted, given.jobs, report)
    except (ToolchainError, EngineError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 2
    name = "published" if given.published else "dry-run"
    text = told(found, "--published" if given.published else f"--seed {seed} --shapes {given.shapes}")
    print(text)
    if given.docs:
        write_table(name, text)
    if given.json:
        given.json.write_text(json.dumps([as_json(one) for one in found], indent=1) + "\n")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
