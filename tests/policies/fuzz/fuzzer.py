"""The loop: take an input, change it, look whether all that must hold does; keep what was new."""

from __future__ import annotations

import base64
import json
import time
import traceback
from dataclasses import dataclass, field
from random import Random

from ollama_policy.sources import Registered
from tests.policies.fuzz.invariants import Signature, check_pipeline, read
from tests.policies.fuzz.mutations import mutated
from tests.policies.fuzz.seeds import Tree, generated, name_of, seeds_of
from tests.policies.processor_time import limited

MOST_SECONDS = 12.0  # of processor time for one input: more is a hang
_MOST_KEPT = 4000
_PIPELINE_OF = 10  # of so many inputs that a source found something in, one goes through everything


class TooLongError(BaseException):
    """An input took more than MOST_SECONDS. No `Exception`, which the pipeline is right to survive."""


@dataclass(frozen=True)
class Crash:
    """What broke, with all that it takes to see it again."""

    source: str
    error: str
    tree: Tree
    trace: str

    def __str__(self) -> str:
        files = {path: base64.b64encode(data).decode() for path, data in self.tree.items()}
        return f"--- {self.source}: {self.error}\n{self.trace}\nfiles, in base64: {json.dumps(files)}"


@dataclass
class Fuzzer:
    """One source's inputs. The same seed gives the same inputs, where no time limit comes between."""

    source: Registered
    random: Random
    most_seeds: int = 10_000
    executions: int = 0
    pipelines: int = 0
    crashes: dict[str, Crash] = field(default_factory=dict)
    _corpus: list[Tree] = field(default_factory=list)
    _seen: set[Signature] = field(default_factory=set)

    def __post_init__(self) -> None:
        seeds = seeds_of(self.source, self.random)
        for tree in self.random.sample(seeds, min(len(seeds), self.most_seeds)):
            before = self.executions
            self.execute(tree, is_whole=True)
            if self.executions > before:
                self._corpus.append(tree)

    def run(self, seconds: float, inputs: int | None = None) -> None:
        """For so long, or until so many inputs were read."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (inputs is None or self.executions < inputs):
            for _ in range(20):
                self.step()

    def step(self) -> None:
        self.execute(self._next())

    def _next(self) -> Tree:
        random = self.random
        if random.random() < 0.05:
            return generated(name_of(self.source), random)
        tree = random.choice(self._corpus)
        path = next(iter(tree))
        others = [*random.choice(self._corpus).values()]
        return {**tree, path: mutated(tree[path], others, random)}

    def execute(self, tree: Tree, *, is_whole: bool = False) -> None:
        try:
            with limited(MOST_SECONDS, TooLongError()):
                found = read(self.source, tree)
                if found is None:  # not the source's any more
                    return
                self.executions += 1
                subjects, signature = found
                is_new = signature not in self._seen
                if is_new:
                    self._seen.add(signature)
                    if len(self._corpus) < _MOST_KEPT and not is_whole:
                        self._corpus.append(tree)
                if is_whole or (subjects and (is_new or self.executions % _PIPELINE_OF == 0)):
                    self.pipelines += 1
                    check_pipeline(tree, with_unsafe=self.executions % 2 == 0)
        except KeyboardInterrupt:
            raise
        except (Exception, TooLongError) as error:  # noqa: BLE001 - finding these is what it is for
            self._keep(error, tree)

    def _keep(self, error: BaseException, tree: Tree) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}"
        text = f"{type(error).__name__}: {str(error)[:1500]}"
        key = f"{type(error).__name__} {place} {str(error)[:40]}" if not isinstance(error, TooLongError) else "too long"
        known = self.crashes.get(key)
        if known is None or sum(map(len, tree.values())) < sum(map(len, known.tree.values())):
            trace = "".join(traceback.format_list(frames[-6:]))
            self.crashes[key] = Crash(name_of(self.source), text, tree, trace)
