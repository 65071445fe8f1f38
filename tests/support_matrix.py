"""`python -m tests.support_matrix docs/support.md`: which versions the tests run on, and what is only read.

The page comes from the collected tests (which module runs on which engine), the recipes of the engines, and the table
of Ollama's versions. `make generated` writes it, and a test compares it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from ollama_provider.ollama.versions import NEWEST_KNOWN, OLDEST_SUPPORTED, Behavior, Version, dotted
from tests.engines.recipes import BRIDGE, OLLAMA, OLLAMA_BEFORE_0_30, OLLAMAS, OPENTOFU, PULUMI

ROOT = Path(__file__).parents[1]
TERRAFORM = "1.15.5"  # in the library that the tests drive; one of them compares it

# Which tool a test runs, by a fixture that it asks for.
TOOLS = {
    "stack_of": f"Pulumi {PULUMI.version}",
    "terraform_of": f"Terraform {TERRAFORM}",
    "opentofu": f"OpenTofu {OPENTOFU.version}",
    "bridge": f"Pulumi's bridge for Terraform providers {BRIDGE.version}",
}

Ran = dict[str, set[str]]  # a tool and its version, and the modules that run it


class _Collected:
    def __init__(self) -> None:
        self.modules: Ran = defaultdict(set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            assert isinstance(item, pytest.Function)
            module = item.path.relative_to(ROOT).as_posix()
            if "engine" in item.fixturenames:
                version = item.callspec.params.get("engine", OLLAMA.version)
                self.modules[f"Ollama {version}"].add(module)
            for fixture, tool in TOOLS.items():
                if fixture in item.fixturenames:
                    self.modules[tool].add(module)


def collected() -> Ran:
    """Raises SystemExit where a module of tests cannot be imported."""
    found = _Collected()
    options = ["--collect-only", "--quiet", "--quiet", "--no-header", "-p", "no:cacheprovider", "-m", "engines"]
    status = pytest.ExitCode(pytest.main([*options, str(ROOT / "tests")], plugins=[found]))
    if status:
        raise SystemExit(f"the tests could not be collected: {status.name}")
    return dict(found.modules)


def page(ran: Ran) -> str:
    python = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    by_command = [version for version in OLLAMAS if version not in (OLLAMA.version, OLLAMA_BEFORE_0_30.version)]
    return f"""# What is supported, and how that is known

`python -m tests.support_matrix` writes this page from the tests that run real engines, and from the table of what
Ollama does from which version on (`provider/ollama_provider/ollama/versions.py`).

## Ollama

- Works with {dotted(OLDEST_SUPPORTED)} and later. An older server is refused with one sentence.
- Every engine test runs on {OLLAMA.version}. Those listed below run on {OLLAMA_BEFORE_0_30.version} too, the last
  version in the Go proxy's list before 0.30.
- By a command, outside of the whole run: {", ".join(by_command)} (`pytest --ollama VERSION`).
- A version that is newer than {dotted(NEWEST_KNOWN)} is treated like it, and the live commands say so.
- Not run: GPUs, macOS, Windows, and MLX models. What is said about them is read in Ollama's source.

## What the tests run

{_table(("tool", "test modules"), ((tool, _modules(ran[tool])) for tool in sorted(ran)))}

Python: {python} by `pyproject.toml`; the tests run on the version that `make` finds as `python3`.

## What Ollama does, from which version on

"Measured" was seen on a real server. "Read" is only read in the source.

{_table(("what", "from", "before", "known by", "source"), (_row(behavior) for behavior in Behavior))}
"""


def _modules(modules: Iterable[str]) -> str:
    return ", ".join(f"`{re.sub(r'^tests/(engines/)?|[.]py$', '', module)}`" for module in sorted(modules))


def _row(behavior: Behavior) -> tuple[str, ...]:
    known_by = "measured" if behavior.is_measured else "read"
    return behavior.what, _shown(behavior.since), _shown(behavior.until), known_by, behavior.source


def _shown(version: Version | None) -> str:
    return dotted(version) if version else ""


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    text = page(collected())
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
