"""A healthy Ollama that is used all the time, and is as it was declared: what a look at it must not take for drift.

`python -m tests.engines.busy [LOOKS]` looks 500 times at a real one, spread over all that clients do there. Exit status
1 where a look showed anything.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_policy.commands.drift.session import Request, Session
from tests.engines.observing import call
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import find_or_build

LOOKS = 500
SECONDS_A_LOAD = 1.3  # of a model with a keep_alive of 1 s: it is loaded, answers, expires, and is gone for a moment
_FIVE = {"memory_management": "automatic", "keep_alive": "5m"}


@dataclass
class Busy:
    """What is declared there, and what its clients have done so far."""

    declared: dict[str, dict[str, Any]]
    done: Counter[str] = field(default_factory=Counter)


@contextmanager
def busy(server: OllamaServer, registry: Registry, ggufs: Callable[[int], Path]) -> Iterator[Busy]:
    """Clients at work until the block ends. Raises what one of them failed with."""
    for number, name in enumerate(("pinned", "bound", "short"), 1):
        server.create_from_gguf(name, ggufs(number))
    call(server, "pinned", keep_alive=-1)
    pulled = registry.reference("tiny:latest")
    pull = {"model": pulled, "insecure": True, "stream": False}
    server.call("POST", "/api/pull", pull).raise_for_status()
    at_work = Busy({"pinned": {"memory_management": "manual"}, "bound": _FIVE, "short": _FIVE, pulled: _FIVE})
    end = threading.Event()
    faults: list[Exception] = []

    def client(what: str, pause: float, act: Callable[[], object]) -> threading.Thread:
        def work() -> None:
            try:
                while not end.wait(pause):
                    act()
                    at_work.done[what] += 1
            except Exception as error:  # noqa: BLE001 - raised at the end
                faults.append(error)

        return threading.Thread(target=work, daemon=True)

    threads = [
        client("calls of a pinned model, without keep_alive", 0.01, lambda: call(server, "pinned")),
        client("calls with a keep_alive", 0.01, lambda: call(server, "bound", keep_alive="5m")),
        client("calls with a shorter one", 0.3, lambda: call(server, "bound", keep_alive="1m")),
        client("loads and expiries", SECONDS_A_LOAD, lambda: call(server, "short", keep_alive="1s")),
        client("pulls of what is there", 0.05, lambda: server.call("POST", "/api/pull", pull).raise_for_status()),
    ]
    for thread in threads:
        thread.start()
    try:
        yield at_work
    finally:
        end.set()
        for thread in threads:
            thread.join(30)
    if faults:
        raise faults[0]


def false_drifts(server: OllamaServer, folder: Path, at_work: Busy, looks: int, seconds: float) -> list[str]:
    """What so many looks, spread evenly over at least that time, say of a server where all is as declared."""
    models = [{"name": name} | model for name, model in at_work.declared.items()]
    (folder / "models.yaml").write_text(json.dumps({"models": models}))
    session = Session(Request([str(folder)], hosts=[server.url]))
    began, found = time.monotonic(), []
    for number in range(looks):
        time.sleep(max(0.0, began + number * seconds / looks - time.monotonic()))
        result = session.judged(session.look())
        found += [reported.finding.message for reported in result.findings]
        found += [problem.message for problem in result.unreadable]
    return found


def main(looks: int) -> int:
    for name in [name for name in os.environ if name.startswith("OLLAMA_")]:
        del os.environ[name]
    engines = find_or_build(lambda line: print(line, file=sys.stderr, flush=True))
    with tempfile.TemporaryDirectory(prefix="ollama-iac-busy-") as name, Registry() as registry:
        folder = Path(name)

        def gguf(seed: int) -> Path:
            write_llama(folder / f"{seed}.gguf", seed=seed)
            return folder / f"{seed}.gguf"

        registry.push("tiny:latest", gguf(0))
        with OllamaServer(engines.ollama, folder / "server") as server, busy(server, registry, gguf) as at_work:
            began = time.monotonic()
            (folder / "declared").mkdir()
            found = false_drifts(server, folder / "declared", at_work, looks, looks / 5)
            took = time.monotonic() - began
    print(f"{looks} looks in {took:.0f} s, meanwhile: {', '.join(f'{n} {what}' for what, n in at_work.done.items())}")
    print(f"{len(found)} false drifts", *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else LOOKS))
