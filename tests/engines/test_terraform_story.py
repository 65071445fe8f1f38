"""The stories of every engine with the real Terraform, and what is Terraform's own."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TerraformMaker
from tests.engines.drivers import Driver, TerraformDriver
from tests.engines.observing import pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.stories import *  # noqa: F403 - each is a test of this module
from tests.engines.stories import MANUAL
from tests.engines.terraform_stack import configuration

pytestmark = pytest.mark.engines
M = "ollama_model.m"


@pytest.fixture
def driver(terraform_of: TerraformMaker) -> Driver:
    return TerraformDriver(terraform_of('provider "ollama" {}\n'))


def test_a_pin_goes_from_one_name_of_a_blob_to_the_other(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("twin:latest", tiny)
    twin = model | {"name": registry.reference("twin:latest")}
    stack = terraform_of(configuration(m=model | MANUAL, twin=twin))
    stack.apply()
    stack.configure(configuration(m=model, twin=twin | MANUAL))
    # Terraform does both at once: where the twin comes first, it is refused, and the next apply goes on.
    outcome = stack.apply(check=False)
    if outcome.returncode:
        assert "release it in an earlier apply" in outcome.errors[0].detail
        stack.apply()
    assert pinned(ollama) == [twin["name"]]
    assert stack.plan().planned == {}


def test_a_destroy_of_a_model_that_is_gone_is_success_though_no_refresh_has_seen_it(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    assert stack.destroy("-refresh=false").returncode == 0
