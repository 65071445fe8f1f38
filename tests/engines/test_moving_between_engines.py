"""docs/guides/terraform-to-pulumi.md, step by step as it stands: the model stays where it is on a real Ollama."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import call, count, installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.terraform_stack import PROVIDER, TerraformStack

pytestmark = pytest.mark.engines

GUIDE = (Path(__file__).parents[2] / "docs/guides/terraform-to-pulumi.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = "llama3.2:latest"
EMPTY = "import pulumi\n"
# So that the guide's commands ask nobody.
UNATTENDED = {"TF_CLI_ARGS_apply": "-auto-approve -no-color", "PULUMI_SKIP_CONFIRMATIONS": "true"}


def blocks(heading: str) -> list[tuple[str, str]]:
    """The language and the text of each block between a heading and the next of its level or above."""
    _, found, rest = GUIDE.partition(f"\n{heading}\n")
    assert found
    level = heading.count("#")
    section = re.split(f"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [(block[1], block[2]) for block in _BLOCK.finditer(section)]


def follow(steps: list[tuple[str, str]], stack: PulumiStack | TerraformStack) -> str:
    """Writes the files and runs the commands of the guide, in their order; what the commands said."""
    said = ""
    for language, text in steps:
        if language == "sh":
            said += shell(text, stack)
        else:
            file = {"hcl": "main.tf", "python": "__main__.py", "yaml": "Pulumi.yaml"}[language]
            (stack.project / file).write_text(text)
    return said


def shell(commands: str, stack: PulumiStack | TerraformStack) -> str:
    ran = subprocess.run(
        ["bash", "-euc", commands],
        cwd=stack.project,
        env=stack.environment | UNATTENDED,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture
def there(ollama: OllamaServer, tiny: Path) -> OllamaServer:
    """A server that has the guide's model already, so that any pull would be one too many."""
    ollama.create_from_gguf("llama3.2", tiny)
    return ollama


@contextmanager
def undisturbed(server: OllamaServer) -> Iterator[None]:
    """The model keeps its pin and its process, and nothing is pulled, loaded, unloaded or deleted meanwhile."""
    before, [runner], since = installed(server), server.runners(), server.mark()
    yield
    assert (installed(server), pinned(server)) == (before, [NAME])
    assert [process.pid for process in server.runners()] == [runner.pid]
    changing = ("/api/pull", "/api/generate", "/api/embed", "/api/delete", "/api/create", "/api/copy")
    assert {path: count(server, since, path) for path in changing} == dict.fromkeys(changing, 0)


def owned_by_terraform(terraform_of: TerraformMaker) -> TerraformStack:
    _, declared = blocks("## From Terraform to Pulumi")[0]
    terraform = terraform_of(declared)
    terraform.apply()
    assert terraform.state()["ollama_model.chat"]["pinned"] is True
    return terraform


def owned_by_pulumi(stack_of: StackMaker) -> PulumiStack:
    _, declared = blocks("### 2. Pulumi takes over")[0]
    stack = stack_of(declared)
    stack.up()
    return stack


def models(stack: PulumiStack) -> list[str]:
    """The URNs of the models in a stack's state."""
    return [each["urn"] for each in stack.export()["deployment"].get("resources", []) if ":Model::" in each["urn"]]


def by_a_removed_block(terraform: TerraformStack) -> None:
    said = follow(blocks("### 1. Terraform lets go"), terraform)
    assert "0 added, 0 changed, 0 destroyed" in said


def by_state_rm(terraform: TerraformStack) -> None:
    command = "terraform state rm ollama_model.chat"
    assert f"`{command}`" in GUIDE
    terraform.configure("")
    shell(command, terraform)


@pytest.mark.parametrize("let_go", [by_a_removed_block, by_state_rm])
def test_from_terraform_to_pulumi(
    terraform_of: TerraformMaker, stack_of: StackMaker, there: OllamaServer, let_go: Callable[[TerraformStack], None]
) -> None:
    terraform = owned_by_terraform(terraform_of)
    with undisturbed(there):
        let_go(terraform)
        assert terraform.state() == {}
        stack = stack_of(EMPTY)
        assert "created" in follow(blocks("### 2. Pulumi takes over"), stack)
        assert stack.up().changes == {"same": 2}
        assert len(models(stack)) == 1
        terraform.configure("")
        assert terraform.plan().planned == {}
    stack.destroy()
    assert ([one["name"] for one in there.tags()], there.runners()) == (["llama3.2:latest"], []), "it was there before"


