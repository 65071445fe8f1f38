"""pre-commit, GitHub, GitLab and `init`: what the repository offers to them runs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_policy.commands.init.install_source import PLACEHOLDER, own
from ollama_policy.commands.init.starter import FILES
from tests.policies.conftest import AUTOMATIC, MANUAL, Command

pytestmark = pytest.mark.slow

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
    commit = len(job["script"]) - 4
    lines = job["script"][commit:]
    assert lines[0] == "code=0"
    environment = os.environ | job["variables"] | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "a.tf:3:23 error OLL001" in done.stdout
    assert (tree / job["artifacts"]["reports"]["codequality"]).exists()


@pytest.mark.parametrize("commit", ["", "main", "0123abc"])
def test_the_gitlab_job_installs_nothing_without_a_commit(tree: Path, commit: str) -> None:
    job = yaml.safe_load((REPOSITORY / "gitlab/ollama-policy.yml").read_text())["ollama-policy"]
    environment = os.environ | job["variables"] | {"OLLAMA_POLICY_COMMIT": commit}
    done = subprocess.run(["bash", "-e", "-c", job["script"][0]], env=environment, capture_output=True, check=False)
    assert (done.returncode, b"OLLAMA_POLICY_COMMIT to 40 hex digits" in done.stdout) == (2, True)


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
    assert f"replace {PLACEHOLDER} in these files" in result.stdout
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


COMMIT = "0123456789abcdef" * 2 + "01234567"
GIT = f"git+https://git.example/iac.git@{COMMIT}"
WHEEL = f"https://files.example/ollama_iac-0.1.0-py3-none-any.whl#sha256={'ab' * 32}"
REQUIREMENT = re.compile(r'python -m pip install --quiet --no-deps --no-build-isolation "(.*)"')


def jobs(tree: Path) -> tuple[str, str, dict[str, Any]]:
    """The scripts of GitHub's and GitLab's jobs, and pre-commit's only repository."""
    github = yaml.safe_load((tree / ".github/workflows/ollama-policy.yml").read_text())
    gitlab = yaml.safe_load((tree / ".gitlab-ci.yml").read_text())
    [hooks] = yaml.safe_load((tree / ".pre-commit-config.yaml").read_text())["repos"]
    return github["jobs"]["check"]["steps"][2]["run"], gitlab["ollama-policy"]["script"][0], hooks


@pytest.mark.parametrize("source", [GIT, WHEEL])
def test_the_jobs_install_the_source_that_is_named_and_the_rest_by_hashes(
    tree: Path, command: Command, source: str
) -> None:
    assert command("init", "--source", source).exit_code == 0
    github, gitlab, hooks = jobs(tree)
    for script in (github, gitlab):
        assert REQUIREMENT.findall(script) == [f"ollama-iac @ {source}"]
        assert "--require-hashes --requirement ollama-policy-requirements.txt" in script
    if source == GIT:
        assert (hooks["repo"], hooks["rev"]) == ("https://git.example/iac.git", COMMIT)
    else:
        assert source in (tree / ".pre-commit-config.yaml").read_text()
    assert "replace" not in command("init", "--source", source).stdout


def test_a_source_that_is_named_later_replaces_the_placeholder_and_nothing_else(tree: Path, command: Command) -> None:
    command("init")
    (tree / ".gitlab-ci.yml").write_text("mine")
    ours = tree / ".github/workflows/ollama-policy.yml"
    ours.write_text(ours.read_text() + "# mine\n")
    before = {name: (tree / name).read_text() for name in FILES}
    result = command("init", "--source", WHEEL)
    assert f"replaced {PLACEHOLDER} in .github/workflows/ollama-policy.yml\n" in result.stdout
    assert "replace git+" not in result.stdout
    assert {name: (tree / name).read_text() for name in FILES} == {
        name: text.replace(PLACEHOLDER, WHEEL) for name, text in before.items()
    }


def test_a_wheel_in_the_folder_is_installed_by_its_hash(tree: Path, command: Command) -> None:
    wheel = wheel_in(tree / "wheels")
    assert command("init", "--source", f"wheels/{wheel.name}").exit_code == 0
    [requirement] = REQUIREMENT.findall(jobs(tree)[0])
    assert installing(tree, requirement).returncode == 0
    wheel.write_bytes(wheel.read_bytes() + b"x")
    done = installing(tree, requirement)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def wheel_in(folder: Path) -> Path:
    folder.mkdir()
    wheel = folder / "ollama_iac-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            "ollama_iac-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ollama-iac\nVersion: 0.1.0\n"
        )
        archive.writestr(
            "ollama_iac-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("ollama_iac-0.1.0.dist-info/RECORD", "")
    return wheel


def installing(tree: Path, requirement: str) -> "subprocess.CompletedProcess[str]":
    """Real pip, in a shell as a job has it, without an index."""
    line = f'{sys.executable} -m pip install --quiet --no-deps --no-index --target "$OUT" "{requirement}"'
    environment = os.environ | {"OUT": str(tree.parent / "out"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(["bash", "-c", line], cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_a_checkout_in_the_folder_is_installed(tree: Path, command: Command) -> None:
    (tree / "iac").mkdir()
    shutil.copy(REPOSITORY / "pyproject.toml", tree / "iac")
    assert command("init", "--source", "iac").exit_code == 0
    assert REQUIREMENT.findall(jobs(tree)[1]) == ["ollama-iac @ file://$PWD/iac"]


@pytest.mark.parametrize(
    "source",
    [
        "ollama-iac",
        "ollama-iac==0.1.0",
        "git+https://git.example/iac.git",
        "git+https://git.example/iac.git@main",
        "https://files.example/ollama_iac-0.1.0-py3-none-any.whl",
        'git+https://x"; rm -rf /; "@' + COMMIT,
        "../iac",
        "/iac",
        "none.whl",
    ],
)
def test_what_is_no_source_of_somebody_is_refused(tree: Path, command: Command, source: str) -> None:
    result = command("init", "--source", source)
    assert (result.exit_code, "expected git+https://" in result.stderr) == (2, True), result.output
    assert [path.name for path in tree.iterdir()] == [".git"]


def test_what_was_installed_from_a_folder_names_no_source() -> None:
    assert own() == ""


def test_what_is_locked_has_hashes_and_is_all_that_is_needed() -> None:
    text = (REPOSITORY / "policies/ollama_policy/locked_requirements.txt").read_text()
    locked = re.findall(r"^([\w-]+)==[\w.]+ (?:; .* )?\\\n    --hash=sha256:[0-9a-f]{64}", text, flags=re.M)
    assert len(locked) == len(re.findall(r"^\w", text, flags=re.M))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    assert {re.split(r"[<>=]", one)[0] for one in needed} <= set(locked)


def texts() -> Iterator[Path]:
    """All that people read, run or are told, in this repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if not name.startswith(("tests/", "benchmarks/")) and not name.endswith((".gguf", ".png")):
            yield REPOSITORY / name


def test_nothing_installs_a_package_of_an_index_that_nobody_owns() -> None:
    installer = r"(pip[x3]? install|uv (pip|tool|add)|uvx|pipx run|additional_dependencies)"
    by_name = re.compile(installer + r".*ollama[-_](iac|policy)(?!\S* @|[\w/]*\.|-requirements)|ollama-iac==")
    found = [
        f"{path.relative_to(REPOSITORY)}: {line}"
        for path in texts()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if by_name.search(line)
    ]
    assert found == []
