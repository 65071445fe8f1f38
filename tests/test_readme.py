"""Every command in the README runs: in a fresh clone, with a fresh environment, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StackMaker
from tests.engines.observing import pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry

ROOT = Path(__file__).parent.parent
# What the tests themselves are run by, or run elsewhere: the demo in test_demo.py.
RUN_ELSEWHERE = {"make demo", "make test"}
# The checker finds a block without a bound among the examples, and that its model is on no server.
FINDS = {
    "ollama-policy check .": {1},
    "ollama-policy drift examples/terraform/document": {1},
    "ollama-policy remedies": {0, 1},
}
NEEDS_A_YES = ("pulumi up", "pulumi refresh", "pulumi destroy")


def blocks() -> list[list[str]]:
    """The commands of each block; each block begins in the clone's own folder."""
    found = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in found]


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for file in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?<=[`\n$] )?\bmake ([a-z-]+)", (ROOT / file).read_text(encoding="utf-8")))
        assert named - targets <= {"this", "it"}, file


def test_every_link_leads_somewhere() -> None:
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8"))
        missing = [link for link in links if "://" not in link and not (file.parent / link).exists()]
        assert missing == [], file


def test_the_first_page_is_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_document_s_block_is_reported_as_the_readme_shows(tmp_path: Path) -> None:
    block = '  name = "example-model"\n  memory_management = "automatic"\n'
    (tmp_path / "models.tf").write_text(f'resource "ollama_model" "my_model" {{\n{block}}}\n')
    checker = Path(sys.executable).with_name("ollama-policy")
    ran = subprocess.run([checker, "check", "."], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert f"```text\n{ran.stdout}```" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.engines
@pytest.mark.timeout(600)
def test_the_commands_run_in_a_fresh_clone_and_a_fresh_environment(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=60)
    stack: PulumiStack = stack_of("")  # a Pulumi home and backend of its own
    bin_folder = tmp_path / "venv" / "bin"
    environment = stack.environment | {
        "PATH": f"{bin_folder}{os.pathsep}{stack.environment['PATH']}",
        "VIRTUAL_ENV": str(bin_folder.parent),
        "HOME": str(tmp_path),  # where Terraform looks for what was installed
    }
    environment = {name: value for name, value in environment.items() if not name.startswith("TF_")}
    folder, seen = clone, []
    for command in (line for block in blocks() for line in [f"cd {clone}", *block]):
        if command in RUN_ELSEWHERE:
            continue
        if command.startswith("cd "):
            folder = folder / command.removeprefix("cd ")
            continue
        if "probe" in command:
            pulled = {"model": registry.reference("tiny:latest"), "insecure": True, "stream": False}
            ollama.call("POST", "/api/pull", pulled).raise_for_status()
            # One thread: on a busy machine several wait for each other longer than they compute.
            made = {"model": pulled["model"], "from": pulled["model"], "parameters": {"num_thread": 1}, "stream": False}
            ollama.call("POST", "/api/create", made).raise_for_status()
        command = command.replace("llama3.2", registry.reference("tiny:latest"))
        if command.startswith("pulumi stack init"):
            command += " && pulumi config set insecure true"  # the tests' registry is plain HTTP
        if command.startswith(NEEDS_A_YES):
            command += " --yes --skip-preview"
        ran = subprocess.run(
            ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert ran.returncode in FINDS.get(command, {0}), f"{command}\n{ran.stdout}{ran.stderr}"
        seen.append(command.split()[0])
        if command.startswith("pulumi up"):
            assert pinned(ollama) == [registry.reference("tiny:latest")]
        if command.startswith("pulumi destroy"):
            assert (ollama.tags(), ollama.runners()) == ([], [])
    assert {"pip", "ollama-policy", "pulumi", "terraform-provider-ollama", "terraform"} <= set(seen)
    assert [model["name"] for model in ollama.tags()] == [registry.reference("tiny:latest")], "what was probed"
    shutil.rmtree(tmp_path / "venv")
