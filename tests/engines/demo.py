"""`python -m tests.engines.demo`: memory that is not released, on a private Ollama and a real Pulumi, in a minute.

Each step shows what was run and what Ollama itself says then, and fails where that is not what the headline claims.
Exit status: 0 told and true, 1 a step that was not so, 130 interrupted. Nothing is left behind in any case.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx

from tests.engines.demo_steps import Step, steps_of
from tests.engines.demo_story import Screen, Story, StoryError
from tests.engines.errors import EngineError, ToolchainError
from tests.engines.ollama_server import OllamaServer
from tests.engines.progress import ProgressLine
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_llama
from tests.engines.toolchain import Engines, find_ollama, find_or_build

PROGRAM = Path(__file__).parents[2] / "examples" / "document"
READING_SECONDS = 3  # between two steps, where somebody watches


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
    write_llama(folder / "model.gguf", layers=16, width=128, heads=8, kv_heads=8)
    # One thread: on a busy machine several wait for each other longer than they compute.
    registry.push("example-model", folder / "model.gguf", params={"num_predict": 4, "num_thread": 1})
    stack = PulumiStack(engines, folder / "pulumi", PROGRAM, {"OLLAMA_HOST": server.url, **place})
    cleanup.callback(stack.close)
    stack.run("stack", "init", "dev")
    unit = folder / "unit"
    unit.mkdir()
    return Story(screen, server, stack, registry.reference("example-model"), unit)


def tell(screen: Screen) -> int:
    """The whole story; returns the exit status."""
    engines, built_for = find_engines(screen)
    began = time.monotonic()
    with ExitStack() as cleanup:
        story = prepare(screen, engines, cleanup)
        cleanup.callback(ignore_signals)  # nothing cuts the end off
        introduce(story)
        steps = steps_of(story.version)
        for number, step in enumerate(steps, 1):
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
        f"\nAll {len(steps)} steps were as shown, in {seconds:.0f} s{before}; nothing is left in memory or on disk.",
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
    pulumi = story.stack.run("version").text.strip().removeprefix("v")
    story.screen.line(f"A private Ollama {story.version}, Pulumi {pulumi}, and a registry of one small model.")
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
