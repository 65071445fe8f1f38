"""How exact the estimate for llama-server is, against the process itself on a real Ollama.

`python -m benchmarks.memory_process --seed S [--processes N] [--architecture NAME] [--json FILE] [--from FILE]`: small
models, each of another architecture, are drawn by the seed, made, loaded on Ollama with a load that is drawn too, and
asked one prompt that fills their context, with LLAMA_ARG_CACHE_RAM=0. The estimate holds where it is within 2 % or 16
MiB of the process's proportional set size, swapped pages counted, and right after the load is no less than that is
then. Exit status 0 where all hold, 1 where one does not, 2 where not all was measured. Ten minutes for 40; `--from`
judges what an earlier run measured anew, in seconds.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from random import Random, SystemRandom
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.measuring import Report, Result
from benchmarks.memory_architectures import ARCHITECTURES, SMALL, Value
from benchmarks.memory_oracle import KV_CACHE_TYPES, ONE_REQUEST, Load, Model, Oracle, oracle
from benchmarks.memory_tables import write_table
from ollama_provider.ollama.memory import Estimate, Tensor, UnknownArchitectureError, estimate
from ollama_provider.ollama.sizes import MIB
from tests.engines import runner_memory
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.ollama_server import OllamaServer
from tests.engines.runner_memory import Measured
from tests.engines.toolchain import Engines, find_or_build_fit_params, find_or_build_ollama
from tests.engines.vocabularies import byte_pairs, sentence_pieces, word_pieces

WITHIN_SHARE, WITHIN_BYTES = 0.02, 16 * MIB
_WEIGHTS = (24 * MIB, 384 * MIB)
_MOST_CACHE = 512 * MIB
_MOST_PRODUCTS = 3 * 10**10  # seconds, for one thread without the wider instructions
_TRIES, _TRIES_OF_A_CONTEXT, _SERVED_TRIES = 240, 60, 3
# Diffusion models, on which llama-server aborts, at the load or at the first prompt.
NOT_SERVED: Final = frozenset({"dream", "llada", "llada-moe", "rnd1"})
_EXPERTS: Final = ("expert_used_count", "expert_count")
_CONTEXTS: Final = (512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Compared:
    """`estimate` is None where `note` says that the architecture is not known, `measured` where Ollama fails."""

    architecture: str
    seed: str
    mix: str
    load: str
    note: str
    weights_bytes: int = 0
    estimate: Estimate | None = None
    measured: Measured | None = None

    @property
    def real(self) -> int:
        assert self.measured is not None and self.measured.proportional is not None
        return self.measured.proportional

    @property
    def off(self) -> int:
        assert self.estimate is not None
        return self.estimate.total - self.real

    @property
    def over_load(self) -> int:
        """How much more ours is than the process has right after the load."""
        assert self.estimate is not None and self.measured is not None
        return self.estimate.at_load - self.measured.proportional_at_load

    @property
    def holds(self) -> bool:
        return self.estimate is None or (
            abs(self.off) <= max(WITHIN_SHARE * self.real, WITHIN_BYTES) and self.over_load >= 0
        )


def compare(ollama: Path, asked: Oracle, wanted: Sequence[tuple[str, str]], report: Report) -> Iterator[Compared]:
    """Each on a server of its own, as the type of the cache and the number of requests are a server's.

    Where llama-server aborts on a shape that the dry run takes, another is drawn; after three, that is the result.
    """
    with TemporaryDirectory(prefix="ollama-iac-memory-") as folder:
        for number, (architecture, seed) in enumerate(wanted):
            drawn_after = -1
            for again in range(_SERVED_TRIES):
                model, load, drawn_after = small_model(asked, architecture, seed, drawn_after + 1)
                report(f"{number + 1} of {len(wanted)}: {architecture}, seed {model.seed}, {model.mix}, {load}")
                found = compared(ollama, Path(folder) / f"{number}.{again}", model, load)
                if found.measured is not None:
                    break
                report(found.note)
            yield found


def compared(ollama: Path, folder: Path, model: Model, load: Load) -> Compared:
    """Raises EngineError where the measurement itself fails."""
    folder.mkdir()
    file = folder / "model.gguf"
    weights_bytes = model.write(file)
    with OllamaServer(ollama, folder / "ollama", environment(load)) as server:
        server.create_from_gguf("measured", file)
        file.unlink()
        try:
            measured = runner_memory.measure(
                server,
                "measured",
                num_ctx=load.num_ctx,
                parallel=load.parallel,
                embeds=load.embeds,
                fills=1,
            )
        except EngineError as error:
            aborted = re.search(r"GGML_ASSERT\([^)]*\)", str(error).replace("\\u003c", "<"))
            note = f"not served: {aborted[0] if aborted else str(error)[:120]}"
            return Compared(model.architecture, model.seed, model.mix, str(load), note, weights_bytes)
    return judged(model, load, weights_bytes, measured)


def judged(model: Model, load: Load, weights_bytes: int, measured: Measured) -> Compared:
    note, ours = "", None
    try:
        ours = estimated(model, weights_bytes, load)
    except UnknownArchitectureError:
        note = "not known"
    return Compared(model.architecture, model.seed, model.mix, str(load), note, weights_bytes, ours, measured)


def measured_before(file: Path, asked: Oracle) -> Iterator[Compared]:
    """What `--json` wrote, with the estimates of now. Raises ValueError, OSError, and EngineError."""
    for one in json.loads(file.read_text()):
        model = _with_vocabulary(asked.model(one["architecture"], one["seed"], SMALL), one["seed"])
        load = _draw_load(model, one["seed"], int(one["load"].split()[0]))
        if one["measured"] is None:
            note, weights_bytes = one["note"], one["weights_bytes"]
            yield Compared(model.architecture, model.seed, model.mix, str(load), note, weights_bytes)
        elif (str(load), model.mix) != (one["load"], one["weights"]):
            raise ValueError(f"{file}: {one['architecture']}, seed {one['seed']} is drawn in another way today")
        else:
            yield judged(model, load, one["weights_bytes"], Measured(**one["measured"]))


def environment(load: Load) -> dict[str, str]:
    variables = {
        "OLLAMA_NUM_PARALLEL": str(load.parallel),
        "OLLAMA_KV_CACHE_TYPE": load.kv_cache_type,
        "LLAMA_ARG_CACHE_RAM": "0",
    }
    if load.flash_attention is not None:
        variables["OLLAMA_FLASH_ATTENTION"] = str(int(load.flash_attention))
    return variables


def estimated(model: Model, weights_bytes: int, load: Load) -> Estimate:
    return estimate(
        model.metadata,
        weights_bytes=weights_bytes,
        num_ctx=load.num_ctx,
        parallel=load.parallel,
        kv_cache_type=load.kv_cache_type,
        flash_attention=load.flash_attention,
        prompt_cache_bytes=0,
        tensors=[Tensor(name, shape, model.kinds[name].name) for name, shape in model.tensors.items()],
    )


def small_model(asked: Oracle, architecture: str, seed: str, first: int = 0) -> tuple[Model, Load, int]:
    """One with a vocabulary, of a size to be loaded and filled in seconds, and which of the draws it is.

    Raises EngineError where none is found.
    """
    last = "all are too large"
    num_ctx = Random(f"context {architecture} {seed}").choice(_CONTEXTS)
    for turn in range(first, first + _TRIES):
        if turn % _TRIES_OF_A_CONTEXT == _TRIES_OF_A_CONTEXT - 1:
            num_ctx = max(_CONTEXTS[0], num_ctx // 2)  # where hardly any shape is small enough for so long a one
        its = seed if not turn else f"{seed}.{turn}"
        try:
            model = asked.model(architecture, its, SMALL)
            load = _draw_load(model, its, num_ctx)
            if not _is_small(model, load):
                continue
            model = _with_vocabulary(model, its)
            model.write(asked.folder / "small.gguf")
            asked.dry_run(asked.folder / "small.gguf", load)
        except EngineError as error:
            last = str(error)
            continue
        return model, load, turn
    raise EngineError(f"{architecture}, seed {seed}: no small model of {_TRIES} will do, the last because {last}")


def _with_vocabulary(model: Model, seed: str) -> Model:
    size = model.metadata[f"{model.architecture}.vocab_size"]
    assert isinstance(size, int)
    if "tokenizer.ggml.token_type_count" in model.metadata:
        vocabulary = word_pieces(size)
    else:
        vocabulary = Random(f"vocabulary {seed}").choice((sentence_pieces, byte_pairs))(size)
    metadata: dict[str, Value] = {**model.metadata, **vocabulary.metadata()}
    return Model(model.architecture, model.seed, model.mix, metadata, model.tensors, model.kinds)


def _draw_load(model: Model, seed: str, num_ctx: int) -> Load:
    random = Random(f"small load {model.architecture} {seed}")
    trained = model.metadata[f"{model.architecture}.context_length"]
    assert isinstance(trained, int)
    embeds = f"{model.architecture}.pooling_type" in model.metadata
    kv_cache_type = random.choice(KV_CACHE_TYPES)
    return Load(
        min(trained, num_ctx),
        1 if embeds or model.architecture in ONE_REQUEST else random.choice((1, 1, 2, 4)),
        kv_cache_type,
        random.choice((None, None, None, True, False if kv_cache_type == "f16" else None)),
        embeds,
    )


def _is_small(model: Model, load: Load) -> bool:
    elements = {name: prod(dimensions) for name, dimensions in model.tensors.items()}
    used, count = (model.metadata.get(f"{model.architecture}.{key}", 1) for key in _EXPERTS)
    heads = model.metadata.get(f"{model.architecture}.attention.head_count", 1)
    layers, width = (model.metadata[f"{model.architecture}.{key}"] for key in ("block_count", "embedding_length"))
    assert isinstance(used, int) and isinstance(count, int) and isinstance(heads, int)
    assert isinstance(layers, int) and isinstance(width, int)
    active = sum(
        number * used // count if "_exps." in name else number
        for name, number in elements.items()
        if not name.startswith("token_embd")
    )
    tokens = load.num_ctx * load.parallel
    products = tokens * (active + layers * load.num_ctx * max(width, 128 * heads))
    cache = 4 * layers * tokens * max(width, 128 * heads)
    is_sized = _WEIGHTS[0] <= model.weights_bytes <= _WEIGHTS[1]
    return is_sized and cache <= _MOST_CACHE and products <= _MOST_PRODUCTS


def drawn(seed: str, count: int, architectures: Sequence[str]) -> list[tuple[str, str]]:
    """So many, no architecture twice before each was drawn once."""
    order: list[tuple[str, str]] = []
    turn = 0
    while len(order) < count:
        left = list(architectures)
        Random(f"order {seed} {turn}").shuffle(left)
        order += [(name, f"{seed}.{turn}") for name in left]
        turn += 1
    return order[:count]


SEED, PROCESSES = "bench", 12


def measure(engines: Engines, report: Report) -> list[Result]:
    """Three minutes."""
    with oracle(find_or_build_fit_params(report)) as asked:
        found = list(compare(engines.ollama, asked, drawn(SEED, PROCESSES, tuple(ARCHITECTURES)), report))
    measured = [one for one in found if one.estimate is not None]
    missed = [one for one in measured if not one.holds]
    what = f"processes that are off by more than 2 % and 16 MiB, or above ours at the load, of {len(measured)}"
    return [Result(what, len(missed), "", goal=0, detail=", ".join(one.architecture for one in missed))]


def rows(found: Sequence[Compared]) -> str:
    """MiB."""
    lines = ["| architecture | load | real | ours | off | at load | ours | off |", "|---" * 8 + "|"]
    for one in found:
        if one.measured is None:
            lines.append(f"| {one.architecture} | {one.mix}, {one.load} | {one.note} | | | | | |")
            continue
        if one.estimate is None:
            real, at_load = one.real / MIB, one.measured.proportional_at_load / MIB
            lines.append(
                f"| {one.architecture} | {one.mix}, {one.load} | {real:.1f} | {one.note} | | {at_load:.1f} | | |"
            )
            continue
        at_load = one.measured.proportional_at_load
        cells = (
            one.architecture,
            f"{one.mix}, {one.load}",
            f"{one.real / MIB:.1f}",
            f"{one.estimate.total / MIB:.1f}",
            f"{one.off / MIB:+.1f} ({one.off / one.real:+.1%})",
            f"{at_load / MIB:.1f}",
            f"{one.estimate.at_load / MIB:.1f}",
            f"{one.over_load / MIB:+.1f}",
        )
        lines.append(f"| {' | '.join(cells if one.holds else ('**' + cells[0] + '**', *cells[1:]))} |")
    return "\n".join(lines)


def summary(found: Sequence[Compared]) -> str:
    measured = [one for one in found if one.estimate is not None]
    filled = sum(abs(one.off) <= max(WITHIN_SHARE * one.real, WITHIN_BYTES) for one in measured)
    bounded = sum(one.over_load >= 0 for one in measured)
    architectures = len({one.architecture for one in measured})
    lines = [
        f"- {architectures} architectures, {len(measured)} processes",
        f"- contexts filled: {filled} of {len(measured)} within 2 % or 16 MiB",
        f"- right after the load: {bounded} of {len(measured)} are no more than ours",
    ]
    if measured:
        worst = max(measured, key=lambda one: abs(one.off))
        off = f"{worst.off / MIB:+.1f} of {worst.real / MIB:.1f} MiB"
        lines.append(f"- the worst is {worst.architecture}, seed {worst.seed}: {off}")
    notes = [f"- {one.architecture}, seed {one.seed}: {one.note}" for one in found if one.note]
    return "\n".join([*lines, *notes])


def as_json(one: Compared) -> dict[str, Any]:
    return {
        "architecture": one.architecture,
        "seed": one.seed,
        "weights": one.mix,
        "load": one.load,
        "note": one.note,
        "holds": one.holds,
        "weights_bytes": one.weights_bytes,
        "measured": asdict(one.measured) if one.measured else None,
        "ours": (one.estimate._asdict() | {"at_load": one.estimate.at_load, "total": one.estimate.total})
        if one.estimate
        else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory_process",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", help="what draws the models; a fresh one, which is printed, where not given")
    parser.add_argument("--processes", type=int, default=40, metavar="N", help="how many; 40 where not given")
    parser.add_argument("--architecture", action="append", metavar="NAME", help="only this one; may be given again")
    parser.add_argument("--program", type=Path, metavar="FILE", help="llama-fit-params; else it is found or built")
    parser.add_argument("--from", dest="before", type=Path, metavar="FILE", help="what --json wrote; nothing is run")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/memory.md too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    unknown = [name for name in given.architecture or () if name not in ARCHITECTURES]
    if unknown or given.processes < 1:
        what = f"architecture {unknown[0]!r} is not one of llama.cpp's that are drawn" if unknown else ""
        print(f"error: {what or '--processes is 1 or more'}", file=sys.stderr)
        return 2
    seed = given.seed or str(SystemRandom().randrange(10**6))
    wanted = drawn(seed, given.processes, given.architecture or tuple(ARCHITECTURES))
    found: list[Compared] = []
    is_whole = False
    try:
        with oracle(given.program or find_or_build_fit_params(report)) as asked:
            if given.before:
                found += measured_before(given.before, asked)
            else:
                for one in compare(find_or_build_ollama(report).program, asked, wanted, report):
                    found.append(one)
                    report(rows([one]).splitlines()[-1])
        is_whole = True
    except (ToolchainError, EngineError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    command = f"`python -m benchmarks.memory_process --seed {seed} --processes {given.processes}`"
    text = "\n\n".join((str(given.before or command), rows(found), summary(found)))
    print(text)
    if given.docs and is_whole:
        write_table("process", text)
    if given.json:
        given.json.write_text(json.dumps([as_json(one) for one in found], indent=1) + "\n")
    return 2 if not is_whole else 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
