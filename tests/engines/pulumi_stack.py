"""A real Pulumi project with a stack `dev`, its backend, home and state in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.engines.processes import child_setup, kill_all
from tests.engines.running import finished
from tests.engines.toolchain import Engines

DEADLINE = 120.0


@dataclass(frozen=True)
class Step:
    """A resource's step. `op` is the engine's word: "create", "same", "update", "replace", "delete" ...

    A refresh is shown as what it found: "same", "update" for drift, "delete" for gone; "refresh" when it was cut off.
    `detailed_diff` maps a property path to the engine's entry, such as {"diffKind": "update", "inputDiff": False}.
    """

    op: str
    urn: str
    detailed_diff: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a Pulumi command did; `text` is stdout and stderr as one, `seconds` the wall time.

    `changes` is the engine's own summary, {"same": 1, "update": 1}, empty when it was never reached. It counts the
    stack itself too, as the engine does. `steps` are the resource steps in the order they were taken.
    """

    returncode: int
    text: str
    seconds: float
    changes: dict[str, int]
    steps: list[Step]


class Running(subprocess.Popen[bytes]):
    """A command that leads its own process group and writes to `output`; `events` is the engine's log."""

    output: Path
    events: Path

    def outcome(self, seconds: float = 0.0) -> Outcome:
        """What it has done so far, also when it was killed; the returncode is -1 while it runs."""
        returncode = self.poll()
        changes, steps = read_events(self.events)
        text = self.output.read_text(errors="replace")
        return Outcome(-1 if returncode is None else returncode, text, seconds, changes, steps)


class PulumiStack:
    """`with PulumiStack(engines, folder, program, {"OLLAMA_HOST": ...}) as stack: stack.up()`.

    `program` is the text of __main__.py, or a folder that is copied. Nothing of the caller's PULUMI_* and OLLAMA_*
    variables reaches Pulumi; `environment` is what a test wants there.
    """

    def __init__(self, engines: Engines, folder: Path, program: str | Path, environment: Mapping[str, str]) -> None:
        self.engines = engines
        self.folder = folder.resolve()
        self.project = self.folder / "project"
        self.home = self.folder / "home"
        self.commands = 0
        for part in (self.project, self.home, self.folder / "backend"):
            part.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "OLLAMA_"))}
        own = {
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "for tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Without it the CLI does not know --event-log.
            "PULUMI_DEBUG_COMMANDS": "true",
        }
        self.environment = engines.environment({**kept, **own, **environment})
        if isinstance(program, Path):
            shutil.copytree(program, self.project, dirs_exist_ok=True)
        else:
            self.set_program(program)
        if not (self.project / "Pulumi.yaml").exists():
            (self.project / "Pulumi.yaml").write_text("name: tests\nruntime: python\n")

    def __enter__(self) -> PulumiStack:
        self.run("stack", "init", "dev")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def set_program(self, text: str) -> None:
        (self.project / "__main__.py").write_text(text)

    def config(self, key: str, value: str, secret: bool = False) -> None:
        self.run("config", "set", *(["--secret"] if secret else []), "--", key, value)

    def up(self, *args: str, check: bool = True) -> Outcome:
        return self.run("up", "--yes", "--skip-preview", *args, check=check)

    def preview(self, *args: str, check: bool = True) -> Outcome:
        return self.run("preview", "--diff", *args, check=check)

    def refresh(self, *args: str, check: bool = True) -> Outcome:
        return self.run("refresh", "--yes", "--skip-preview", *args, check=check)

    def destroy(self, *args: str, check: bool = True) -> Outcome:
        return self.run("destroy", "--yes", "--skip-preview", *args, check=check)

    def export(self) -> dict[str, Any]:
        """The whole state: what is in `deployment`, `resources` and all."""
        path = self.folder / "export.json"
        self.run("stack", "export", "--file", str(path))
        state: dict[str, Any] = json.loads(path.read_text())
        return state

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        outputs: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets").text)
        return outputs

    def run(self, *command: str, check: bool = True, timeout: float = DEADLINE) -> Outcome:
        """One command to its end. Raises EngineError after `timeout` s, and with `check` where it fails."""
        what = f"pulumi {' '.join(command)}"
        return finished(what, self.start(*command), check=check, timeout=timeout)

    def unlock(self) -> None:
        """Give up the lock that a killed command has left on the stack."""
        self.run("cancel", "--yes")

    def start(self, *command: str) -> Running:
        """Start a command, for a test that interrupts or kills it: `os.killpg(running.pid, signal.SIGINT)`.

        Give --yes and --skip-preview where they are wanted; they and the others are added by up() and its like.
        """
        self.commands += 1
        output = self.folder / f"{self.commands:03}-{command[0]}.log"
        events = output.with_suffix(".events.jsonl")
        line = [str(self.engines.pulumi), *command[:1]]
        if command[0] in ("up", "preview", "refresh", "destroy", "import"):
            line += ["--stack", "dev", "--event-log", str(events)]
        line += ["--non-interactive", "--color", "never", *command[1:]]
        with output.open("wb") as file:
            running = Running(
                line,
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(),
            )
        running.output, running.events = output, events
        return running

    def strays(self) -> list[psutil.Process]:
        """Processes of this stack that still run: all that have its home in their environment."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def close(self) -> None:
        """Kill what this stack's commands left running, providers above all."""
        kill_all(self.strays())

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("PULUMI_HOME") == str(self.home)
        except psutil.Error:
            return False


def read_events(path: Path) -> tuple[dict[str, int], list[Step]]:
    """The summary and the steps in an engine's event log; a line that was cut off is left out."""
    changes: Counter[str] = Counter()
    steps: list[Step] = []
    for event in events(path):
        if summary := event.get("summaryEvent"):
            changes = Counter(summary.get("resourceChanges") or {})
        elif taken := event.get("resourcePreEvent"):
            metadata = taken["metadata"]
            steps.append(step_of(metadata))
        elif done := event.get("resOutputsEvent"):
            pending = Step("refresh", done["metadata"]["urn"], {})
            if pending in steps:
                steps[steps.index(pending)] = step_of(done["metadata"])
    return dict(changes), steps


def step_of(metadata: dict[str, Any]) -> Step:
    return Step(metadata["op"], metadata["urn"], metadata.get("detailedDiff") or {})


def events(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)
