"""A state, raw in the shape of version 4, and as `terraform show -json` writes it."""

import json
from typing import Any

import pytest

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform import state
from tests.policies.sources.terraform.module_of import plain

DIGEST = "ab" * 32
ATTRIBUTES: dict[str, Any] = {
    "id": "chat:latest",
    "name": "chat",
    "memory_management": "manual",
    "resident": True,
    "keep_alive": None,
    "digest": DIGEST,
    "size": 7,
    "drift": "",
    "host": "http://inside:1",
}


def raw(*resources: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"version": 4, "terraform_version": "1.11.4", "resources": resources} | more).encode()


def resource(*instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mode": "managed", "type": "ollama_model", "name": "m", "instances": instances} | more


def read(data: bytes, path: str = "infra/terraform.tfstate") -> list[state.Stated]:
    file = SourceFile(path, data)
    assert state.is_state(file)
    return list(state.read(file))


def test_a_raw_state() -> None:
    (found,) = read(raw(resource({"attributes": ATTRIBUTES})))
    assert found.digest == DIGEST
    assert plain(found.subject) == {
        "name": "chat",
        "memory_management": "manual",
        "resident": True,
        "host": "http://inside:1",
    }
    assert (found.subject.address, found.subject.unit) == ("ollama_model.m", "infra")


def test_addresses_of_modules_and_instances() -> None:
    instances = [{"attributes": ATTRIBUTES, "index_key": key} for key in (0, "a")]
    found = read(raw(resource(*instances, module='module.x["y"]')))
    assert [one.subject.address for one in found] == [
        'module.x["y"].ollama_model.m[0]',
        'module.x["y"].ollama_model.m["a"]',
    ]


def test_what_is_no_model_of_now_is_left_out() -> None:
    deposed = {"attributes": ATTRIBUTES, "deposed": "00000001"}
    other = {"attributes": {"name": "x"}}
    assert read(raw(resource(deposed), resource(other, type="null_resource"), resource(other, mode="data"))) == []


def test_what_is_sensitive_is_not_read_and_a_dynamic_value_is() -> None:
    attributes = ATTRIBUTES | {"parameters": {"value": {"num_ctx": 512}, "type": ["object", {"num_ctx": "number"}]}}
    hidden = [[{"type": "get_attr", "value": "host"}]]
    (found,) = read(raw(resource({"attributes": attributes, "sensitive_attributes": hidden})))
    assert plain(found.subject)["host"] == "? host is sensitive"
    assert plain(found.subject)["parameters"] == {"num_ctx": 512}


def test_terraform_show() -> None:
    shown = {"address": "ollama_model.m", "mode": "managed", "type": "ollama_model", "name": "m", "values": ATTRIBUTES}
    inner = shown | {"address": "module.x.ollama_model.m", "sensitive_values": {"host": True}}
    root = {"resources": [shown], "child_modules": [{"resources": [inner]}]}
    document = {"format_version": "1.0", "terraform_version": "1.11.4", "values": {"root_module": root}}
    found = read(json.dumps(document).encode(), "state.json")
    assert [(one.subject.address, one.digest) for one in found] == [
        ("ollama_model.m", DIGEST),
        ("module.x.ollama_model.m", DIGEST),
    ]
    assert plain(found[1].subject)["host"] == "? host is sensitive"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 3}', b'{"version": 4, "resources": {}}', b"null"])
def test_what_is_no_state(data: bytes) -> None:
    try:
        assert read(data) == []
    except UnreadableError as error:
        assert str(error)


def test_a_plan_and_an_export_are_no_states() -> None:
    for text in ('{"terraform_version": "1", "planned_values": {}, "values": {}}', '{"deployment": {}}', "{}"):
        assert not state.is_state(SourceFile("x.json", text.encode()))
