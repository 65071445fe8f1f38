"""One model in two resources, with the real engines: refused where it is seen, and costing no model where it is not."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import count, installed, pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.programs import program, steps
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack, configuration

pytestmark = pytest.mark.engines
MANUAL = {"memory_management": "manual"}
SERVICES = """locals {{ services = {{ {} }} }}
resource "ollama_model" "by_service" {{
  for_each = local.services
  name     = each.value
  insecure = true
}}
"""


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


def have_twice(stack: TerraformStack, label: str, other: str, **attributes: Any) -> None:
    """Makes a state in which two resources have one model, as one that is older, or of runs with -target, may be."""
    file = stack.project / "terraform.tfstate"
    state = json.loads(file.read_text())
    [found] = [one for one in state["resources"] if one["name"] == label]
    second = deepcopy(found) | {"name": other}
    second["instances"][0]["attributes"] |= attributes
    state["resources"].append(second)
    file.write_text(json.dumps(state))


def test_terraform_refuses_one_model_in_two_resources(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    port = ollama.url.rpartition(":")[2]
    provider = f'provider "ollama" {{\n  host = "{ollama.url}"\n}}\n'
    two = {"a": model, "b": model | {"host": f"localhost:{port}/"}}
    stack = terraform_of(provider + configuration(**two))
    [error] = stack.plan(check=False).errors
    assert "one resource for each model: another one declares" in error.detail
    stack.configure(configuration(a={"name": "llama3"}, b={"name": "LLAMA3:latest", "keep_alive": "5m"}))
    validated = json.loads(stack.run("validate", "-json", check=False).text)
    assert [one["summary"] for one in validated["diagnostics"]] == ["Wrong name"]
    assert "declares llama3:latest" in validated["diagnostics"][0]["detail"].lower()
    stack.configure(SERVICES.format('chat = "shared", rag = "shared"'))
    assert len(stack.plan(check=False).errors) == 1
    assert installed(ollama) == {}


def test_a_model_that_another_resource_declares_stays_as_it_is_when_one_is_removed(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model | MANUAL))
    stack.apply()
    have_twice(stack, "a", "b", on_destroy="delete")
    since = ollama.mark()
    outcome = stack.apply()
    assert outcome.applied == {"ollama_model.b": "delete"}
    assert [one.summary for one in outcome.diagnoses] == [
        f"{model['name']} is another resource's too: it stays as it is"
    ]
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])
    assert not [one for one in ollama.requests(since) if one.method != "GET"]
    assert stack.plan().planned == {}


def test_a_destroy_of_everything_deletes_a_model_of_two_resources(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model | MANUAL))
    stack.apply()
    have_twice(stack, "a", "b")
    stack.destroy()
    assert (installed(ollama), resident(ollama)) == ({}, [])


@pytest.mark.parametrize("option", ["-target=ollama_model.b", "-refresh=false"])
def test_a_destroy_that_cannot_see_who_else_has_the_model_leaves_its_files_and_says_so(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], option: str
) -> None:
    stack = terraform_of(configuration(a=model, b={"name": "gone", "insecure": True}))
    stack.configure(configuration(a=model | MANUAL))
    stack.apply()
    have_twice(stack, "a", "b", on_destroy="delete")
    outcome = stack.destroy(option)
    assert outcome.applied["ollama_model.b"] == "delete"
    assert f"{model['name']} may be declared elsewhere too, which {option.partition('=')[0]}" in outcome.text
    assert "it is unloaded, and its files stay" in outcome.text
    assert list(installed(ollama)) == [model["name"]]


def test_the_decision_of_a_saved_plan_is_the_plan_s(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model))
    stack.apply()
    have_twice(stack, "a", "b", on_destroy="delete")
    stack.plan("-out=targeted", "-target=ollama_model.b")
    assert stack.run("apply", "-json", "targeted").applied == {"ollama_model.b": "delete"}
    assert list(installed(ollama)) == [model["name"]]
    stack.configure("")
    stack.plan("-out=whole")
    stack.run("apply", "-json", "whole")
    assert installed(ollama) == {}


def test_two_configurations_of_the_provider_do_not_see_each_other_and_so_delete_nothing(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    provider = f'provider "ollama" {{\n  alias = "other"\n  host = "{ollama.url}"\n}}\n'
    other = configuration(b=model | {"provider": "=ollama.other"})
    stack = terraform_of(provider + configuration(a=model))
    stack.apply()
    stack.configure(provider + configuration(a=model) + other)
    stack.apply()
    assert {one["origin"] for one in stack.state().values()} == {"pulled", "found"}
    stack.configure(provider + other)
    outcome = stack.apply()
    assert outcome.applied == {"ollama_model.a": "delete"}
    assert "this run has another configuration of the provider: it is unloaded, and its files stay" in outcome.text
    assert list(installed(ollama)) == [model["name"]]


def test_a_key_of_for_each_that_is_renamed_neither_deletes_nor_downloads(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any]
) -> None:
    stack = terraform_of(SERVICES.format(f'chat = "{model["name"]}"'))
    stack.apply()
    since, pulls = ollama.mark(), len(registry.requests)
    stack.configure(SERVICES.format(f'talk = "{model["name"]}"'))
    assert sorted(stack.apply("-parallelism=1").applied.values()) == ["create", "delete"]
    stack.configure(SERVICES.format(f'chat = "{model["name"]}"'))
    assert sorted(stack.apply().applied.values()) == ["create", "delete"]
    assert (list(installed(ollama)), len(registry.requests)) == ([model["name"]], pulls)
    assert count(ollama, since, "/api/delete") == 0


def test_a_key_of_for_each_that_is_renamed_takes_over_whose_the_model_is(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(SERVICES.format(f'chat = "{model["name"]}"'))
    stack.apply()
    stack.configure(SERVICES.format(f'talk = "{model["name"]}"'))
    stack.apply()
    assert [one["origin"] for one in stack.state().values()] == ["pulled"]
    stack.destroy()
    assert installed(ollama) == {}


def test_a_model_alone_in_its_state_goes_when_its_block_does(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model | MANUAL))
    stack.apply()
    stack.configure("")
    assert stack.apply().applied == {"ollama_model.a": "delete"}
    assert (installed(ollama), resident(ollama)) == ({}, [])


def test_the_base_of_a_new_variant_stays_where_its_own_block_goes(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model | MANUAL))
    stack.apply()
    since, pulls = ollama.mark(), len(registry.requests)
    variant = {"name": "support", "base": model["name"], "insecure": True, "system": "be brief"}
    stack.configure(configuration(b=variant))
    outcome = stack.apply()
    assert outcome.applied == {"ollama_model.a": "delete", "ollama_model.b": "create"}
    assert f"{model['name']} is the base of a model that is declared: it is unloaded" in outcome.text
    assert (set(installed(ollama)), resident(ollama)) == ({"support:latest", model["name"]}, [])
    assert (count(ollama, since, "/api/delete"), len(registry.requests)) == (0, pulls)
    outcome = stack.destroy()
    assert f"support:latest was derived by this resource: it is unloaded and deleted. Its base, {model['name']}," in (
        outcome.text
    )
    assert list(installed(ollama)) == [model["name"]]


def test_a_name_that_two_resources_have_is_not_taken_from_one_by_a_rename_of_the_other(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    ollama.create_from_gguf("new", tiny)
    stack = terraform_of(configuration(a=model))
    stack.apply()
    have_twice(stack, "a", "b")
    stack.configure(configuration(a=model, b=model | {"name": "new"}))
    [error] = stack.apply(check=False).errors
    assert "Remove this one from the state" in error.detail
    assert set(installed(ollama)) == {"new:latest", model["name"]}


def test_a_rename_takes_no_model_from_a_resource_that_the_plan_comes_to_later(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    ollama.create_from_gguf("new", tiny)
    stack = terraform_of(configuration(a=model | MANUAL))
    stack.apply()
    have_twice(stack, "a", "b")
    late = configuration(b=model | MANUAL).rstrip().removesuffix("}") + "  depends_on = [ollama_model.a]\n}\n"
    stack.configure(configuration(a={"name": "new"}) + late)
    [error] = stack.apply(check=False).errors
    assert "this run has promised to delete" in error.detail
    assert (set(installed(ollama)), pinned(ollama)) == ({"new:latest", model["name"]}, [model["name"]])


def test_pulumi_refuses_one_model_in_two_resources_and_costs_none(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(chat=model | MANUAL, rag=model | MANUAL))
    refused = stack.preview(check=False)
    assert refused.returncode != 0
    assert f"rag and chat both declare {model['name']} on {ollama.url}" in refused.text
    assert "Traceback" not in refused.text
    stack.set_program(program(chat=model | MANUAL))
    stack.up()
    state = stack.export()
    resources = state["deployment"]["resources"]
    [chat] = [one for one in resources if one["urn"].endswith("::chat")]
    rag = deepcopy(chat) | {"urn": chat["urn"].removesuffix("chat") + "rag"}
    rag["outputs"]["on_destroy"] = rag["inputs"]["on_destroy"] = "delete"
    resources.append(rag)
    file = stack.folder / "twice.json"
    file.write_text(json.dumps(state))
    stack.run("stack", "import", "--file", str(file))
    outcome = stack.up()
    assert steps(outcome) == {"rag": "delete"}
    assert f"{model['name']} is another resource's too: it stays as it is" in outcome.text
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])
    stack.run("stack", "import", "--file", str(file))
    outcome = stack.destroy("--target", rag["urn"])
    assert f"{model['name']}: may be declared elsewhere too, which --target hides" in outcome.text
    assert list(installed(ollama)) == [model["name"]]
    stack.destroy()
    assert (installed(ollama), resident(ollama)) == ({}, [])
