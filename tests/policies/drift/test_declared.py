"""Out of all that a tree says: each model once, its digest from a state, its server from wherever it is said."""

import json
from pathlib import Path

import pytest

from ollama_policy.commands.drift.judge import judge
from ollama_policy.live.assignment import ServerAssignment
from ollama_policy.live.declared import declarations
from ollama_policy.model.settings import Unknown
from ollama_policy.pipeline import check
from ollama_policy.pipeline.discover import Workspace
from tests.policies.drift.servers import NOW, declared_in, seen
from tests.policies.sources.terraform.test_plan import plan, resource
from tests.policies.sources.terraform.test_state import raw
from tests.policies.sources.terraform.test_state import resource as stated
from tests.policies.sources.test_pulumi_json import preview
from tests.policies.sources.test_pulumi_json import state as pulumi_state

BLOCK = 'resource "ollama_model" "m" {\n  name              = "chat"\n  memory_management = var.mode\n}\n'
ATTRIBUTES = {"name": "chat", "memory_management": "manual", "digest": NOW}
STATE = raw(stated({"attributes": ATTRIBUTES})).decode()
URN = "urn:pulumi:dev::p::pulumi-python:dynamic/ollama:Model::chat"


def export(**inputs: object) -> str:
    model = {"urn": URN, "type": "pulumi-python:dynamic/ollama:Model", "inputs": inputs, "outputs": {"digest": NOW}}
    return json.dumps({"version": 3, "deployment": {"resources": [model]}})


def test_a_state_beside_the_files_gives_the_digest_and_what_they_leave_open(tree: Path) -> None:
    found = declared_in(main__tf=BLOCK, terraform__tfstate=STATE)
    (model,) = found.models
    assert (model.state_digest, model.digest, model.must_be_resident) == (NOW, "", True)
    assert (model.subject.file.path, found.undecided, found.problems) == ("main.tf", [], [])
    setting = model.subject.settings["memory_management"]
    assert (setting.file.path, setting.file.position(setting.span.start).line) == ("main.tf", 3)


def test_a_state_alone_is_what_is_declared(tree: Path) -> None:
    (model,) = declared_in(state__json=STATE.replace('"version"', '"lineage": "x", "version"', 1)).models
    assert (model.subject.file.path, model.subject.address, model.state_digest) == ("state.json", "ollama_model.m", NOW)


def test_a_plan_decides_and_is_told_once(tree: Path) -> None:
    planned = plan(resource("ollama_model.m", name="chat", memory_management="manual"))
    found = declared_in(main__tf=BLOCK, plan__json=planned, terraform__tfstate=STATE)
    (model,) = found.models
    assert (model.must_be_resident, model.state_digest, model.subject.file.path) == (True, NOW, "main.tf")
    assert found.undecided == []


def test_instances_of_a_plan_stand_for_a_block_whose_keys_are_not_known(tree: Path) -> None:
    block = 'variable "names" {}\nresource "ollama_model" "m" {\n  for_each = var.names\n  name = each.key\n}\n'
    instances = [resource("ollama_model.m", name=name) for name in ("a", "b")]
    for one, key in zip(instances, "ab", strict=True):
        one["address"] = f'ollama_model.m["{key}"]'
    found = declared_in(main__tf=block, plan__json=plan(*instances))
    assert [str(one.model_name) for one in found.models] == ["a:latest", "b:latest"]
    assert found.is_complete


def test_an_export_gives_the_digest_of_the_program_s_model(tree: Path) -> None:
    program = 'from ollama_provider import OllamaModel\nOllamaModel("chat", name="chat", memory_management="manual")\n'
    (model,) = declared_in(p__py=program, export__json=export(name="chat", memory_management="manual")).models
    assert (model.state_digest, model.subject.file.path) == (NOW, "p.py")
    (tree / "p.py").unlink()
    (model,) = declared_in().models
    assert (model.state_digest, model.subject.file.path) == (NOW, "export.json")


SHOWN = {
    "format_version": "1.0",
    "terraform_version": "1.11.4",
    "values": {"root_module": {"resources": [resource("ollama_model.m", **ATTRIBUTES)]}},
}
MODEL = {"name": "chat", "memory_management": "manual"}
FORMS = {
    "main.tf": BLOCK.replace("var.mode", '"manual"'),
    "terraform.tfstate": STATE,
    "state.json": json.dumps(SHOWN),
    "plan.json": plan(resource("ollama_model.m", **MODEL)),
    "export.json": export(**MODEL),
    "preview.json": preview(pulumi_state("chat", **MODEL)),
    "Pulumi.yaml": "name: p\nruntime: yaml\nresources:\n  chat:\n    type: ollama:Model\n    properties: "
    "{name: chat, memory_management: manual}\n",
    "__main__.py": "from ollama_provider import OllamaModel\n"
    'OllamaModel("c", name="chat", memory_management="manual")\n',
    "models.yaml": "- name: chat\n  memory_management: manual\n",
    "models.toml": '[[models]]\nname = "chat"\nmemory_management = "manual"\n',
}


@pytest.mark.parametrize("path", FORMS)
def test_each_form_alone_is_judged_and_told_at_its_place(tree: Path, path: str) -> None:
    (tree / path).write_text(FORMS[path])
    workspace = Workspace([path])
    found = declarations(check.read_all(workspace, lambda done, total: None), workspace)
    assert (found.problems, found.undecided, found.is_complete) == ([], [], True)
    (finding,) = judge(seen({"chat": NOW}), found.models, (), True)
    assert (finding.rule.id, finding.file.path) == ("OLL503", path)
    assert b"manual" in finding.file.data[finding.span.start : finding.span.end]


