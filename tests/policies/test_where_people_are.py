"""pre-commit, GitHub, GitLab and `init`: what the repository offers to them runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_policy.starter import FILES
from tests.policies.conftest import AUTOMATIC, MANUAL, Command

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A repository that offers our hooks."""
    folder = tmp_path / "hooks"
    folder.mkdir()
    shutil.copy(REPOSITORY / ".pre-commit-hooks.yaml", folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "hooks")
    return folder


def pre_commit(hooks: Path, tree: Path, hook: str) -> "subprocess.CompletedProcess[str]":
    """Runs a hook with the program that is installed here: what its own environment would install needs a network."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=hooks, check=True, capture_output=True, text=True).stdout
    configuration = {
        "repos": [{"repo": str(hooks), "rev": commit.strip(), "hooks": [{"id": hook, "language": "system"}]}]
    }
    (tree / ".pre-commit-config.yaml").write_text(yaml.safe_dump(configuration))
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    environment = os.environ | {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(tree.parent / "cache"),
    }
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_pre_commit_really_runs(hooks: Path, tree: Path) -> None:
    pytest.importorskip("pre_commit")
    (tree / "a.tf").write_text(AUTOMATIC)
    done = pre_commit(hooks, tree, "ollama-policy")
    assert done.returncode == 1
    assert "a.tf:3:23 error OLL001" in done.stdout, done.stdout + done.stderr
    fixed = pre_commit(hooks, tree, "ollama-policy-fix")
    assert "files were modified by this hook" in fixed.stdout, fixed.stdout + fixed.stderr
    assert (tree / "a.tf").read_text() == MANUAL
    assert pre_commit(hooks, tree, "ollama-policy").returncode == 0


def test_the_hooks_look_at_what_the_checker_looks_at() -> None:
    (pattern,) = {hook["files"] for hook in yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text())}
    for name in (
        "a/b.tf",
        "compose.yml",
        "Dockerfile",
        "Dockerfile.gpu",
        ".env.ollama",
        "ollama.service.j2",
        "Modelfile",
    ):
        assert re.search(pattern, name), name
    assert not re.search(pattern, "README.md")


def scripts(action: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for step in action["runs"]["steps"]:
        yield step["name"], step["run"]


def test_the_action_checks_and_reports(tree: Path) -> None:
    action = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    by_name = dict(scripts(action))
    assert not any("${{" in script for script in by_name.values()), "an input is data, not part of a script"
    (tree / "infra").mkdir()
    (tree / "infra/a.tf").write_text(AUTOMATIC)
    summary = tree.parent / "summary.md"
    summary.write_text("")
    (tree.parent / "ollama-policy/bin").mkdir(parents=True)
    (tree.parent / "ollama-policy/bin/ollama-policy").symlink_to(PROGRAMS / "ollama-policy")
    environment = os.environ | {
        "RUNNER_TEMP": str(tree.parent),
        "GITHUB_STEP_SUMMARY": str(summary),
        "PATHS": "infra",
        "ARGUMENTS": "--select OLL001",
        "SARIF": "report.sarif",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", by_name["Check"]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=infra/a.tf,line=3,col=23,")
    assert "1 error, 0 warnings" in summary.read_text()
    assert (tree / "report.sarif").exists()


def test_the_gitlab_job_checks_and_reports(tree: Path) -> None:
    job = yaml.safe_load((REPOSITORY / "gitlab/ollama-policy.yml").read_text())["ollama-policy"]
    (tree / "a.tf").write_text(AUTOMATIC)
    lines = [line for line in job["script"] if not line.startswith("pip ")]
    environment = os.environ | job["variables"] | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "a.tf:3:23 error OLL001" in done.stdout
    assert (tree / job["artifacts"]["reports"]["codequality"]).exists()


def test_init_writes_a_starter_and_overwrites_nothing(tree: Path, command: Command) -> None:
    (tree / ".gitlab-ci.yml").write_text("mine")
    result = command("init")
    assert result.exit_code == 0
    assert "wrote ollama-policy.toml" in result.stdout
    assert ".gitlab-ci.yml is there, and is left as it is; add:\nollama-policy:" in result.stdout
    assert (tree / ".gitlab-ci.yml").read_text() == "mine"
    for name in FILES:
        if name.endswith((".yaml", ".yml")):
            yaml.safe_load((tree / name).read_text())
    (tree / "a.tf").write_text(MANUAL)
    assert command("check", "--select", "OLL001").exit_code == 0, "the starter is a configuration"
    before = {name: (tree / name).read_text() for name in FILES}
    assert "wrote" not in command("init").stdout
    assert {name: (tree / name).read_text() for name in FILES} == before


def test_all_keys_of_the_starter_are_keys(tree: Path, command: Command) -> None:
    command("init")
    text = (tree / "ollama-policy.toml").read_text()
    (tree / "ollama-policy.toml").write_text(re.sub(r"^# (?=[a-z\[\"O].*(?:=|\]))", "", text, flags=re.M))
    (tree / "ollama-policy-baseline.json").write_text('{"version": 1, "findings": []}')
    (tree / "a.tf").write_text(MANUAL)
    result = command("check")
    assert result.exit_code == 0, result.output
