"""The demo tells its story to the end, fails where a step is not so, and leaves nothing behind when it is cut off."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.engines import demo
from tests.engines.demo_steps import CACHE_MIB, Step, steps_of
from tests.engines.demo_story import Screen, Story
from tests.engines.processes import kill_all
from tests.engines.recipes import OLLAMA
from tests.engines.toolchain import Engines
from tests.promptness import assert_took_less

ROOT = Path(__file__).parents[1]


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, with all its temporary files in `folder`, by which its processes are known too."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        kill_all([psutil.Process(process.pid)] if process.poll() is None else [])
        process.wait()


def processes_of(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.engines
@pytest.mark.usefixtures("engines")
def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        text, _ = process.communicate(timeout=150)
    assert process.returncode == 0, text
    assert "\x1b" not in text
    steps = steps_of(OLLAMA.version)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    told = [
        *(f"{number}. {step.headline}" for number, step in enumerate(steps[:4], 1)),
        f"+ Environment=LLAMA_ARG_CACHE_RAM={CACHE_MIB}",
        "0 errors, 0 warnings, 0 undecided, 0 suppressed, in 1 file",
        '- memory_management: "automatic"',
        '+ memory_management: "manual"',
        '~ memory_management: "automatic" => "manual"',
        "~ pinned: false => true",
        '+ drift: "pin lost: a client set its own keep_alive, or its options reloaded the model"',
        "$MODEL: unloading",
        "$MODEL: out of memory",
        "$MODEL: deleted",
        "runner processes 1 0",
        "models on disk 1 0",
    ]
    assert [line for line in told if line not in lines] == []
    assert [lines.index(line) for line in told] == sorted(lines.index(line) for line in told)
    untils = [
        line.rsplit(" MiB ", 1)[1] for line in lines if "/library/example-model:latest " in line and " MiB " in line
    ]
    assert [until.replace("4m 59s", "5m 0s") for until in untils] == [
        *("in 5m 0s", "forever", "forever", "forever", "forever", "in 5m 0s", "forever"),
    ]
    assert lines[-1].startswith(f"All {len(steps)} steps were as shown")
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@pytest.mark.engines
@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("moment", ["$ pulumi up", "$ for i in"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, moment: str) -> None:
    with started(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(moment):
                break
        time.sleep(0.5)  # into the middle of it
        assert processes_of(tmp_path)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
        ended = time.monotonic()
    assert process.returncode == 130, text
    assert "Traceback" not in text
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert_took_less(3, began, ended)  # under 1 s where nothing else keeps the machine busy


@pytest.mark.engines
def test_a_step_that_is_not_so_fails(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim_too_much(story: Story) -> None:
        story.pulumi("config", "get", "model")
        story.memory_is("forever")

    monkeypatch.setattr(demo, "steps_of", lambda _version: (Step("It is in memory", claim_too_much),))
    monkeypatch.setattr(demo, "find_engines", lambda _screen: (engines, 0.0))
    monkeypatch.setattr(demo, "ignore_signals", lambda: None)
    shown = io.StringIO()
    assert demo.tell(Screen(shown, {})) == 1
    assert "FAILED in step 1 (It is in memory): expected in memory: forever, found: nothing" in shown.getvalue()
    assert "Pulumi's last output:\n127.0.0.1:" in shown.getvalue()
