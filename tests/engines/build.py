"""Build one engine by its recipe. Cut off at any time, it goes on from Go's own caches the next time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.engines.errors import ToolchainError
from tests.engines.headers import include_folder
from tests.engines.locking import locked
from tests.engines.processes import child_setup, stop_group
from tests.engines.recipes import Engine, GoBuild, ModuleFile

DEADLINE = 30 * 60.0
GO_FALLBACK = "/usr/local/go/bin"
REPORT_EVERY = 5.0


def build(engine: Engine, folder: Path, report: Callable[[str], None]) -> None:
    """Fill `folder`, all or nothing. Raises ToolchainError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock"), report, DEADLINE):
        if folder.is_dir():
            return
        go = find_go(engine)
        work = folder.with_name(f"{folder.name}.building")
        Builder(engine, go, work, folder.with_name(f"{folder.name}.log"), report).run()
        (work / "bin").rename(folder)
        shutil.rmtree(work, ignore_errors=True)
        report(f"{engine.name} {engine.version}: done, in {folder}")


class Builder:
    """The steps of one build, in the folder `work`, with everything that the tools say in `log`."""

    def __init__(self, engine: Engine, go: Path, work: Path, log: Path, report: Callable[[str], None]) -> None:
        self.engine, self.go, self.work, self.log, self.report = engine, go, work, log, report
        self.title = f"{engine.name} {engine.version}"
        self.began = time.monotonic()
        shutil.rmtree(work / "tmp", ignore_errors=True)
        for name in ("bin", "tmp"):
            (work / name).mkdir(parents=True, exist_ok=True)
        # Go leaves its temporary folder behind when it is killed: here it is swept with the rest.
        self.environment = {
            **os.environ,
            "GOTMPDIR": str(work / "tmp"),
            "GOWORK": "off",
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -buildvcs=false".strip(),
        }
        log.write_text("")

    def run(self) -> None:
        if self.engine.headers:
            headers = include_folder(self.engine.headers, self.work, self.fetch, self.step)
            flags = f"-I{headers} {self.engine.optimisation}"
            self.environment |= {"CGO_ENABLED": "1", "CGO_CFLAGS": flags, "CGO_CXXFLAGS": flags}
        for target in self.engine.builds:
            self.compile(target)
        for script in self.engine.scripts:
            path = self.work / "bin" / script.to
            shutil.copyfile(self.fetch(script), path)
            path.chmod(0o755)

    def compile(self, target: GoBuild) -> None:
        module = self.work / f"module-{target.binary}"
        module.mkdir(exist_ok=True)
        replace = f"\nreplace {target.replace}\n" if target.replace else ""
        (module / "go.mod").write_text(f"module engines\n\ngo 1.21\n{replace}")
        # The package's path: the module's alone would leave go.sum without what only the package needs.
        self.step([str(self.go), "get", f"{target.package}@{target.version}"], "fetching modules", cwd=module)
        built = "." if target.program else target.package
        if target.program:
            (module / "main.go").write_text(target.program)
        listed = self.step([str(self.go), "list", "-deps", built], "counting packages", cwd=module)
        total = count_packages(listed)
        output = self.work / "bin" / target.binary
        command = [str(self.go), "build", "-v", "-trimpath", "-ldflags", target.ldflags, "-o", str(output)]
        self.step([*command, built], f"{target.binary}: compiled {{packages}} of {total} packages", cwd=module)

    def fetch(self, file: ModuleFile) -> Path:
        """Where the module's file lies in Go's module cache."""
        command = [str(self.go), "mod", "download", "-json", f"{file.module}@{file.version}"]
        said = self.step(command, f"fetching {file.module}", cwd=self.work)
        try:
            return Path(json.loads(said[said.index("{") :])["Dir"]) / file.path
        except (ValueError, KeyError) as error:
            raise ToolchainError(f"{self.title}: no {file.module}@{file.version}, log: {self.log}") from error

    def step(self, command: list[str], doing: str, cwd: Path) -> str:
        """Run one command to its end and return its output (both streams).

        `doing` is reported every 5 s with the time spent on the whole engine; `{packages}` in it is the number of
        packages named so far.
        """
        start = self.log.stat().st_size
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(),  # noqa: PLW1509 - everything it needs is loaded before the fork
            )
        try:
            has_ended = False
            while not has_ended:
                doing_now = doing.format(packages=count_packages(self.said(start)))
                self.report(f"{self.title}: {doing_now}, {self.spent():.0f} s")
                if self.spent() > DEADLINE:
                    raise ToolchainError(f"{self.title}: not built within {DEADLINE / 60:.0f} min, log: {self.log}")
                has_ended = ends_within(process, REPORT_EVERY)
        finally:
            stop_group(process)
        if process.returncode != 0:
            last = self.said(start).strip().splitlines()[-8:]
            text = "\n  ".join([f"{self.title}: `{' '.join(command)}` failed, log: {self.log}", *last])
            raise ToolchainError(text)
        return self.said(start)

    def said(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def spent(self) -> float:
        return time.monotonic() - self.began


def count_packages(said: str) -> int:
    """Go prints a package a line; what else it and the compilers say has spaces."""
    return sum(1 for line in said.splitlines() if line and " " not in line)


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def find_go(engine: Engine) -> Path:
    """A Go that builds the engine. From 1.21 on, Go fetches a newer version of itself, unless told not to."""
    found = shutil.which("go") or shutil.which("go", path=GO_FALLBACK)
    if not found:
        raise ToolchainError(
            f"{engine.name} is not on PATH in a fit version, and there is no Go to build it: "
            f"install {engine.name} or Go {engine.go}"
        )
    try:
        command = [found, "env", "GOVERSION", "GOTOOLCHAIN"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"{found} does not run: {error}") from error
    version = said[0] if said else "unknown"
    fetches_newer = numbers(version) >= (1, 21) and said[1:] != ["local"]
    if numbers(version) < numbers(engine.go) and not fetches_newer:
        raise ToolchainError(
            f"{found} is {version}, too old to build {engine.name} {engine.version}: install Go {engine.go}"
        )
    return Path(found)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
