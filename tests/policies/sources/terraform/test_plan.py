"""A plan as JSON, in the shape that Terraform 1.11 writes."""

import json
from typing import Any

from ollama_policy.model.settings import IMAGE, Subject
from ollama_policy.sources.terraform.plan import TerraformPlanSource
from tests.policies.sources.terraform.module_of import MemoryTree, cut, plain

HCL = """resource "ollama_model" "m" {
  name              = "llama3"
  memory_management = var.mode
}
module "x" {
  source   = "./modules/x"
  for_each = toset(["a.module.b"])
}
"""


def plan(*resources: dict[str, Any], **more: Any) -> str:
    inner = [each for each in resources if each["address"].startswith("module.")]
    outer = [each for each in resources if not each["address"].startswith("module.")]
    root = {"resources": outer, "child_modules": [{"address": "module.x", "resources": inner}]}
    return json.dumps({"format_version": "1.2", "planned_values": {"root_module": root}, **more})


def resource(address: str, **values: Any) -> dict[str, Any]:
    kind, name = address.split(".")[-2:]
    return {"address": address, "mode": "managed", "type": kind, "name": name, "values": values}


def read(text: str, **files: str) -> Subject:
    tree = MemoryTree({"p.json": text, **files})
    file = next(each for each in tree.all if each.path == "p.json")
    source = TerraformPlanSource()
    assert source.accepts(file)
    (subject,) = source.read(file, tree)
    return subject


MODEL = resource("ollama_model.m", name="llama3", memory_management="automatic", keep_alive=None, size=7)


def test_a_plan_alone() -> None:
    subject = read(plan(MODEL))
    assert plain(subject) == {"name": "llama3", "memory_management": "automatic"}
    assert cut(subject.settings["memory_management"]) == '"automatic"'
    assert not subject.settings["memory_management"].is_literal
    assert (subject.file.path, cut_subject(subject)) == ("p.json", '"ollama_model.m"')


def cut_subject(subject: Subject) -> str:
    return subject.file.data[subject.span.start : subject.span.end].decode()


def test_values_are_placed_in_the_block_beside_it() -> None:
    subject = read(plan(MODEL), **{"main.tf": HCL})
    assert (subject.file.path, cut_subject(subject)) == ("main.tf", 'resource "ollama_model" "m"')
    places = {key: cut(setting) for key, setting in subject.settings.items()}
    assert places == {"name": '"llama3"', "memory_management": "var.mode"}
    assert plain(subject)["memory_management"] == "automatic"
    assert [setting.is_literal for setting in subject.settings.values()] == [True, False]


def test_what_only_an_apply_knows_is_unknown() -> None:
    change = {"after_unknown": {"host": True, "id": True}, "after_sensitive": {"system": True}}
    expressions: dict[str, Any] = {"name": {}, "host": {}, "system": {}, "timeouts": [{}]}
    declared = [{"type": "ollama_model", "name": "m", "expressions": expressions}]
    timeouts = {"pull": "1h", "load": None}
    subject = read(
        plan(
            resource("ollama_model.m", name="m", system="secret", pull_policy="missing", timeouts=timeouts),
            resource_changes=[{"address": "ollama_model.m", "change": change}],
            configuration={"root_module": {"resources": declared}},
        )
    )
    assert plain(subject) == {
        "name": "m",
        "system": "? system is sensitive",
        "timeouts": {"pull": "1h"},
        "host": "? host is only known at apply",
    }


def test_a_module_is_found_by_its_call() -> None:
    configuration = {"root_module": {"module_calls": {"x": {"source": "./modules/x", "module": {}}}}}
    model = resource("ollama_model.i", name="n", keep_alive="5m")
    model["address"] = 'module.x["a.module.b"].ollama_model.i'
    inner = 'resource "ollama_model" "i" {\n  keep_alive = "5m"\n}\n'
    subject = read(plan(model, configuration=configuration), **{"main.tf": HCL, "modules/x/main.tf": inner})
    assert (subject.file.path, cut(subject.settings["keep_alive"])) == ("modules/x/main.tf", '"5m"')
    assert cut(subject.settings["name"]) == 'resource "ollama_model" "i"'
    assert subject.insertion is None


def test_servers() -> None:
    container = resource("docker_container.o", image="ollama/ollama", env=["OLLAMA_DEBUG=${x}"], memory=None)
    assert plain(read(plan(container))) == {IMAGE: "ollama/ollama", "OLLAMA_DEBUG": "${x}"}
    changes = [{"address": "docker_container.o", "change": {"after_unknown": {"env": [True]}}}]
    assert read(plan(container, resource_changes=changes)).unknown is not None
    beside = read(
        plan(container), **{"main.tf": 'resource "docker_container" "o" {\n  env = ["OLLAMA_DEBUG=${x}"]\n}\n'}
    )
    assert (beside.file.path, cut(beside.settings["OLLAMA_DEBUG"])) == ("main.tf", "OLLAMA_DEBUG")
