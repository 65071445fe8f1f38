"""Build one engine by its recipe. Cut off at any time, it goes on from Go's own caches and Ninja's folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.engines.building import Job, build_all
from tests.engines.errors import ToolchainError
from tests.engines.headers import include_folder
from tests.engines.native import native_steps
from tests.engines.progress import ProgressLine
from tests.engines.recipes import Engine, GoBuild, ModuleFile
from tests.engines.steps import CORES, Step, Steps, count_packages, packages_of
from tests.engines.tools import find_go, require_cpp


def build(engine: Engine, folder: Path, report: Callable[[str], None]) -> None:
    """Fill `folder`, all or nothing; `report` gets a line at most every 15 s. Raises ToolchainError."""
    build_all([job_of(engine, folder)], ProgressLine(report))


def job_of(engine: Engine, folder: Path) -> Job:
    return Job(folder, engine.cpu_seconds, lambda: _steps(engine, folder))


def _steps(engine: Engine, folder: Path) -> Steps[None]:
    go = find_go(engine)
    if engine.native:
        require_cpp(engine)
    work = folder.with_name(f"{folder.name}.building")
    yield from _Builder(engine, go, work).steps()
    (work / "made").rename(folder)
    shutil.rmtree(work, ignore_errors=True)


class _Builder:
    """The steps of one build, in the folder `work`; its folder `made` is what the cache keeps."""

    def __init__(self, engine: Engine, go: Path, work: Path) -> None:
        self.engine, self.go, self.work = engine, go, work
        self.made = work / "made"
        for name in ("tmp", "made"):
            shutil.rmtree(work / name, ignore_errors=True)
            (work / name).mkdir(parents=True)
        (self.made / engine.bin).mkdir(parents=True, exist_ok=True)
        # Go leaves its temporary folder behind when it is killed: here it is swept with the rest.
        self.environment: Mapping[str, str] = {
            **os.environ,
            "GOTMPDIR": str(work / "tmp"),
            "GOWORK": "off",
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -buildvcs=false".strip(),
        }

    def steps(self) -> Steps[None]:
        engine, flags = self.engine, self.engine.cgo_flags
        if engine.headers:
            headers = yield from include_folder(engine.headers, self.work, self.fetched)
            flags = f"-I{headers} {flags}"
        cgo = {"CGO_ENABLED": "1", "CGO_CFLAGS": flags, "CGO_CXXFLAGS": flags} if flags else {}
        for target in engine.builds:
            yield from self.compiled(target, {**self.environment, **cgo})
        for script in engine.scripts:
            path = self.made / engine.bin / script.to
            shutil.copyfile((yield from self.fetched(script)), path)
            path.chmod(0o755)
        if native := engine.native:
            module = yield from self.module(native.module, native.version)
            yield from native_steps(native, module / native.lists, self.work, self.made, self.environment)

    def compiled(self, target: GoBuild, environment: Mapping[str, str]) -> Steps[None]:
        module = self.work / f"module-{target.binary}"
        module.mkdir(exist_ok=True)
        replace = f"\nreplace {target.replace}\n" if target.replace else ""
        (module / "go.mod").write_text(f"module engines\n\ngo 1.21\n{replace}")
        go = str(self.go)
        # The package's path: the module's alone would leave go.sum without what only the package needs.
        yield Step([go, "get", f"{target.package}@{target.version}"], "fetching modules", module, environment)
        built = "." if target.program else target.package
        if target.program:
            (module / "main.go").write_text(target.program)
        listed = yield Step([go, "list", "-deps", built], "counting packages", module, environment)
        command = [go, "build", "-v", "-p", CORES, "-trimpath", "-ldflags", target.ldflags]
        yield Step(
            [*command, "-o", str(self.made / self.engine.bin / target.binary), built],
            target.binary,
            module,
            environment,
            target.cpu_seconds,
            packages_of(count_packages(listed)),
        )

    def fetched(self, file: ModuleFile) -> Steps[Path]:
        """Where the module's file lies in Go's module cache."""
        return (yield from self.module(file.module, file.version)) / file.path

    def module(self, name: str, version: str) -> Steps[Path]:
        command = [str(self.go), "mod", "download", "-json", f"{name}@{version}"]
        said = yield Step(command, f"fetching {name}", self.work, self.environment)
        try:
            return Path(json.loads(said[said.index("{") :])["Dir"])
        except (ValueError, KeyError) as error:
            raise ToolchainError(f"{self.engine.folder}: Go has fetched no {name}@{version}: {said[-200:]}") from error
