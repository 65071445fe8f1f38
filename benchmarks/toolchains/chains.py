"""The tool chains, each in processes of its own, told apart by nothing but how they are asked."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import psutil

from benchmarks.toolchains.model import CONTEXT, FIRST_BYTE, text_of, tokens_of
from benchmarks.toolchains.weights import Weights
from ollama_policy.live.runners.processes import Memory
from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import child_setup, kill_all
from tests.engines.runner_memory import unload

ROOT = Path(__file__).parents[2]
ANSWER_SECONDS = 120.0
LIKELIEST = 20  # the most that Ollama tells of
MODEL = "compared"


class Answer(NamedTuple):
    """What was generated; the seconds until its first token, and those of the rest, by the tool chain's own clock."""

    text: str
    prompt_tokens: int
    prompt_seconds: float
    seconds: float


class ToolChain(Protocol):
    """Every method raises EngineError where the tool chain does not do it."""

    name: str
    version: str

    def start(self) -> None:
        """Until it can be asked for a model."""

    def load(self) -> None: ...

    def call(self, prompt: str, count: int) -> Answer: ...

    def logarithms(self, prompt: str) -> Mapping[int, float]:
        """What of the natural logarithms of the probabilities of the token after `prompt` it tells, by token."""

    def release(self) -> None:
        """The model's memory, in the way that it documents, as far as that goes in a process that goes on."""

    def trim(self) -> bool:
        """False where there is no such thing."""

    def memory(self) -> Memory: ...

    def stop(self) -> None: ...


class OllamaChain:
    """One server whose model stays on disk from one start to the next."""

    def __init__(self, server: OllamaServer, gguf: Path) -> None:
        self.name, self.version, self._server = "Ollama", "", server
        server.start()
        parameters = {"num_thread": 1, "num_ctx": CONTEXT, "temperature": 0, "repeat_penalty": 1.0}
        server.create_from_gguf(MODEL, gguf, parameters=parameters)
        server.stop()

    def start(self) -> None:
        self._server.start()
        self.version = self._server.call("GET", "/api/version").json()["version"]

    def load(self) -> None:
        self._generate({"keep_alive": -1})

    def call(self, prompt: str, count: int) -> Answer:
        found = self._generate({"prompt": prompt, "options": {"num_predict": count}})
        if found["eval_count"] != count:
            raise EngineError(f"{self.name} generated {found['eval_count']} tokens, expected {count}")
        return Answer(
            found["response"],
            found["prompt_eval_count"],
            found["prompt_eval_duration"] / 1e9,
            found["eval_duration"] / 1e9,
        )

    def logarithms(self, prompt: str) -> Mapping[int, float]:
        """Of the likeliest; the model is one whose likeliest tokens are ASCII, a byte each."""
        fields = {"prompt": prompt, "logprobs": True, "top_logprobs": LIKELIEST, "options": {"num_predict": 1}}
        [first] = self._generate(fields)["logprobs"]
        return {FIRST_BYTE + ord(one["token"]): one["logprob"] for one in first["top_logprobs"]}

    def release(self) -> None:
        unload(self._server, MODEL)

    def trim(self) -> bool:
        return False

    def memory(self) -> Memory:
        assert self._server.process
        own = psutil.Process(self._server.process.pid).memory_info().rss
        return Memory(own, self._server.runner_resident_bytes())

    def stop(self) -> None:
        self._server.stop()

    def _generate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        body = {"model": MODEL, "raw": True, "stream": False, **fields}
        answer = self._server.call("POST", "/api/generate", body, timeout=ANSWER_SECONDS)
        if not answer.is_success:
            raise EngineError(f"{self.name}: /api/generate {answer.status_code} {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found


class LibraryChain:
    """A library in a Python of its own, asked through benchmarks.toolchains.child."""

    def __init__(self, name: str, module: str, python: Path, weights: Weights, log: Path) -> None:
        self.name, self.version, self._module = name, "", module
        self._python, self._weights, self._log = python, weights, log
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(self._python), "-m", "benchmarks.toolchains.child", self._module],
                cwd=ROOT,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
            )
        self.version = self._answer("its start")["version"]

    def load(self) -> None:
        self._ask("load", **self._weights._asdict())

    def call(self, prompt: str, count: int) -> Answer:
        tokens = tokens_of(prompt)
        found = self._ask("call", tokens=tokens, count=count)
        return Answer(text_of(found["tokens"]), len(tokens), found["prompt_seconds"], found["seconds"])

    def logarithms(self, prompt: str) -> Mapping[int, float]:
        return dict(enumerate(log_softmax(self._ask("logits", tokens=tokens_of(prompt))["logits"])))

    def release(self) -> None:
        self._ask("release")

    def trim(self) -> bool:
        return bool(self._ask("trim")["trimmed"])

    def memory(self) -> Memory:
        assert self._process
        return Memory(psutil.Process(self._process.pid).memory_info().rss, 0)

    def stop(self) -> None:
        if self._process:
            kill_all([psutil.Process(self._process.pid)])
            self._process.communicate()
            self._process = None

    def _ask(self, do: str, **fields: Any) -> dict[str, Any]:
        assert self._process
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
            self._process.stdin.flush()
        return self._answer(do)

    def _answer(self, what: str) -> dict[str, Any]:
        assert self._process
        assert self._process.stdout
        # One line answers one question, so nothing of an answer can be waiting in the reader's buffer.
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            why = "it ended" if ready else f"no answer within {ANSWER_SECONDS:g} s"
            raise EngineError(f"{self.name}: {what}: {why}\n{self._log.read_text(errors='replace')[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found


def environment() -> dict[str, str]:
    """Of a library: one thread, whichever of them does the sums, and nothing of our own Python."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**ours, **one, "TF_CPP_MIN_LOG_LEVEL": "3"}


def log_softmax(logits: Sequence[float]) -> list[float]:
    shifted = np.subtract(logits, max(logits))
    found: list[float] = (shifted - np.log(np.exp(shifted).sum())).tolist()
    return found
