"""A plan says what will not fit beside what is pinned, with the sums: on real Terraform, Pulumi and Ollama."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.programs import program
from tests.engines.terraform_stack import configuration

pytestmark = pytest.mark.engines
MANUAL = {"memory_management": "manual"}


@pytest.fixture
def two(ollama: OllamaServer, tiny: Path, ggufs: Any) -> dict[str, dict[str, Any]]:
    """Two models on the server; a runner of each takes about 45 MiB."""
    ollama.create_from_gguf("one", tiny)
    ollama.create_from_gguf("two", ggufs(1))
    return {"one": {"name": "one"} | MANUAL, "two": {"name": "two"} | MANUAL}


def provider(**settings: str) -> str:
    return 'provider "ollama" {\n' + "".join(f'  {key} = "{value}"\n' for key, value in settings.items()) + "}\n"


def test_terraform_warns_with_the_sums_and_an_attribute_makes_it_an_error(
    terraform_of: TerraformMaker, ollama: OllamaServer, two: dict[str, dict[str, Any]]
) -> None:
    stack = terraform_of(provider(memory="1GiB") + configuration(**two))
    assert stack.plan().diagnoses == []
    stack.configure(provider(memory="60MiB") + configuration(**two))
    [warning] = stack.plan().diagnoses
    assert (warning.severity, warning.summary.split()[1:]) == ("warning", ["will", "not", "fit"])
    assert "that is or will be pinned there (" in warning.detail
    assert "the server has 60 MiB" in warning.detail
    stack.configure(provider(memory="60MiB", memory_check="error") + configuration(**two))
    [error] = stack.plan(check=False).errors
    assert error.snippet.startswith("memory_management")
    stack.configure(provider(memory="60MiB", memory_check="off") + configuration(**two))
    stack.apply()
    assert len(pinned(ollama)) == 2
    stack.configure(provider(memory="60MiB") + configuration(**two))
    assert stack.plan().diagnoses == [], "what is as declared is not judged anew"


def test_terraform_refuses_settings_that_are_none(terraform_of: TerraformMaker) -> None:
    stack = terraform_of(provider(memory="much", memory_check="maybe") + configuration(m={"name": "m"}))
    assert {error.summary for error in stack.plan(check=False).errors} == {"Wrong memory", "Wrong memory_check"}


def test_pulumi_warns_in_a_preview_and_can_refuse(
    stack_of: StackMaker, ollama: OllamaServer, two: dict[str, dict[str, Any]]
) -> None:
    stack = stack_of(program(**two))
    stack.config("ollama:memory", "60MiB")
    preview = stack.preview()
    assert "warning: " in preview.text
    assert "the server has 60 MiB" in preview.text
    stack.config("ollama:memoryCheck", "error")
    refused = stack.preview(check=False)
    assert refused.returncode != 0
    assert "is to be pinned and takes about" in refused.text
    assert "Traceback" not in refused.text
    stack.config("ollama:memoryCheck", "off")
    stack.up()
    assert len(pinned(ollama)) == 2