def test_from_terraform_to_pulumi_through_the_bridge(
    terraform_of: TerraformMaker, bridged_stack_of: StackMaker, there: OllamaServer, tmp_path: Path
) -> None:
    terraform = owned_by_terraform(terraform_of)
    steps = blocks("### 2, through the bridge")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(steps[0][1])
    with undisturbed(there):
        by_a_removed_block(terraform)
        stack = bridged_stack_of(folder)
        assert "1 imported" in follow(steps[:2], stack)
        program = (stack.project / "Pulumi.yaml").read_text()
        (stack.project / "Pulumi.yaml").write_text(re.sub(r"\n *options:\n *import: .*", "", program))
        assert stack.up().changes == {"same": 2}
        assert str(PROVIDER) in (stack.project / "Pulumi.yaml").read_text()
        assert "2 unchanged" in follow(steps[2:], stack)
        assert str(PROVIDER) not in (stack.project / "Pulumi.yaml").read_text()
    stack.destroy()
    assert ([one["name"] for one in there.tags()], there.runners()) == (["llama3.2:latest"], []), "it was there before"


def by_retaining(stack: PulumiStack) -> None:
    steps = blocks("### 1. Pulumi lets go")
    follow(steps[:2], stack)
    stack.set_program(EMPTY)
    assert "[retain]" in follow(steps[2:], stack)


def by_state_delete(stack: PulumiStack) -> None:
    assert "`pulumi state delete URN`" in GUIDE
    [urn] = models(stack)
    assert urn in shell("pulumi stack --show-urns", stack)
    stack.set_program(EMPTY)
    shell(f"pulumi state delete '{urn}'", stack)


@pytest.mark.parametrize("let_go", [by_retaining, by_state_delete])
def test_from_pulumi_to_terraform(
    terraform_of: TerraformMaker, stack_of: StackMaker, there: OllamaServer, let_go: Callable[[PulumiStack], None]
) -> None:
    stack = owned_by_pulumi(stack_of)
    with undisturbed(there):
        let_go(stack)
        assert models(stack) == []
        stack.up()
        terraform = terraform_of("")
        said = follow(blocks("### 2. Terraform takes over"), terraform)
        assert "1 imported, 0 added, 0 changed, 0 destroyed" in said
        assert terraform.plan().planned == {}
    terraform.destroy()
    assert ([one["name"] for one in there.tags()], there.runners()) == (["llama3.2:latest"], []), "it was there before"


@pytest.mark.parametrize(("on_destroy", "stays"), [("keep", True), ("unload", False)])
def test_on_destroy_is_the_same_under_both_engines(
    terraform_of: TerraformMaker, stack_of: StackMaker, there: OllamaServer, on_destroy: str, stays: bool
) -> None:
    declared = f'name = "llama3.2"\n memory_management = "manual"\n on_destroy = "{on_destroy}"'
    terraform = terraform_of(f'resource "ollama_model" "chat" {{\n {declared}\n}}\n')
    terraform.apply()
    terraform.destroy()
    assert bool(there.runners()) == stays
    arguments = ", ".join(declared.splitlines())
    stack = stack_of(f"from ollama_provider import OllamaModel\nOllamaModel('chat', {arguments})\n")
    stack.up()
    stack.destroy()
    assert bool(there.runners()) == stays
    assert list(installed(there)) == [NAME]


def test_a_model_that_was_unloaded_in_between_is_loaded_and_not_pulled(
    terraform_of: TerraformMaker, stack_of: StackMaker, there: OllamaServer
) -> None:
    by_a_removed_block(owned_by_terraform(terraform_of))
    call(there, NAME, keep_alive=0)
    since = there.mark()
    follow(blocks("### 2. Pulumi takes over"), stack_of(EMPTY))
    assert (count(there, since, "/api/pull"), count(there, since, "/api/generate")) == (0, 1)
    assert pinned(there) == [NAME]
