"""A plan says what will not fit beside what is pinned, with the sums: on real Terraform, Pulumi and Ollama."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.programs import program
from tests.engines.terraform_stack import configuration

pytestmark = [pytest.mark.engines, pytest.mark.alone]
MANUAL = {"memory_management": "manual"}


@pytest.fixture
def two(ollama: OllamaServer, tiny: Path, ggufs: Any) -> dict[str, dict[str, Any]]:
    """Two models on the server; a runner of each takes about 20 MiB, and may grow by 8 GiB."""
    ollama.create_from_gguf("one", tiny)
    ollama.create_from_gguf("two", ggufs(1))
    return {"one": {"name": "one"} | MANUAL, "two": {"name": "two"} | MANUAL}


def provider(**settings: str) -> str:
    return 'provider "ollama" {\n' + "".join(f'  {key} = "{value}"\n' for key, value in settings.items()) + "}\n"


def test_terraform_warns_with_the_sums_and_an_attribute_makes_it_an_error(
    terraform_of: TerraformMaker, ollama: OllamaServer, two: dict[str, dict[str, Any]]
) -> None:
    stack = terraform_of(provider(memory="64GiB") + configuration(**two))
    assert stack.plan().diagnoses == []
    stack.configure(provider(memory="30MiB") + configuration(**two))
    warnings = stack.plan().diagnoses
    assert {warning.severity for warning in warnings} == {"warning"}
    [misfit] = [warning for warning in warnings if "is or will be pinned there (" in warning.detail]
    assert misfit.summary.endswith(" will not fit")
    assert "the server has 30 MiB" in misfit.detail
    assert "past the memory the kernel kills" in " ".join(misfit.detail.split())
    stack.configure(provider(memory="30MiB", memory_check="error") + configuration(**two))
    errors = stack.plan(check=False).errors
    assert {error.snippet.partition(" ")[0] for error in errors} == {"memory_management"}
    stack.configure(provider(memory="30MiB", memory_check="off") + configuration(**two))
    stack.apply()
    assert len(pinned(ollama)) == 2
    stack.configure(provider(memory="30MiB") + configuration(**two))
    assert stack.plan().diagnoses == [], "what is as declared is not judged anew"


def test_what_may_outgrow_the_memory_is_a_warning_whatever_is_set(
    terraform_of: TerraformMaker, ollama: OllamaServer, two: dict[str, dict[str, Any]]
) -> None:
    for check in ("warn", "error"):
        stack = terraform_of(provider(memory="10GiB", memory_check=check) + configuration(**two))
        [warning] = stack.plan().diagnoses
        assert (warning.severity, warning.summary.endswith(" may outgrow the memory")) == ("warning", True)
        detail = " ".join(warning.detail.split())
        assert "may grow by 8 GiB: bound it with LLAMA_ARG_CACHE_RAM" in detail
        assert "which may grow by 8 GiB; the server has 10 GiB" in detail


def test_terraform_refuses_settings_that_are_none(terraform_of: TerraformMaker) -> None:
    stack = terraform_of(provider(memory="much", memory_check="maybe") + configuration(m={"name": "m"}))
    assert {error.summary for error in stack.plan(check=False).errors} == {"Wrong memory", "Wrong memory_check"}


def test_pulumi_warns_in_a_preview_and_can_refuse(
    stack_of: StackMaker, ollama: OllamaServer, two: dict[str, dict[str, Any]]
) -> None:
    stack = stack_of(program(**two))
    stack.config("ollama:memory", "30MiB")
    preview = stack.preview()
    assert "warning: " in preview.text
    assert "the server has 30 MiB" in preview.text
    stack.config("ollama:memoryCheck", "error")
    refused = stack.preview(check=False)
    assert refused.returncode != 0
    assert "is to be pinned and takes about" in refused.text
    assert "Traceback" not in refused.text
    stack.config("ollama:memoryCheck", "off")
    stack.up()
    assert len(pinned(ollama)) == 2
