"""`ollama-policy check` beside its peers and its floors: all its rules against one rule of theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import corpora, peers
from benchmarks.measuring import Report, Result, Run, interleaved, ratio, timed
from ollama_provider.ollama.sizes import MIB
from tests.engines.errors import EngineError
from tests.engines.toolchain import Engines

_OURS, _CONFTEST, _CHECKOV, _PYTHON, _READING = "ollama-policy", "conftest", "checkov", "bare python", "reading"
_CHECK = (sys.executable, "-c", "from ollama_policy.__main__ import main; main()", "check")  # as the console script

# Reads all files under a folder, and does nothing with them.
_READ = """
import os, sys
folders = [sys.argv[1]]
while folders:
    for child in os.scandir(folders.pop()):
        if child.is_dir():
            folders.append(child.path)
        else:
            with open(child.path, "rb") as stream:
                stream.read()
"""
# A process's peak counts that of the one it was forked from: hence one that is small.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(_engines: Engines, report: Report) -> list[Result]:
    conftest, checkov = peers.conftest(report), peers.checkov(report)
    with TemporaryDirectory(prefix="ollama-iac-bench-") as name:
        folder = Path(name)
        tree, one, monorepo = folder / "declarations", folder / "one", folder / "monorepo"
        size = corpora.declarations(tree)
        report(f"{corpora.FILES} files of {corpora.BLOCKS} blocks, {size / 1e6:.2f} MB")
        rego = peers.conftest_command(conftest, folder / "rego", tree)
        python = peers.checkov_command(checkov, folder / "checks", tree)
        same_findings(tree, rego, python)
        clean = corpora.clean_file(one)
        results = [
            *against_peers(tree, rego, python, report),
            *one_file(clean, peers.checkov_command(checkov, folder / "checks", clean), report),
            peak(tree),
        ]
        size = corpora.monorepo(monorepo)
        report(f"{corpora.MONOREPO_FILES} files, {size / 1e6:.1f} MB")
        results.append(many_files(monorepo, report))
        return [*results, *installed(folder / "environment", report)]


def same_findings(tree: Path, rego: Sequence[str | Path], python: Sequence[str | Path]) -> None:
    """Raises EngineError where one of the three does not find what is there: its time would be of something else."""
    found = {
        _OURS: said([*_CHECK, tree]).count(" error OLL001 "),
        _CONFTEST: said(rego).count("FAIL - "),
        _CHECKOV: said(python).count("FAILED for resource: "),
    }
    if set(found.values()) != {corpora.VIOLATIONS}:
        raise EngineError(f"there are {corpora.VIOLATIONS} violations, and found were {found}")


def against_peers(tree: Path, rego: Sequence[str | Path], python: Sequence[str | Path], report: Report) -> list[Result]:
    ours = process([*_CHECK, tree])
    pairs = interleaved({_OURS: ours, _CONFTEST: process(rego)}, 9, report)
    slow = interleaved({_OURS: ours, _CHECKOV: process(python)}, 3, report)
    return [
        ratio("1,000 files, all rules, against conftest with one", pairs[_OURS], pairs[_CONFTEST], 1.0),
        ratio("1,000 files, all rules, against checkov with one", slow[_OURS], slow[_CHECKOV], 1 / 30),
    ]


def one_file(clean: Path, python: Sequence[str | Path], report: Report) -> list[Result]:
    ours = process([*_CHECK, clean], expected=(0,))
    pairs = interleaved({_OURS: ours, _PYTHON: process([sys.executable, "-c", ""], expected=(0,))}, 21, report)
    slow = interleaved({_OURS: ours, _CHECKOV: process(python)}, 3, report)
    took = pairs[_OURS]
    bare = f"bare python takes {median(pairs[_PYTHON]):.3f} s, {len(took)} pairs"
    return [
        Result("one clean file", median(took), "s", min(took), max(took), 0.06, bare),
        ratio("one clean file, against checkov", slow[_OURS], slow[_CHECKOV], 1 / 45),
    ]


def many_files(monorepo: Path, report: Report) -> Result:
    ours = process([*_CHECK, monorepo], expected=(0,))
    pairs = interleaved({_OURS: ours, _READING: process([sys.executable, "-c", _READ, monorepo])}, 7, report)
    what = f"{corpora.MONOREPO_FILES:,} files with {corpora.MATTERING} that matter, against reading them"
    return ratio(what, pairs[_OURS], pairs[_READING], 1.5)


def peak(tree: Path) -> Result:
    kilobytes = int(said([sys.executable, "-c", PEAK, *_CHECK, tree]))
    return Result("peak resident memory at 1,000 files", kilobytes * 1024 / MIB, "MiB", goal=110)


def installed(environment: Path, report: Report) -> list[Result]:
    """What `pip install` of this checkout brings into an empty environment, pip itself left out."""
    report("installing into an empty environment")
    root = str(Path(__file__).parents[1])
    python = str(environment / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", root],
    ):
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            raise EngineError(f"`pip install` failed: {ran.stderr.strip()[-500:]}")
    listed = json.loads(said([python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]))
    packages = [package["name"] for package in listed if package["name"] not in ("pip", "setuptools")]
    (site,) = environment.glob("lib/python*/site-packages")
    files = [path for path in site.rglob("*") if path.is_file() and not is_of_pip(path, site)]
    size = sum(path.stat().st_size for path in files) / 1e6
    compiled = sum(path.stat().st_size for path in files if path.suffix == ".pyc") / 1e6
    return [
        Result("installed, as distributed", size - compiled, "MB", goal=20),
        Result("installed, with what pip compiles of it", size, "MB"),
        Result("packages installed", len(packages), "", goal=24, detail=", ".join(sorted(packages, key=str.lower))),
    ]


def is_of_pip(path: Path, site: Path) -> bool:
    top = path.relative_to(site).parts[0]
    return top.startswith(("pip", "setuptools", "_distutils_hack", "distutils-precedence", "pkg_resources"))


def process(command: Sequence[str | Path], expected: tuple[int, ...] = (0, 1)) -> Run:
    """What runs a command to its end and says how long that took; reports go nowhere."""

    def run() -> float:
        def work() -> None:
            ran = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
            if ran.returncode not in expected:
                raise EngineError(f"{command[0]} ended with {ran.returncode}: {ran.stderr.decode()[-500:]}")

        return timed(work)

    environment = peers.environment()
    return run


def said(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=peers.environment()).stdout
