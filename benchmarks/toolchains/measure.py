"""The turns of all tool chains, interleaved, and whether they compute the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple

from benchmarks import peers
from benchmarks.measuring import Report, Result, server_in_folder
from benchmarks.toolchains.chains import LibraryChain, OllamaChain, ToolChain
from benchmarks.toolchains.figures import TOLERANCE, Figures, Turn, figures_of, furthest, table
from benchmarks.toolchains.model import prompt, tokens_of, write_model
from tests.engines.toolchain import Engines

TURNS, CALLS, TOKENS, PROMPT, PROMPTS = 3, 20, 32, 128, 8
_SETTLE_SECONDS = 0.2
_SAMPLE_SECONDS = 0.002


def measure(engines: Engines, report: Report) -> list[Result]:
    ollama = peers.native_ollama(report)
    torch, tensorflow = peers.torch(report), peers.tensorflow(report)
    with server_in_folder(replace(engines, ollama=ollama)) as (server, folder):
        server.stop()
        gguf = folder / "compared.gguf"
        weights = write_model(gguf)
        chains: list[ToolChain] = [
            OllamaChain(server, gguf),
            LibraryChain("PyTorch", "torch", torch, weights, folder / "torch.log"),
            LibraryChain("TensorFlow", "tensorflow", tensorflow, weights, folder / "tensorflow.log"),
        ]
        apart = compared(chains, report)
        turns: dict[str, list[Turn]] = {chain.name: [] for chain in chains}
        for number in range(TURNS):
            for chain in chains[:: -1 if number % 2 else 1]:
                report(f"{chain.name}, {number + 1} of {TURNS}")
                turns[chain.name].append(one_turn(chain))
    figures = {f"{chain.name} {chain.version}": figures_of(turns[chain.name]) for chain in chains}
    for line in table(figures):
        report(line)
    return [*map(_result, figures.items()), *_apart(apart)]


class Apart(NamedTuple):
    """How far a tool chain is from the first: nats, and how many of its greedy answers differ.

    `gap` is how far apart the two tokens are, in nats, where answers part: two that are nearly as likely are no other
    model.
    """

    nats: float
    answers: int
    gap: float


def compared(chains: Sequence[ToolChain], report: Report) -> Mapping[str, Apart]:
    """Each but the first. Raises EngineError where a likeliest token is another."""
    first, *others = chains
    prompts = [prompt(number, PROMPT) for number in range(PROMPTS)]
    with started(first):
        told = [first.logarithms(one) for one in prompts]
        texts = [first.call(one, TOKENS).text for one in prompts]
    apart = {}
    for chain in others:
        with started(chain):
            nats = max(furthest(expected, chain.logarithms(one)) for expected, one in zip(told, prompts, strict=True))
            gaps = [
                gap(chain, one, expected, answer)
                for one, expected in zip(prompts, texts, strict=True)
                if (answer := chain.call(one, TOKENS).text) != expected
            ]
        apart[chain.name] = Apart(nats, len(gaps), max(gaps, default=0.0))
        report(f"{chain.name}: {nats:.4f} nats from {first.name} at most, {len(gaps)} of {PROMPTS} answers differ")
    return apart


def gap(chain: ToolChain, asked: str, expected: str, answer: str) -> float:
    """Between the two tokens at which the answers part, by the chain that gave `answer`."""
    parts = next(number for number, pair in enumerate(zip(expected, answer, strict=True)) if pair[0] != pair[1])
    told = chain.logarithms(asked + answer[:parts])
    chosen, other = (tokens_of(text[parts])[-1] for text in (answer, expected))
    return told[chosen] - told[other]


@contextmanager
def started(chain: ToolChain) -> Iterator[None]:
    with ExitStack() as cleanup:
        cleanup.callback(chain.stop)
        chain.start()
        chain.load()
        yield


def one_turn(chain: ToolChain) -> Turn:
    with ExitStack() as cleanup:
        cleanup.callback(chain.stop)
        chain.start()
        before = settled(chain)
        began = time.perf_counter()
        chain.load()
        load_seconds = time.perf_counter() - began
        chain.call(prompt(0, PROMPT), 2)  # which allocates what is allocated once
        held, allocated, prompts, rates = [settled(chain)], [], [], []
        for number in range(1, CALLS + 1):
            with highest(chain) as peak:
                answer = chain.call(prompt(number, PROMPT), TOKENS)
            held.append(settled(chain))
            allocated.append(max(peak[0] - held[-2], 0))
            prompts.append(answer.prompt_tokens / answer.prompt_seconds)
            rates.append((TOKENS - 1) / answer.seconds)
        chain.release()
        released = settled(chain)
        trimmed = settled(chain) if chain.trim() else None
    return Turn(load_seconds, before, held, allocated, released, trimmed, sum(prompts) / CALLS, sum(rates) / CALLS)


def settled(chain: ToolChain) -> int:
    time.sleep(_SETTLE_SECONDS)
    memory = chain.memory()
    return memory.server + memory.runners


@contextmanager
def highest(chain: ToolChain) -> Iterator[list[int]]:
    """The most that is resident while the block runs, as far as looks every 2 ms see it."""
    peak, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            memory = chain.memory()
            peak[0] = max(peak[0], memory.server + memory.runners)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield peak
    finally:
        ended.set()
        looking.join()


def _result(named: tuple[str, Figures]) -> Result:
    name, one = named
    detail = (
        f"load {one.load_seconds:.2f} s, model {one.model / 2**20:.0f} MiB, m {one.allocated / 2**20:.1f} MiB, "
        f"M {one.total / 2**20:+.1f} MiB over {one.calls} calls, release gives back {one.given_back:.0%}"
    )
    return Result(f"{name}, answer on one thread", one.rate, "tokens/s", detail=detail)


def _apart(apart: Mapping[str, Apart]) -> Iterator[Result]:
    for name, one in apart.items():
        yield Result(f"{name} from Ollama, logarithm of a probability", one.nats, "nats", goal=TOLERANCE)
        detail = f"{one.answers} of {PROMPTS} greedy answers of {TOKENS} tokens differ somewhere"
        yield Result(f"{name}, the tokens where its answer parts", one.gap, "nats", goal=2 * TOLERANCE, detail=detail)