def test_several_forms_are_all_declared(tree: Path) -> None:
    paths = []
    for number, (path, text) in enumerate(FORMS.items()):
        for old, new in (("chat", f"chat{number}"), ('"m"', f'"m{number}"'), ("model.m", f"model.m{number}")):
            text = text.replace(old, new)
        paths.append(f"{number}/{path}")
        (tree / str(number)).mkdir()
        (tree / paths[-1]).write_text(text)
    workspace = Workspace(paths)
    found = declarations(check.read_all(workspace, lambda done, total: None), workspace)
    assert sorted(one.subject.file.path for one in found.models) == paths
    assert (found.problems, found.undecided) == ([], [])


def test_a_state_that_is_none_is_said(tree: Path) -> None:
    found = declared_in(main__tf=BLOCK, terraform__tfstate='{"version": 3}')
    assert [(one.path, "a state of version 4" in one.message) for one in found.problems] == [
        ("terraform.tfstate", True)
    ]
    assert not found.is_complete


@pytest.mark.parametrize(
    ("files", "host"),
    [
        ({"main__tf": BLOCK}, None),
        ({"main__tf": BLOCK.replace("}", '  host = "gpu1"\n}')}, "http://gpu1:11434"),
        ({"main__tf": BLOCK + 'provider "ollama" {\n  host = "gpu2"\n}\n'}, "http://gpu2:11434"),
        (
            {
                "main__tf": BLOCK + 'provider "ollama" {\n  host = var.h\n}\n',
                "v__tf": 'variable "h" { default = "g" }\n',
            },
            "http://g:11434",
        ),
        ({"main__tf": BLOCK + 'provider "ollama" {\n  host = var.h\n}\nvariable "h" {}\n'}, Unknown),
        ({"main__tf": BLOCK + 'provider "ollama" {\n  alias = "x"\n  host = "gpu2"\n}\n'}, None),
        (
            {"main__tf": BLOCK.replace("}", "  provider = ollama.x\n}") + 'provider "ollama" {\n  host = "g"\n}\n'},
            Unknown,
        ),
        ({"main__tf": BLOCK.replace("}", '  host = "http://u:secret@gpu1"\n}')}, Unknown),
        ({"export__json": export(name="chat", host="https://gpu3")}, "https://gpu3:443"),
        (
            {
                "Pulumi__yaml": "name: p\nruntime: python\n",
                "Pulumi__dev__yaml": "config:\n  ollama:host: gpu4\n",
                "p__py": 'from ollama_provider import OllamaModel\nOllamaModel("chat", name="chat")\n',
            },
            "http://gpu4:11434",
        ),
        ({"models__yaml": "name: chat\nmemory_management: manual\nhost: gpu5\n"}, "http://gpu5:11434"),
        ({"models__yaml": "name: chat\nmemory_management: manual\n"}, None),
    ],
)
def test_the_server_is_its_own_or_its_provider_s(tree: Path, files: dict[str, str], host: object) -> None:
    (model,) = declared_in(**files).models
    assert type(model.host) is host if isinstance(host, type) else model.host == host
    assert "secret" not in str(model.host)


def test_a_module_that_is_handed_providers_is_undecided(tree: Path) -> None:
    call = 'module "x" {\n  source = "./x"\n  providers = { ollama = ollama.eu }\n}\n'
    call += 'provider "ollama" {\n  host = "g"\n}\n'
    (model,) = declared_in(
        **{"main__tf": call, "x/main__tf": 'resource "ollama_model" "m" {\n  name = "chat"\n}\n'}
    ).models
    assert model.host == Unknown("module.x is handed providers of its own")
    plain = call.replace("  providers = { ollama = ollama.eu }\n", "")
    (model,) = declared_in(main__tf=plain).models
    assert model.host == "http://g:11434"


def test_declarations_go_to_their_servers(tree: Path) -> None:
    plain = "- {name: everywhere, memory_management: manual}\n- {name: own, memory_management: manual, host: gpu1}\n"
    block = 'variable "h" {}\nresource "ollama_model" "m" {\n  name = "lost"\n  host = var.h\n}\n'
    models = declared_in(a__yaml=plain, b__tf=block).models

    def names(*given: str) -> dict[str, list[str]]:
        assignment = ServerAssignment(models, given)
        found = {url: [one.model_name.model for one in there] for url, there in assignment.by_url.items()}
        return found | {"undecided": [one.address for one in assignment.undecided]}

    assert names() == {"http://gpu1:11434": ["own"], "undecided": ["everywhere", "ollama_model.m"]}
    assert names("http://a:1") == {
        "http://a:1": ["everywhere", "lost"],
        "http://gpu1:11434": ["own"],
        "undecided": [],
    }
    assert names("http://a:1", "http://b:1") == {
        "http://a:1": ["everywhere"],
        "http://b:1": ["everywhere"],
        "http://gpu1:11434": ["own"],
        "undecided": ["ollama_model.m"],
    }


def test_hosts_that_are_unknown_in_two_ways_are_two_servers(tree: Path) -> None:
    block = 'variable "{0}" {{}}\nresource "ollama_model" "{0}" {{\n  name = "{0}"\n  host = var.{0}\n}}\n'
    models = declared_in(main__tf=block.format("x") + block.format("y")).models
    assert len(ServerAssignment(models, ["http://a:1"]).undecided) == 2
