"""What ours is measured beside, brought into the user's cache where it is not on PATH.

conftest and gguf-parser are built as Go modules, Ollama anew with this machine's vector instructions; checkov and
TensorFlow each have an environment of their own. PyTorch is Debian's, for its wheels come with gigabytes for GPUs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measuring import Report
from tests.engines.build import build
from tests.engines.errors import ToolchainError
from tests.engines.recipes import CONFTEST, GGUF_PARSER, OLLAMA_NATIVE
from tests.engines.toolchain import cache

CHECKOV = "3.3.30"
TENSORFLOW = "2.21.0"
_SYSTEM_PYTHON = Path("/usr/bin/python3")

# One rule, the same as OLL001's, for both. Rego's `not` is also true of what is not there.
REGO = """\
package main

deny contains message if {
  some name, blocks in input.resource.ollama_model
  some block in blocks
  block.memory_management == "automatic"
  not block.keep_alive
  message := sprintf("nothing bounds how long %s stays in memory", [name])
}
"""
PYTHON = """\
from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck


class AutomaticWithoutBound(BaseResourceCheck):
    def __init__(self):
        what = "nothing bounds how long it stays in memory"
        super().__init__(what, "CKV_OLLAMA_1", [CheckCategories.GENERAL_SECURITY], ["ollama_model"])

    def scan_resource_conf(self, conf):
        is_bad = conf.get("memory_management") == ["automatic"] and "keep_alive" not in conf
        return CheckResult.FAILED if is_bad else CheckResult.PASSED


check = AutomaticWithoutBound()
"""


def conftest(report: Report) -> Path:
    """The binary. Raises ToolchainError."""
    if found := shutil.which("conftest"):
        return Path(found)
    folder = _folder() / CONFTEST.folder
    if not folder.is_dir():
        build(CONFTEST, folder, report)
    return folder / "conftest"


def gguf_parser(report: Report) -> Path:
    """A binary that asks the library for one figure; its arguments are in the recipe. Raises ToolchainError."""
    folder = _folder() / GGUF_PARSER.folder
    if not folder.is_dir():
        build(GGUF_PARSER, folder, report)
    return folder / "gguf-parser"


def checkov(report: Report) -> list[str]:
    """The beginning of its command line. Raises CalledProcessError where it cannot be installed."""
    if found := shutil.which("checkov"):
        return [found]
    python = _python_with("checkov", f"checkov=={CHECKOV}", CHECKOV, report)
    # By the interpreter: the script's first line names the folder that it was installed in.
    return [str(python), str(python.with_name("checkov"))]


def tensorflow(report: Report) -> Path:
    """A Python that has it. Raises CalledProcessError where it cannot be installed."""
    return _python_with("tensorflow", f"tensorflow-cpu=={TENSORFLOW}", TENSORFLOW, report)


def torch(report: Report) -> Path:
    """A Python that has it. Raises ToolchainError."""
    report("looking for PyTorch")
    if _SYSTEM_PYTHON.exists():
        looked = subprocess.run([_SYSTEM_PYTHON, "-c", "import torch"], capture_output=True, check=False)
        if looked.returncode == 0:
            return _SYSTEM_PYTHON
    raise ToolchainError(f"{_SYSTEM_PYTHON} has no PyTorch: install Debian's package python3-torch")


def native_ollama(report: Report) -> Path:
    """Ollama as its releases are, with all that this machine's processor can do. Raises ToolchainError."""
    folder = _folder() / OLLAMA_NATIVE.folder
    if not folder.is_dir():
        build(OLLAMA_NATIVE, folder, report)
    return folder / "ollama"


def _python_with(name: str, requirement: str, version: str, report: Report) -> Path:
    """The interpreter of an environment that has nothing else."""
    folder = _folder() / f"{name}-{version}"
    if not folder.is_dir():
        report(f"installing {requirement}, which takes some minutes")
        work = folder.with_name(f"{folder.name}.building")
        shutil.rmtree(work, ignore_errors=True)
        work.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", work], check=True)
        subprocess.run([work / "bin" / "python", "-m", "pip", "install", "--quiet", requirement], check=True)
        work.rename(folder)
    return folder / "bin" / "python"


def conftest_command(binary: Path, rules: Path, what: Path) -> list[str | Path]:
    """The command that checks a folder or a file with the one rule, which is written to `rules`."""
    rules.mkdir(exist_ok=True)
    (rules / "automatic.rego").write_text(REGO)
    return [binary, "test", what, "--parser", "hcl2", "--no-color", "--policy", rules]


def checkov_command(checkov: list[str], rules: Path, what: Path) -> list[str | Path]:
    """As above. It looks for all kinds of files, as ours does; it asks no server, and runs no check but this one."""
    rules.mkdir(exist_ok=True)
    (rules / "__init__.py").touch()
    (rules / "automatic.py").write_text(PYTHON)
    where = "--file" if what.is_file() else "--directory"
    return [*checkov, where, what, "--external-checks-dir", rules, "--check", "CKV_OLLAMA_1", "--skip-download"]


def environment() -> dict[str, str]:
    """Of all of them: without logs, and with Python's compiled files, as an installation has them."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "LOG_LEVEL": "ERROR", "NO_COLOR": "1"}


def _folder() -> Path:
    return cache().parent / "peers"
