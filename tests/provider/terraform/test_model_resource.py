"""What a plan of `ollama_model` says without asking a server: places of errors, unknown values, upgrades and moves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from ollama_provider.apply.states import INPUTS, OUTPUTS
from ollama_provider.engine_run import TERRAFORM, EngineRun
from ollama_provider.terraform.declared import model_schema
from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.values import UNKNOWN, dynamic
from ollama_provider.terraform.provider import OllamaProvider
from tests.provider.gguf_writing import write_keys
from tests.provider.terraform.host import Host, in_json, packed, path_of, problems, unpacked
from tests.snapshot import Snapshots

MODEL = {"type_name": "ollama_model"}
SCHEMA = model_schema()
STATE = {
    "name": "llama3",
    "id": "llama3:latest",
    "memory_management": "automatic",
    "pull_policy": "missing",
    "insecure": False,
    "origin": "pulled",
    "digest": "ab" * 32,
    "size": 5,
    "family": "llama",
    "parameter_size": "8B",
    "quantization_level": "Q4_K_M",
    "context_length": 8192,
    "capabilities": ["completion"],
    "pinned": False,
    "drift": "",
}


@pytest.fixture
def run() -> EngineRun:
    """The run that the provider believes to be in: by itself, and of everything."""
    return EngineRun(TERRAFORM, pid=1)


@pytest.fixture
def host(run: EngineRun) -> Iterator[Host]:
    with Host(lambda: OllamaProvider({"OLLAMA_HOST": "127.0.0.1:1"}, lambda: run)) as host:
        begin(host)
        yield host


def begin(host: Host) -> None:
    """A walk of Terraform through a configuration: what was declared before is not of it."""
    assert problems(host.call("ConfigureProvider", config=packed({}, host.service._provider.schema))) == []


def paths(host: Host, config: dict[str, Any]) -> list[tuple[str | int, ...]]:
    return [
        path for path, _, _ in problems(host.call("ValidateResourceConfig", **MODEL, config=packed(config, SCHEMA)))
    ]


def planned(host: Host, config: dict[str, Any], prior: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
    """The plan of the only resource of a configuration."""
    begin(host)
    values = packed(config, SCHEMA)
    response = host.call(
        "PlanResourceChange", **MODEL, prior_state=packed(prior, SCHEMA), proposed_new_state=values, config=values
    )
    assert [found for found in problems(response) if "unloaded" not in found[1]] == []
    return unpacked(response.planned_state, SCHEMA), response


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"name": "a b"}, [("name",)]),
        ({"name": "a", "memory_management": "auto"}, [("memory_management",)]),
        ({"name": "a", "keep_alive": "300", "on_destroy": "x"}, [("keep_alive",), ("on_destroy",)]),
        ({"name": "a", "resident": True}, [("resident",)]),
        ({"name": "a", "timeouts": {"pull": "5", "load": "5m"}}, [("timeouts", "pull")]),
        ({"name": "a", "base": "b", "parameters": dynamic({"num_ctxx": 1})}, [("parameters",)]),
        ({"name": "a", "base": "b", "parameters": dynamic({"num_ctx": 4096, "stop": ["x"]})}, []),
        ({"name": "a", "base": "b", "parameters": dynamic({"num_ctx": "4096", "use_mmap": "true"})}, []),
        ({"name": "a", "base": "b", "parameters": dynamic({"num_ctx": "8k", "mirostat": 1})}, [("parameters",)] * 2),
        ({"name": "a", "gguf": "/dev/null"}, [("gguf",)]),
        ({"name": "a", "host": "http://u:p@h"}, [("host",)]),
    ],
)
def test_each_error_of_a_declaration_has_its_place(
    host: Host, config: dict[str, Any], places: list[tuple[str, ...]]
) -> None:
    assert paths(host, config) == places


def test_unknown_values_pass_and_what_is_known_is_planned_as_known(host: Host) -> None:
    everything = dict.fromkeys(SCHEMA.attributes, UNKNOWN) | {
        name: None for name, attribute in SCHEMA.attributes.items() if attribute.computed and not attribute.optional
    }
    assert paths(host, everything) == []
    after, _ = planned(host, everything)
    assert {name for name in INPUTS if after[name] is not UNKNOWN} == {"timeouts"}
    after, response = planned(host, {"name": "llama3"})
    assert {name for name in OUTPUTS if after[name] is not UNKNOWN} == {"id", "drift", "gguf_file"}
    assert (after["id"], after["drift"], after["gguf_file"]) == ("llama3:latest", "", None)
    assert (after["pull_policy"], after["insecure"], after["resident"]) == ("missing", False, None)
    assert json.loads(response.planned_private)
    after, _ = planned(host, {"name": "llama3", "memory_management": "manual"})
    assert (after["pinned"], after["resident"]) == (True, True)
    after, _ = planned(host, {"name": "llama3", "keep_alive": "5m"})
    assert after["pinned"] is False


def test_every_plan_has_every_attribute_and_block(host: Host) -> None:
    for prior in (None, STATE):
        _, response = planned(host, {"name": "llama3", "keep_alive": "5m"}, prior)
        raw = msgpack.unpackb(response.planned_state.msgpack, ext_hook=lambda *_: UNKNOWN)
        assert raw.keys() == SCHEMA.attributes.keys() | SCHEMA.blocks.keys()


def test_an_equal_declaration_plans_the_state_as_it_is(host: Host) -> None:
    before = dict.fromkeys((*INPUTS, *OUTPUTS)) | STATE
    for config in ({"name": "llama3"}, {"name": "LLAMA3:latest", "insecure": False}):
        after, response = planned(host, config, before)
        assert after == before
        assert list(response.requires_replace) == []


def test_an_attribute_that_is_removed_has_its_default_again(host: Host) -> None:
    before = STATE | {"memory_management": "manual", "resident": True, "pinned": True, "on_destroy": "keep"}
    after, _ = planned(host, {"name": "llama3"}, before)
    assert (after["memory_management"], after["resident"], after["on_destroy"]) == ("automatic", None, None)


def test_another_server_needs_another_resource(host: Host) -> None:
    _, response = planned(host, {"name": "llama3", "host": "other"}, STATE)
    assert [path_of(path) for path in response.requires_replace] == [("host",)]


def test_a_model_that_is_created_again_in_the_same_apply_is_not_deleted_whichever_comes_first(host: Host) -> None:
    nothing, config = packed(None, SCHEMA), packed({"name": "llama3"}, SCHEMA)
    deletion = MODEL | {"prior_state": packed(STATE, SCHEMA), "planned_state": nothing, "config": nothing}
    creation = MODEL | {"prior_state": nothing, "proposed_new_state": config, "config": config}
    [found] = problems(host.call("ApplyResourceChange", **deletion))
    assert "127.0.0.1:1" in found[2]
    host.call("ConfigureProvider", config=packed({}, host.service._provider.schema))
    deleted, _ = host.calls(("ApplyResourceChange", deletion), ("PlanResourceChange", creation))
    assert problems(deleted) == problems(host.call("ApplyResourceChange", **deletion)) == []


def test_a_second_resident_on_the_same_weights_is_refused_while_it_is_planned(host: Host) -> None:
    planned(host, {"name": "llama3", "memory_management": "manual"})
    values = packed({"name": "v", "base": "llama3", "memory_management": "manual"}, SCHEMA)
    response = host.call(
        "PlanResourceChange", **MODEL, prior_state=packed(None, SCHEMA), proposed_new_state=values, config=values
    )
    [(path, _, detail)] = problems(response)
    assert (path, "llama3" in detail) == (("memory_management",), True)


def upgraded(host: Host, version: int, state: dict[str, Any]) -> Any:
    return host.call("UpgradeResourceState", **MODEL, version=version, raw_state=in_json(state))


def test_a_state_of_this_version_comes_back_and_one_of_a_newer_is_refused(host: Host) -> None:
    state = STATE | {"base": "b", "parameters": {"type": ["object", {"top_p": "number"}], "value": {"top_p": 0.9}}}
    found = unpacked(upgraded(host, 2, state | {"of_another_release": 1}).upgraded_state, SCHEMA)
    assert {name: found[name] for name in STATE} == STATE
    assert str(found["parameters"].value["top_p"]) == "0.9"
    [(path, summary, detail)] = problems(upgraded(host, 3, STATE))
    assert (path, summary) == ((), "The state was written by a newer version of this provider")
    assert "update ollama-iac" in detail


@pytest.mark.parametrize(("on_destroy", "after"), [("delete", None), ("unload", "unload"), ("keep", "keep")])
def test_a_state_from_before_there_was_an_origin_costs_no_model(host: Host, on_destroy: str, after: str | None) -> None:
    """There "delete" was the default: it is not known to be written, and whose the model was is not known either."""
    old = {name: value for name, value in STATE.items() if name != "origin"} | {"on_destroy": on_destroy}
    found = unpacked(upgraded(host, 1, old).upgraded_state, SCHEMA)
    assert (found["origin"], found["on_destroy"]) == ("found", after)
    assert destroys(host, found) == [
        {
            None: "llama3:latest was there before: it is unloaded, and its files stay",
            "unload": 'llama3:latest has on_destroy = "unload": it is unloaded, and its files stay',
            "keep": 'llama3:latest has on_destroy = "keep": it stays as it is, in memory too',
        }[after]
    ]
    config = {"name": "llama3", "on_destroy": "delete"}
    changed, _ = planned(host, config, found)
    assert {name for name in changed if changed[name] != found[name]} == {"on_destroy"}


def destroys(host: Host, state: dict[str, Any]) -> list[str]:
    """What the plan of a destroy says."""
    nothing = packed(None, SCHEMA)
    request = MODEL | {"prior_state": packed(state, SCHEMA), "proposed_new_state": nothing, "config": nothing}
    response = host.call("PlanResourceChange", **request)
    assert all(one.severity == wire.Diagnostic.Severity.WARNING for one in response.diagnostics)
    return [summary for _, summary, _ in problems(response)]


@pytest.mark.parametrize("origin", ["pulled", "derived", "uploaded"])
def test_the_plan_of_a_destroy_says_whether_it_deletes(host: Host, origin: str) -> None:
    brought = f"llama3:latest was {origin} by this resource: it is unloaded and deleted"
    assert destroys(host, STATE | {"origin": origin}) == [brought]
    said = 'llama3:latest has on_destroy = "delete": it is unloaded and deleted'
    assert destroys(host, STATE | {"origin": "found", "on_destroy": "delete"}) == [said]


@pytest.mark.parametrize(
    ("source_type", "state", "name"),
    [
        ("ollama_model", STATE | dict.fromkeys(("gguf_file", "keep_alive")), "llama3"),
        ("ollama_model", {**STATE, "gguf_file": None} | {"on_destroy": "delete"}, "llama3"),
        ("ollama_model", {"id": "x", "name": "llama3"}, "llama3"),
        ("llm_model", {"model": "llama3:8b"}, "llama3:8b"),
        ("ollama_model", {"name": "a b"}, None),
        ("ollama_model", {"name": 5}, None),
        ("local_file", {"name": "llama3"}, None),
    ],
)
def test_states_of_models_under_other_addresses_are_taken_over(
    host: Host, source_type: str, state: dict[str, Any], name: str | None
) -> None:
    response = host.call(
        "MoveResourceState",
        source_type_name=source_type,
        target_type_name="ollama_model",
        source_provider_address="registry.example/a/ollama",
        source_state=in_json(state),
    )
    if name is None:
        assert [summary for _, summary, _ in problems(response)] == [f"A {source_type} cannot become a ollama_model"]
    else:
        assert unpacked(response.target_state, SCHEMA)["name"] == name


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"host": "http://u:hunter2@h"}, ("host",)),
        ({"token": "two\nlines hunter2"}, ("token",)),
        ({"headers": {"X": "hunter2\n"}}, ("headers",)),
        ({"ca_file": __file__}, ("ca_file",)),
        ({"host": UNKNOWN, "token": UNKNOWN, "headers": {"X": UNKNOWN}}, None),
    ],
)
def test_the_provider_s_configuration_is_checked_at_its_places_without_repeating_a_secret(
    host: Host, config: dict[str, Any], place: tuple[str, ...] | None
) -> None:
    value = packed(config, host.service._provider.schema)
    for call in ("ValidateProviderConfig", "ConfigureProvider"):
        found = problems(host.call(call, config=value))
        assert [path for path, _, _ in found] == ([place] if place else [])
        assert "hunter2" not in str(found)


def test_a_server_that_does_not_answer_is_one_error_and_the_state_stays(host: Host) -> None:
    response = host.call("ReadResource", **MODEL, current_state=packed(STATE, SCHEMA))
    [(path, summary, detail)] = problems(response)
    assert (path, summary) == ((), "The server does not answer")
    assert "127.0.0.1:1" in detail
    assert "correct its address (`host` where it is declared, OLLAMA_HOST, or --host of a command)" in detail
    assert response.new_state == wire.DynamicValue()


def test_a_file_that_is_no_gguf_is_told_at_its_place(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"nothing")
    assert paths(host, {"name": "a", "gguf": str(file)}) == [("gguf",)]
    write_keys(file, {})
    assert paths(host, {"name": "a", "gguf": str(file)}) == []


def test_a_missing_file_is_told_where_it_is_to_be_made_from_and_not_where_it_was(host: Host, tmp_path: Path) -> None:
    config = {"name": "llama3", "gguf": str(tmp_path / "gone.gguf")}
    assert paths(host, config) == []
    values = packed(config, SCHEMA)
    response = host.call(
        "PlanResourceChange", **MODEL, prior_state=packed(None, SCHEMA), proposed_new_state=values, config=values
    )
    [(path, summary, detail)] = problems(response)
    assert (path, summary) == (("gguf",), "Wrong gguf")
    assert "No such file or directory" in detail
    uploaded = {"digest": "sha256:" + "cd" * 32, "size": 4, "mtime_ns": 1}
    after, _ = planned(host, config, STATE | {"gguf": config["gguf"], "gguf_file": uploaded})
    assert (after["digest"], after["gguf_file"]) == (STATE["digest"], uploaded)


def test_what_a_rename_gives_up_is_said_of_a_name_that_is_not_known_yet_on_condition(host: Host) -> None:
    said = {}
    for name in ("other", UNKNOWN):
        _, response = planned(host, {"name": name}, STATE)
        said[str(name)] = [summary for _, summary, _ in problems(response)]
    deleted = "llama3:latest was pulled by this resource: it is unloaded and deleted"
    assert list(said.values()) == [[deleted], [f"Where its name changes: {deleted}"]]


def test_all_that_plans_say(host: Host, snapshots: Snapshots) -> None:
    """Each diagnostic of a plan, whole: `SEVERITY at PATH: SUMMARY`, and its detail."""
    resident = {"memory_management": "manual", "resident": True, "pinned": True}
    cases: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
        **{f"destroy, {origin}": (None, STATE | {"origin": origin}) for origin in ("pulled", "found", "derived")},
        **{f"destroy, {word}": (None, STATE | {"on_destroy": word}) for word in ("delete", "unload", "keep")},
        "rename": ({"name": "other"}, STATE),
        "rename to a name that is not known": ({"name": UNKNOWN}, STATE),
        "another server": ({"name": "llama3", "host": "other"}, STATE),
        "released": ({"name": "llama3"}, STATE | resident),
        "a missing file": ({"name": "new", "gguf": "gone.gguf"}, None),
    }
    wrong = {"name": "a b", "memory_management": "auto", "keep_alive": "1d", "on_destroy": "x"}
    said = {"not valid": host.call("ValidateResourceConfig", **MODEL, config=packed(wrong, SCHEMA))}
    for title, (config, prior) in cases.items():
        begin(host)
        values = packed(config, SCHEMA)
        said[title] = host.call(
            "PlanResourceChange", **MODEL, prior_state=packed(prior, SCHEMA), proposed_new_state=values, config=values
        )
    lines = []
    for title, response in said.items():
        lines.append(f"## {title}")
        for one in response.diagnostics:
            severity = wire.Diagnostic.Severity.Name(one.severity)
            place = ".".join(map(str, path_of(one.attribute)))
            lines += [f"{severity}{f' at {place}' if place else ''}: {one.summary}", one.detail, ""]
    snapshots.match("plans.txt", "\n".join(lines))
