"""How exact the estimates for Ollama before 0.30 are: ours, Ollama's own and gguf-parser's, beside runners of 0.17.4.

`python -m benchmarks.memory_accuracy [--held-out SEED | --repeated] [--quick] [--json FILE] [--from FILE]`: models of
every supported architecture, over contexts, requests at once and types of KV cache, each loaded on a real Ollama: those
that the constants were fitted on, others that a seed draws, or long prompts again and again. The real figure is the
most that was resident of the runner's process when its contexts were filled; with contexts too long to be filled in
minutes, what is resident after the load. Where long prompts leave more or fewer masks, ours is a span. Exit status 1
where ours is off by more than 5 % and by more than 32 MiB, 2 where not all was measured. Half an hour, a quarter for a
seed; `--from` judges what an earlier run measured anew, in seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.measuring import Report, Result
from benchmarks.memory_cases import ARCHITECTURES, Case, fitted, held_out, repeated
from benchmarks.peers import gguf_parser
from ollama_provider.ollama.memory import Estimate, estimate
from ollama_provider.ollama.sizes import MIB
from tests.engines import runner_memory
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.ollama_server import OllamaServer
from tests.engines.recipes import OLLAMA_BEFORE_0_30
from tests.engines.runner_memory import Measured
from tests.engines.tiny_architectures import write_architecture
from tests.engines.toolchain import Engines, find_or_build_ollama

SEED = 7
WITHIN_SHARE, WITHIN_BYTES = 0.05, 32 * 2**20
VERSION: Final = (0, 17, 4)
_TOKENS, _TOKENIZER = "tokenizer.ggml.", "tokenizer.ggml.model"


@dataclass(frozen=True)
class Compared:
    """Bytes. `metadata` and `weights_bytes` are what the estimate was made of."""

    case: Case
    metadata: Mapping[str, Any]
    weights_bytes: int
    measured: Measured
    estimate: Estimate
    gguf_parser: int

    @property
    def real(self) -> int:
        return self.measured.at_load if self.measured.peak is None else self.measured.peak

    @property
    def span(self) -> tuple[int, int]:
        """Ours, the least and the most: apart where it depends on chance how many masks long prompts leave."""
        if self.measured.peak is None:
            return self.estimate.at_load, self.estimate.at_load
        return self.estimate.total - self.estimate.long_prompts, self.estimate.total

    @property
    def is_span(self) -> bool:
        return self.span[0] < self.span[1]

    @property
    def ours(self) -> int:
        """What of the span is the nearest to the real figure."""
        least, most = self.span
        return min(max(self.real, least), most)

    @property
    def cache(self) -> int:
        """As the log has it: with the states of recurrent layers."""
        return self.estimate.kv_cache + self.estimate.recurrent

    @property
    def holds(self) -> bool:
        return is_near(self.ours, self.real) and is_near(self.estimate.listed_by_ollama, self.measured.said_by_ollama)


def is_near(found: int, real: int) -> bool:
    return abs(found - real) <= max(WITHIN_SHARE * real, WITHIN_BYTES)


def compare(ollama: Path, parser: Path | None, wanted: Sequence[Case], report: Report) -> Iterator[Compared]:
    """One after the other; those that want the same server share it where they follow each other."""
    with TemporaryDirectory(prefix="ollama-iac-memory-") as folder:
        for number, (environment, cases) in enumerate(groupby(wanted, lambda case: case.server)):
            home = Path(folder) / str(number)
            with OllamaServer(ollama, home, environment) as server:
                for case in cases:
                    report(f"{case.model.what}, {case}")
                    yield _compared(server, home, parser, case)
            shutil.rmtree(home)


def _compared(server: OllamaServer, folder: Path, parser: Path | None, case: Case) -> Compared:
    name, file = "measured", folder / "model.gguf"
    write_architecture(file, case.model.architecture, case.model.shape)
    server.create_from_gguf(name, file)
    shown = server.call("POST", "/api/show", {"model": name, "verbose": True}).json()["model_info"]
    peer = _peers_figure(parser, file, case) if parser else 0
    weights_bytes = file.stat().st_size
    file.unlink()
    measured = runner_memory.measure(
        server,
        name,
        num_ctx=case.num_ctx,
        parallel=case.parallel,
        embeds=case.model.embeds,
        fills=case.fills,
    )
    server.call("DELETE", "/api/delete", {"model": name})
    metadata = {key: value for key, value in shown.items() if key == _TOKENIZER or not key.startswith(_TOKENS)}
    return Compared(case, metadata, weights_bytes, measured, _estimate(case, metadata, weights_bytes), peer)


def _estimate(case: Case, metadata: Mapping[str, Any], weights_bytes: int) -> Estimate:
    return estimate(
        metadata,
        weights_bytes=weights_bytes,
        num_ctx=case.num_ctx,
        parallel=case.parallel,
        kv_cache_type=case.kv_cache_type,
        flash_attention=case.flash_attention,
        version=VERSION,
    )


def measured_before(file: Path, wanted: Iterable[Case]) -> Iterator[Compared]:
    """What `--json` wrote of the wanted cases, with the estimates of now. Raises ValueError, OSError."""
    before = {(one["model"], one["load"]): one for one in json.loads(file.read_text())}
    for case in wanted:
        if one := before.get((case.model.what, str(case))):
            metadata, weights_bytes = one["metadata"], one["weights_bytes"]
            found = _estimate(case, metadata, weights_bytes)
            yield Compared(case, metadata, weights_bytes, Measured(**one["measured"]), found, one["gguf_parser"])


def _peers_figure(parser: Path, file: Path, case: Case) -> int:
    """Its context is that of all requests together; a context longer than the trained one is the caller's to cut."""
    context = min(case.num_ctx, case.model.shape.context_length) * case.parallel
    flash = "false" if case.flash_attention is False else "true"
    command = [str(parser), str(file), str(context), str(case.parallel), case.kv_cache_type, flash]
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
        ollama, predicted = one.measured.said_by_ollama, one.estimate.listed_by_ollama
        cells = (
            case.model.what,
            str(case),
            f"{real / MIB:.1f}{'' if case.fills else ' at load'}",
            " to ".join(f"{bound / MIB:.1f}" for bound in dict.fromkeys(one.span)),
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
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-out", type=int, metavar="SEED", help="models and loads drawn by this, not those fitted")
    which.add_argument("--repeated", action="store_true", help="long prompts, twelve of each request")
    parser.add_argument("--cases", type=int, default=44, metavar="N", help="how many are drawn; 44, where not given")
    parser.add_argument("--architecture", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--from", dest="before", type=Path, metavar="FILE", help="what --json wrote; nothing is run")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    if given.repeated:
        wanted = list(repeated())
    elif given.held_out is not None:
        wanted = list(held_out(given.held_out, given.cases))
    else:
        wanted = list(fitted(quick=given.quick))
    if given.architecture:
        wanted = [case for case in wanted if case.model.architecture in given.architecture]
    found: list[Compared] = []
    is_whole = False
    try:
        if given.before:
            found += measured_before(given.before, wanted)
        else:
            ollama, peer = find_or_build_ollama(report, OLLAMA_BEFORE_0_30).program, gguf_parser(report)
            for one in compare(ollama, peer, wanted, report):
                found.append(one)
                report(rows([one]).splitlines()[-1])
        is_whole = len(found) == len(wanted)
    except (ToolchainError, EngineError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    if not found:
        print("nothing was measured", file=sys.stderr)
        return 2
    print(rows(found))
    print(f"\n{groups(found)}\n\n{summary(found)}")
    if given.json:
        given.json.write_text(json.dumps([as_json(one) for one in found], indent=1) + "\n")
    return 2 if not is_whole else 0 if all(one.holds for one in found) else 1


FIGURES: Mapping[str, Callable[[Compared], int]] = {
    "ours": lambda one: one.ours,
    "Ollama's": lambda one: one.measured.said_by_ollama,
    "gguf-parser's": lambda one: one.gguf_parser,
}


def measure(_engines: Engines, report: Report) -> list[Result]:
    """Of each architecture one that the seed draws, after the load: a minute or two."""
    ollama = find_or_build_ollama(report, OLLAMA_BEFORE_0_30).program
    wanted = [case for case in held_out(SEED, 2 * len(ARCHITECTURES)) if not case.fills]
    found = list(compare(ollama, gguf_parser(report), wanted, report))
    return [
        Result(
            f"{whose} off by more than 5 % and 32 MiB, of {len(found)}",
            len(found) - near,
            "",
            goal=0 if whose == "ours" else None,
            detail=off,
        )
        for whose, near, off in judged(found)
    ]


def judged(found: Sequence[Compared]) -> Iterator[tuple[str, int, str]]:
    """Whose figures, how many of them are within 5 % or 32 MiB of the real ones, and how far off they are.

    In the middle of those where ours is one figure: a span would count as exact.
    """
    single = [one for one in found if not one.is_span]
    for whose, figure in FIGURES.items():
        near = sum(is_near(figure(one), one.real) for one in found)
        middle = median(abs(figure(one) / one.real - 1) for one in single) if single else None
        off = "" if middle is None else f"off by {middle:.1%} in the middle, "
        worst = max(found, key=lambda one: abs(figure(one) / one.real - 1))
        off += f"at worst by {_off(figure(worst), worst.real)} MiB in {worst.case.model.what}, {worst.case}"
        yield whose, near, off


def summary(found: Sequence[Compared]) -> str:
    lines = [
        f"{whose}: {near} of {len(found)} within 5 % or 32 MiB of the real figure; {off}"
        for whose, near, off in judged(found)
    ]
    foretold = sum(is_near(one.estimate.listed_by_ollama, one.measured.said_by_ollama) for one in found)
    lines.append(f"Ollama's, as ours foretells it: {foretold} of {len(found)} within 5 % or 32 MiB of what it says")
    spans = [one for one in found if one.is_span]
    if spans:
        widths = sorted((most - least) / MIB for least, most in (one.span for one in spans))
        bounded = sum(one.real <= one.span[1] for one in spans)
        near = sum(is_near(one.span[1], one.real) for one in spans)
        lines.append(
            f"ours is one figure in {len(found) - len(spans)}, a span in {len(spans)}, {widths[0]:.0f} to "
            f"{widths[-1]:.0f} MiB wide: the real figure is at most its upper end in {bounded}, and near that in {near}"
        )
    return "\n".join(lines)


def groups(found: Sequence[Compared]) -> str:
    """How many of each architecture, and of each type of weights, are within 5 % or 32 MiB."""
    lines = [f"| of | cases | {' | '.join(FIGURES)} |", "|---|---|---|---|---|"]
    kinds: tuple[Callable[[Compared], str], ...] = (
        lambda one: one.case.model.architecture,
        lambda one: one.case.model.shape.weights,
    )
    for name_of in kinds:
        for name in dict.fromkeys(map(name_of, found)):
            its = [one for one in found if name_of(one) == name]
            lines.append(f"| {name} | {len(its)} | {' | '.join(str(near) for _, near, _ in judged(its))} |")
    return "\n".join(lines)


def as_json(one: Compared) -> dict[str, Any]:
    case = one.case
    return {
        "model": case.model.what,
        "architecture": case.model.architecture,
        "load": str(case),
        "metadata": one.metadata,
        "weights_bytes": one.weights_bytes,
        "measured": asdict(one.measured),
        "ours": one.estimate._asdict() | {"at_load": one.estimate.at_load, "total": one.estimate.total},
        "gguf_parser": one.gguf_parser,
        "holds": one.holds,
    }


if __name__ == "__main__":
    sys.exit(main())
