"""One tool chain in a process of its own: a line of JSON in, a line of JSON out, until the end of input.

`python -m benchmarks.toolchains.child torch`. It says its version first. `load` takes Weights, `call` and `logits` take
tokens. A failure ends it, with its trace on stderr.
"""

import ctypes
import gc
import json
import os
import sys
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.toolchains.weights import Weights


class Child:
    def __init__(self, name: str) -> None:
        self.library: Any = import_module(f"benchmarks.toolchains.{name}_llama")
        self.llama: Any = None

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, asked.pop("do"))(**asked)
        return answer

    def load(self, **weights: Any) -> dict[str, Any]:
        self.llama = self.library.Llama(Weights(**weights))
        return {}

    def call(self, tokens: list[int], count: int) -> dict[str, Any]:
        """Greedy: `count` tokens after `tokens`, and the seconds that the prompt took, then the rest."""
        began = perf_counter()
        logits, past = self.llama.forward(tokens, 0, None)
        chosen = [int(np.argmax(logits))]
        prompt_read = perf_counter()
        while len(chosen) < count:
            logits, past = self.llama.forward(chosen[-1:], len(tokens) + len(chosen) - 1, past)
            chosen.append(int(np.argmax(logits)))
        return {
            "tokens": chosen,
            "prompt_seconds": prompt_read - began,
            "seconds": perf_counter() - prompt_read,
        }

    def logits(self, tokens: list[int]) -> dict[str, Any]:
        return {"logits": self.llama.forward(tokens, 0, None)[0].tolist()}

    def release(self) -> dict[str, Any]:
        """What a program can do: forget the model, let the library forget it, collect."""
        self.llama = None
        self.library.release()
        gc.collect()
        return {}

    def trim(self) -> dict[str, Any]:
        """What hardly any program does: have the C library give back what was freed, where it has such a call."""
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        return {"trimmed": bool(trim and trim(0))}


def main() -> None:
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    child = Child(sys.argv[1])
    print(json.dumps({"version": child.library.VERSION}), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(child.answer(asked)), file=answers)


if __name__ == "__main__":
    main()
