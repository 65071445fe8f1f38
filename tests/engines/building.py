"""Builds side by side: what waits for the network beside what compiles, and never more compilers than cores."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.engines.errors import ToolchainError
from tests.engines.processes import child_setup, interrupts_put_off, stop_groups
from tests.engines.progress import ProgressLine, Remaining
from tests.engines.steps import Step, Steps

DEADLINE = 90 * 60.0  # of all builds of one run: on a busy machine with two cores, thrice what they need
_LOOK_EVERY = 0.1
_LAST_LINES = 8


@dataclass(frozen=True)
class Job:
    """One folder that is to be filled, all or nothing, by steps that are taken one after the other.

    `steps` is called once this process has the lock and the folder is not there.
    """

    folder: Path
    cpu_seconds: float
    steps: Callable[[], Steps[None]]

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def lock(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.lock")


def build_all(jobs: Sequence[Job], report: ProgressLine, cores: int | None = None) -> list[Job]:
    """Fill the folders that are not there; return the jobs that this took. Raises ToolchainError of the first to fail.

    Cut off at any time, the next call goes on: what tools keep (Go's caches, Ninja's folder) is used again.
    """
    missing = [job for job in jobs if not job.folder.is_dir()]
    if missing:
        for job in missing:
            job.folder.parent.mkdir(parents=True, exist_ok=True)
        _Builds(missing, cores or os.cpu_count() or 1).run(report)
    return missing


@dataclass
class _Build:
    """A job at work: the command that runs, and how many compilers it may run at once."""

    job: Job
    lock: IO[str] | None = None
    steps: Steps[None] | None = None
    step: Step | None = None
    running: subprocess.Popen[bytes] | None = None
    cores: int = 0
    start: int = 0  # of the command's output in the log
    step_began: float = 0.0
    cpu_seconds_done: float = 0.0
    has_ended: bool = False

    @property
    def name(self) -> str:
        return self.job.folder.name

    def look(self) -> None:
        """Begin where nobody else builds it; go on where the command has ended. Raises ToolchainError."""
        if self.lock is None:
            self._begin()
        elif self.running and self.step:
            pid, status, usage = os.wait4(self.running.pid, os.WNOHANG)
            if pid:
                self.running.returncode = os.waitstatus_to_exitcode(status)
                self._end_step(self.step, self.running.returncode, usage.ru_utime + usage.ru_stime)

    def start_step(self, cores: int) -> None:
        assert self.step
        command = self.step.with_cores(cores)
        self.cores = cores
        with self.job.log.open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            self.start, self.step_began = log.tell(), time.monotonic()
            try:
                self.running = subprocess.Popen(
                    command,
                    cwd=self.step.cwd,
                    env=dict(self.step.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
                )
            except OSError as error:
                raise ToolchainError(f"{self.name}: {command[0]} does not run: {error}") from error

    def close(self) -> None:
        if self.steps:
            self.steps.close()
        if self.lock:
            self.lock.close()

    def parts_done(self) -> tuple[int, int]:
        """How many parts of how many the command has done; (0, 0) where it does not tell."""
        step = self.step
        return step.progress(self._said()) if self.running and step and step.progress else (0, 0)

    def cpu_seconds_left(self, parts: tuple[int, int]) -> float:
        if self.has_ended:
            return 0
        part = parts[0] / parts[1] if parts[1] else 0
        now = self.step.cpu_seconds * part if self.running and self.step else 0
        return max(self.job.cpu_seconds - self.cpu_seconds_done - now, 0)

    def doing(self, parts: tuple[int, int]) -> str:
        if self.lock is None:
            return f"{self.name}: another process is building it, waiting"
        if not self.step or not self.running:
            return f"{self.name}: waiting for a core"
        return f"{self.name}: {self.step.doing}" + (f" {parts[0]}/{parts[1]}" if parts[1] else "")

    def _begin(self) -> None:
        lock = self.job.lock.open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return
        self.lock = lock
        if self.job.folder.is_dir():
            self.has_ended = True
            return
        self.job.log.write_text("")
        self.steps = self.job.steps()
        self._advance(None)

    def _advance(self, said: str | None) -> None:
        assert self.steps
        try:
            self.step = next(self.steps) if said is None else self.steps.send(said)
        except StopIteration:
            self.step, self.has_ended = None, True
            self.close()

    def _end_step(self, step: Step, code: int, cpu_seconds: float) -> None:
        said, took = self._said(), time.monotonic() - self.step_began
        with self.job.log.open("a") as log:
            log.write(f"# {took:.1f} s, {cpu_seconds:.1f} CPU seconds\n")
        if code != 0:
            last = said.strip().splitlines()[-_LAST_LINES:]
            command = " ".join(step.with_cores(self.cores))
            hint = f"{step.hint}; " if step.hint else ""
            raise ToolchainError("\n  ".join([f"{self.name}: {hint}`{command}` failed, log: {self.job.log}", *last]))
        self.cpu_seconds_done += step.cpu_seconds
        self.running, self.cores = None, 0
        self._advance(said)

    def _said(self) -> str:
        with self.job.log.open("rb") as log:
            log.seek(self.start)
            return log.read().decode(errors="replace")


class _Builds:
    """All of them, in the order of how long they take: the longest gets its cores first."""

    def __init__(self, jobs: Sequence[Job], cores: int) -> None:
        self.cores = cores
        self.began = time.monotonic()
        self.builds = [_Build(job) for job in sorted(jobs, key=lambda job: -job.cpu_seconds)]
        self.remaining = Remaining(sum(job.cpu_seconds for job in jobs), cores)

    def run(self, report: ProgressLine) -> None:
        try:
            with interrupts_put_off() as take_effect:
                while not all(build.has_ended for build in self.builds):
                    self._look(report)
                    take_effect()
                    time.sleep(_LOOK_EVERY)
        finally:
            report.clear()
            stop_groups([build.running for build in self.builds if build.running])
            for build in self.builds:
                build.close()

    def _look(self, report: ProgressLine) -> None:
        going = [build for build in self.builds if not build.has_ended]
        if time.monotonic() - self.began > DEADLINE:
            logs = ", ".join(str(build.job.log) for build in going)
            raise ToolchainError(f"not built within {DEADLINE / 60:.0f} min, logs: {logs}")
        for build in going:
            build.look()
        self._start_steps([build for build in going if build.step and not build.running], len(going))
        if report.is_due():
            report(self._line())

    def _start_steps(self, waiting: list[_Build], going: int) -> None:
        """What compiles has a fair share of the cores, and waits for a free one; what does not starts at once."""
        free = self.cores - sum(build.cores for build in self.builds)
        share = max(self.cores // going, 1) if going else 0
        for build in waiting:
            assert build.step
            if not build.step.cpu_seconds:
                build.start_step(0)
            elif free:
                build.start_step(min(share, free))
                free -= build.cores

    def _line(self) -> str:
        done = {build.name: build.parts_done() for build in self.builds}
        left = [(build.cpu_seconds_left(done[build.name]), build.cores) for build in self.builds]
        going = [build.doing(done[build.name]) for build in self.builds if not build.has_ended]
        ended = len(self.builds) - len(going)
        counted = f"{ended} of {len(self.builds)} built, " if len(self.builds) > 1 else ""
        return f"{counted}{self.remaining.text(left, time.monotonic() - self.began)}: {'; '.join(going)}"
