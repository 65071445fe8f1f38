"""`python -m tests.engines.demo`: the document's story, on a private Ollama and a real Pulumi, in about half a minute.

Each step shows what was run and what Ollama itself says then, and fails where that is not what the headline claims.
Exit status: 0 told and true, 1 a step that was not so, 130 interrupted. Nothing is left behind in any case.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import httpx
import psutil

from ollama_provider.ollama import durations
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.ollama_server import OllamaServer
from tests.engines.progress import ProgressLine
from tests.engines.pulumi_stack import Outcome, PulumiStack
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines, find_ollama, find_or_build

PROGRAM = Path(__file__).parents[2] / "examples" / "document"
CALLS = 50
MOST_GROWTH = 0.05  # of the runner's memory, over all the calls
STILL_SECONDS = 3
READING_SECONDS = 3  # between two steps, where somebody watches
MIB = 2**20

STYLES = {"headline": "1", "command": "36", "quiet": "2", "good": "1;32", "bad": "1;31"}


class StoryError(Exception):
    """What a step claims is not so."""


class Screen:
    """Lines on a terminal, with colours where there is one."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        self.stream = stream
        self.is_watched = stream.isatty()
        self.has_colours = self.is_watched and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    def line(self, text: str = "", style: str = "") -> None:
        print(self.styled(text, style), file=self.stream, flush=True)

    def styled(self, text: str, style: str) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.has_colours and style and text else text

    def table(self, rows: list[tuple[str, ...]], style: str = "") -> None:
        """Aligned columns under a quiet first row; `style` is for the last cell of the others."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            *cells, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            last = self.styled(last.rstrip(), style if number else "quiet")
            self.line("   " + "  ".join([*(self.styled(cell, "" if number else "quiet") for cell in cells), last]))


@dataclass
class Story:
    """The engines at work, and the means to act on them in sight of the spectator."""

    screen: Screen
    server: OllamaServer
    stack: PulumiStack
    model: str
    outcome: Outcome | None = None

    def pulumi(self, *command: str) -> Outcome:
        """Runs a command, then shows the lines of the provider and the properties that Pulumi shows as changed."""
        confirmed = command if command[0] == "config" else (*command, "--yes", "--skip-preview", "--diff")
        self.screen.line(f"$ pulumi {' '.join(command).replace(self.model, '$MODEL')}", "command")
        self.outcome = self.stack.run(*confirmed)
        if command[0] in ("up", "refresh"):
            for line in changes_shown(self.outcome.text):
                self.note(line)
        for line in provider_lines(self.outcome.text, self.model):
            self.note(f"$MODEL: {line}", "quiet")
        if command[0] != "config":
            self.note(f"done in {self.outcome.seconds:.1f} s", "quiet")
        return self.outcome

    def client_calls(self, **fields: Any) -> None:
        """One call as any client makes it, shown as the `curl` that would do the same."""
        body = json.dumps({"model": "'$MODEL'", "prompt": "hello", **fields})
        self.screen.line(f"$ curl $OLLAMA_HOST/api/generate -d '{body}'", "command")
        self.generate(**fields)

    def generate(self, **fields: Any) -> None:
        body = {"model": self.model, "prompt": "hello", "stream": False, **fields}
        answer = self.server.call("POST", "/api/generate", body)
        self.claim(answer.is_success, f"Ollama refused a client's call: {answer.status_code} {answer.text}")

    def memory_is(self, until: str, style: str = "") -> None:
        """Shows /api/ps beside the processes' own memory. `until`: "forever", about "in 5m 0s", or "nothing"."""
        entries = self.server.ps()
        rss = mebibytes(self.server.runner_resident_bytes())
        found = [until_of(entry["expires_at"]) for entry in entries]
        rows = [
            (entry["name"], mebibytes(entry["size"]), rss, when) for entry, when in zip(entries, found, strict=True)
        ]
        self.screen.table([("NAME", "SIZE", "RSS", "UNTIL"), *(rows or [("(nothing in memory)", "", rss, "")])], style)
        # The call that armed the timer has ended some moments ago.
        right = {"nothing": (), "in 5m 0s": ("in 5m 0s", "in 4m 5")}.get(until, (until,))
        is_so = len(found) == bool(right) and all(when.startswith(right) for when in found)
        self.claim(is_so, f"expected in memory: {until}, found: {', '.join(found) or 'nothing'}")

    def claim(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise StoryError(otherwise)

    def note(self, text: str, style: str = "") -> None:
        self.screen.line(f"   {text}", style)


def automatic(story: Story) -> None:
    outcome = story.pulumi("up")
    story.claim("pulled and verified" in outcome.text, "the model was not pulled")
    story.memory_is("nothing")
    story.client_calls()
    story.memory_is("in 5m 0s", "good")


def never_released(story: Story) -> None:
    story.client_calls(keep_alive=-1)
    story.memory_is("forever", "bad")
    time.sleep(STILL_SECONDS)
    story.client_calls()
    story.memory_is("forever", "bad")
    story.note(f"{STILL_SECONDS} s and a call later: no timer runs any more, and no later call gives it one.")


def the_documents_diff(story: Story) -> None:
    story.screen.line('- memory_management: "automatic"', "bad")
    story.screen.line('+ memory_management: "manual"', "good")
    story.pulumi("config", "set", "memory_management", "manual")
    outcome = story.pulumi("up")
    change = '~ memory_management: "automatic" => "manual"'
    story.claim(change in changes_shown(outcome.text), f"Pulumi did not show {change}")
    story.memory_is("forever", "good")
    pinned = story.stack.outputs()["pinned"]
    story.claim(pinned is True, f"the state says pinned: {pinned}")
    story.note("The same memory, and now it is declared: a refresh guards it, a destroy gives it back.")


def steady(story: Story) -> None:
    story.screen.line(f"$ for i in $(seq {CALLS}); do curl $OLLAMA_HOST/api/generate ...; done", "command")
    resident = [story.server.runner_resident_bytes()]
    for _ in range(CALLS):
        story.generate()
        resident.append(story.server.runner_resident_bytes())
    # m_i - r_i, what a call took and did not give back, is what the runner's memory grew by over it.
    not_returned = [after - before for before, after in pairwise(resident)]
    total = sum(not_returned)
    calls = range(0, CALLS + 1, CALLS // 5)
    header = tuple(f"CALL {number}" for number in calls)
    story.screen.table([("", *header), ("RSS", *(mebibytes(resident[number], 2) for number in calls))])
    growth = total / resident[0]
    story.note(f"M = sum(m_i - r_i) = {total / 1024:+.0f} KiB over {CALLS} calls: {growth:+.1%}", "good")
    story.note("All of it goes back with the runner's process, at the end of this story.")
    story.claim(growth <= MOST_GROWTH, f"expected the runner to grow by at most {MOST_GROWTH:.0%}: {growth:.1%}")
    story.memory_is("forever", "good")


def pin_dropped(story: Story) -> None:
    story.client_calls(options={"num_ctx": 512})
    story.memory_is("in 5m 0s", "bad")
    story.note("Ollama reloaded the model for it, and the operator's pin is gone. Nobody was told.")


def drift_shown(story: Story) -> None:
    outcome = story.pulumi("refresh")
    has_drift = any(line.startswith('+ drift: "pin lost') for line in changes_shown(outcome.text))
    story.claim(has_drift, "no drift was found")


def mended(story: Story) -> None:
    story.pulumi("up")
    story.memory_is("forever", "good")


def destroyed(story: Story) -> None:
    before = what_is_held(story.server)
    outcome = story.pulumi("destroy")
    order = provider_lines(outcome.text, story.model)
    story.claim(order == ["unloading", "out of memory", "deleted"], f"expected to unload, then to delete: {order}")
    story.memory_is("nothing")
    after = what_is_held(story.server)
    rows = [(what, before[what], after[what]) for what in before]
    story.screen.table([("WHAT IS HELD", "BEFORE", "AFTER"), *rows], "good")
    left = [after[what] for what in ("runner processes", "their RSS", "models on disk")]
    story.claim(left == ["0", "0 MiB", "0"], f"something is left: {after}")


@dataclass(frozen=True)
class Step:
    headline: str
    show: Callable[[Story], None]


STEPS = (
    Step(
        'The document\'s block: memory_management = "automatic". Whoever calls decides when memory returns', automatic
    ),
    Step("A client pins the model with keep_alive -1: the memory is not released", never_released),
    Step("The document's own diff: from now on the operator holds the memory, by declaration", the_documents_diff),
    Step(f"Steady over {CALLS} calls: the document's M, of the runner process's own memory", steady),
    Step("A client calls with another num_ctx: the pin is silently lost", pin_dropped),
    Step("pulumi refresh shows it as drift", drift_shown),
    Step("pulumi up mends it", mended),
    Step("pulumi destroy: out of memory first, then deleted", destroyed),
)


def provider_lines(text: str, model: str) -> list[str]:
    """What the provider said of the model, in order, each once."""
    lines = [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(line.removeprefix(f"{model}: ") for line in lines if line.startswith(f"{model}: ")))


def changes_shown(text: str) -> list[str]:
    """The properties of memory that Pulumi shows as changed, such as `~ pinned: false => true`, each once."""
    found = re.findall(r"^\s*([-+~]) (memory_management|drift|pinned)\s*: (.*)", text, re.MULTILINE)
    return list(dict.fromkeys(f"{sign} {name}: {value}" for sign, name, value in found))


def until_of(expires_at: str) -> str:
    expiry = durations.parse_time(expires_at)
    if durations.is_for_ever(expiry):
        return "forever"
    minutes, seconds = divmod(round((expiry - datetime.now(UTC)).total_seconds()), 60)
    return f"in {minutes}m {seconds}s"


def what_is_held(server: OllamaServer) -> dict[str, str]:
    assert server.process is not None
    return {
        "runner processes": str(len(server.runners())),
        "their RSS": mebibytes(server.runner_resident_bytes()),
        "models on disk": str(len(server.tags())),
        "Ollama's own RSS": mebibytes(psutil.Process(server.process.pid).memory_info().rss),
    }


def mebibytes(count: int, digits: int = 0) -> str:
    return f"{count / MIB:.{digits}f} MiB"


def prepare(screen: Screen, engines: Engines, cleanup: ExitStack) -> Story:
    """Starts everything in a folder of its own. Each thing's end is arranged before its start."""
    folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ollama-iac-demo-")))
    place = {"TMPDIR": str(folder)}
    server = OllamaServer(engines.ollama, folder / "ollama", place)
    cleanup.callback(server.close)
    cleanup.callback(server.kill)  # comes first, and does not wait for a polite end
    server.start()
    registry = Registry()
    cleanup.push(registry)
    registry.__enter__()
    write_llama(folder / "model.gguf", layers=8, width=512, heads=8)
    # One thread: on a busy machine several wait for each other longer than they compute.
    registry.push("example-model", folder / "model.gguf", params={"num_predict": 4, "num_thread": 1})
    stack = PulumiStack(engines, folder / "pulumi", PROGRAM, {"OLLAMA_HOST": server.url, **place})
    cleanup.callback(stack.close)
    stack.run("stack", "init", "dev")
    return Story(screen, server, stack, registry.reference("example-model"))


def tell(screen: Screen) -> int:
    """The whole story; returns the exit status."""
    engines, built_for = find_engines(screen)
    began = time.monotonic()
    with ExitStack() as cleanup:
        story = prepare(screen, engines, cleanup)
        cleanup.callback(ignore_signals)  # nothing cuts the end off
        introduce(story)
        for number, step in enumerate(STEPS, 1):
            time.sleep(READING_SECONDS if screen.is_watched else 0)
            screen.line(f"\n{number}. {step.headline}", "headline")
            try:
                step.show(story)
            except (StoryError, EngineError, httpx.HTTPError, OSError) as error:
                explain(story, number, step, error)
                return 1
    seconds = time.monotonic() - began
    before = f" (after {built_for:.0f} s of building)" if built_for >= 1 else ""
    screen.line(
        f"\nAll {len(STEPS)} steps were as shown, in {seconds:.0f} s{before}; nothing is left in memory or on disk.",
        "good",
    )
    return 0


def find_engines(screen: Screen) -> tuple[Engines, float]:
    """The tools, with a word on where Ollama is from; and the seconds that it took to find or build them."""
    began = time.monotonic()
    on_path = find_ollama()
    engines = find_or_build(ProgressLine.on(screen.stream), on_path)
    screen.line(f"Ollama is {'on PATH' if on_path else 'built from source'}: {engines.ollama}", "quiet")
    return engines, time.monotonic() - began


def introduce(story: Story) -> None:
    ollama = story.server.call("GET", "/api/version").json()["version"]
    pulumi = story.stack.run("version").text.strip().removeprefix("v")
    story.screen.line(f"A private Ollama {ollama}, Pulumi {pulumi}, and a registry of one small model.")
    story.screen.line(f"$ export OLLAMA_HOST={story.server.url} MODEL={story.model}", "command")
    settings = {"model": story.model, "insecure": "true", "memory_management": "automatic"}
    for key, value in settings.items():
        story.pulumi("config", "set", key, value)


def explain(story: Story, number: int, step: Step, error: Exception) -> None:
    story.screen.line(f"\nFAILED in step {number} ({step.headline}): {error}", "bad")
    if story.outcome and not isinstance(error, EngineError):
        story.screen.line(f"\nPulumi's last output:\n{story.outcome.text}")


def ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def exit_on(number: int, _frame: object) -> None:
    ignore_signals()
    sys.exit(128 + number)


def main() -> int:
    # A shell's background job ignores SIGINT; and all three must unwind what was started.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, exit_on)
    screen = Screen(sys.stdout, os.environ)
    try:
        return tell(screen)
    except ToolchainError as error:
        screen.line(f"error: {error}", "bad")
        return 1
    except SystemExit as stopped:
        with suppress(OSError):
            screen.line("\ninterrupted; everything that was started is gone", "quiet")
        return int(stopped.code or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails once more
        return 1


if __name__ == "__main__":
    sys.exit(main())
