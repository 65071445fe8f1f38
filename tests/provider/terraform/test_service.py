"""What the service makes of a provider, with toys for a provider: nothing here knows Ollama."""

import asyncio
import inspect
import json
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from ollama_provider.terraform.protocol import provider as interfaces
from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import DataSource, Function, Provider, Resource
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import NUMBER, UNKNOWN, Dynamic, encode
from tests.provider.terraform import toy
from tests.provider.terraform.host import Host, in_json, packed, path_of, problems, unpacked
from tests.provider.terraform.toy import Count, Shelf, ToyProvider

THING = {"type_name": Shelf.name}
SCHEMA = Shelf.schema
NOTHING = packed(None, SCHEMA)
EMPTY = packed({}, ToyProvider.schema)

CALLS: dict[str, dict[str, Any]] = {
    "GetMetadata": {},
    "GetProviderSchema": {},
    "ValidateProviderConfig": {"config": EMPTY},
    "ConfigureProvider": {"config": EMPTY},
    "ValidateResourceConfig": {**THING, "config": packed({"name": "a"}, SCHEMA)},
    "ValidateDataResourceConfig": {"type_name": Count.name, "config": packed({}, Count.schema)},
    "UpgradeResourceState": {**THING, "version": 3, "raw_state": in_json({"name": "a"})},
    "ReadResource": {**THING, "current_state": packed({"name": "a"}, SCHEMA)},
    "PlanResourceChange": {
        **THING,
        "prior_state": NOTHING,
        "proposed_new_state": packed({"name": "a"}, SCHEMA),
        "config": packed({"name": "a"}, SCHEMA),
    },
    "ApplyResourceChange": {
        **THING,
        "prior_state": NOTHING,
        "planned_state": packed({"name": "a", "place": UNKNOWN}, SCHEMA),
        "config": packed({"name": "a"}, SCHEMA),
    },
    "ImportResourceState": {**THING, "id": "a"},
    "MoveResourceState": {
        "source_type_name": "toy_item",
        "target_type_name": Shelf.name,
        "source_state": in_json({"name": "a"}),
    },
    "ReadDataSource": {"type_name": Count.name, "config": packed({}, Count.schema)},
    "GetFunctions": {},
    "CallFunction": {
        "name": "twice",
        "arguments": [wire.DynamicValue(msgpack=encode(value, NUMBER)) for value in (4, 2)],
    },
    "StopProvider": {},
}


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(ToyProvider) as host:
        yield host


def shelf(host: Host) -> Shelf:
    return host.service._provider.shelf  # type: ignore[attr-defined,no-any-return]


def plan(host: Host, config: dict[str, Any] | None, prior: dict[str, Any] | None = None, **more: Any) -> Any:
    values = packed(config, SCHEMA)
    return host.call(
        "PlanResourceChange",
        **THING,
        prior_state=packed(prior, SCHEMA),
        proposed_new_state=values,
        config=values,
        **more,
    )


def apply(host: Host, config: dict[str, Any] | None, prior: dict[str, Any] | None = None, **more: Any) -> Any:
    values = packed(config, SCHEMA)
    return host.call(
        "ApplyResourceChange", **THING, prior_state=packed(prior, SCHEMA), planned_state=values, config=values, **more
    )


def fail(*_: Any) -> Any:
    raise RuntimeError("out of its mind")


def broken(kind: type) -> type:
    """The same, with a defect in every one of its own methods."""
    names = [name for name in vars(kind) if not name.startswith("_") and inspect.isfunction(getattr(kind, name))]
    return type(f"Broken{kind.__name__}", (kind,), dict.fromkeys(names, fail))


class BrokenProvider(broken(ToyProvider)):  # type: ignore[misc]
    """Everything that it is asked for fails."""

    def __init__(self) -> None:
        super().__init__()
        self.resources, self.data_sources = (broken(Shelf)(),), (broken(Count)(),)
        self.data_sources[0].validate = fail
        self.functions = (broken(toy.Twice)(),)

    async def close(self) -> None: ...


ASK_NOTHING = {"GetMetadata", "GetProviderSchema", "GetFunctions", "StopProvider"}


def test_the_calls_here_are_all_calls_of_the_protocol() -> None:
    in_stubs = {name for name in wire.DESCRIPTOR.message_types_by_name if hasattr(getattr(wire, name), "Request")}
    assert in_stubs == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_good_call_is_answered_without_a_word(host: Host, name: str) -> None:
    if name == "ImportResourceState":
        apply(host, {"name": "a"})
    response = host.call(name, **CALLS[name])
    assert not getattr(response, "diagnostics", None)
    assert not getattr(response, "Error", "")
    assert not ("error" in response.DESCRIPTOR.fields_by_name and response.HasField("error"))


@pytest.mark.parametrize("name", sorted(CALLS.keys() - ASK_NOTHING))
def test_no_defect_leaves_a_call_as_an_exception(name: str) -> None:
    with Host(BrokenProvider) as host:
        response = host.call(name, **CALLS[name])
    text = said(response)
    assert f"This is a defect of ollama-iac: RuntimeError in {name}\nout of its mind" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_provider_that_cannot_even_be_made_is_told_by_every_call(name: str) -> None:
    def make() -> Provider:
        raise ImportError("no module named pydantic")

    with Host(make) as host:
        response = host.call(name, **CALLS[name])
    assert name == "StopProvider" or "no module named pydantic" in said(response)


@pytest.mark.parametrize("name", sorted(name for name, fields in CALLS.items() if "type_name" in fields))
def test_neither_an_unknown_type_nor_a_value_of_another_shape_is_an_exception(host: Host, name: str) -> None:
    assert "KeyError" in said(host.call(name, **{**CALLS[name], "type_name": "toy_nothing"}))
    wrong: dict[str, Any] = {
        field: wire.DynamicValue(msgpack=b"\x91\xc1") for field, value in CALLS[name].items() if is_value(value)
    }
    if wrong:
        assert "defect" in said(host.call(name, **{**CALLS[name], **wrong}))


def is_value(value: object) -> bool:
    return isinstance(value, wire.DynamicValue)


def said(response: Any) -> str:
    if "diagnostics" in response.DESCRIPTOR.fields_by_name:
        return "\n".join(f"{one.summary}\n{one.detail}" for one in response.diagnostics)
    return str(response.error.text if "error" in response.DESCRIPTOR.fields_by_name else response.Error)


def test_diagnostics_have_their_paths_into_blocks_and_lists(host: Host) -> None:
    response = host.call("ValidateResourceConfig", **THING, config=packed({"name": "bad"}, SCHEMA))
    assert problems(response) == [(("box", "size"), "Bad box", ""), (("weights", 1), "Bad weight", "why")]
    assert {one.severity for one in response.diagnostics} == {wire.Diagnostic.ERROR}
    response = host.call("ValidateResourceConfig", **THING, config=packed({"name": "a", "weights": [5]}, SCHEMA))
    assert [one.severity for one in response.diagnostics] == [wire.Diagnostic.WARNING]
    assert not response.diagnostics[0].HasField("attribute")
    assert problems(host.call("ValidateProviderConfig", config=packed({"key": ""}, ToyProvider.schema))) == [
        (("key",), "No key", "")
    ]
    assert problems(host.call("ConfigureProvider", config=packed({"key": "lost"}, ToyProvider.schema))) == [
        ((), "The key is lost", "")
    ]


def test_every_state_has_every_attribute_and_block(host: Host) -> None:
    states = [plan(host, {"name": "half"}).planned_state]
    made = apply(host, {"name": "half"})
    states.append(made.new_state)
    apply(host, {"name": "a"})
    states.append(host.call("ReadResource", **THING, current_state=packed({"name": "a"}, SCHEMA)).new_state)
    states.append(host.call("ImportResourceState", **THING, id="a").imported_resources[0].state)
    states.append(host.call("UpgradeResourceState", **CALLS["UpgradeResourceState"]).upgraded_state)
    states.append(host.call("MoveResourceState", **CALLS["MoveResourceState"]).target_state)
    for state in states:
        raw = msgpack.unpackb(state.msgpack, ext_hook=lambda *_: UNKNOWN)
        assert raw.keys() == {"name", "weights", "note", "place", "box"}


def test_a_failed_creation_keeps_what_there_is_and_its_private_part(host: Host) -> None:
    made = apply(host, {"name": "half"})
    assert unpacked(made.new_state, SCHEMA)["name"] == "half"
    assert json.loads(made.private) == {"is": "half"}
    assert problems(made) == [((), "Only half of it", "")]


def test_a_failed_update_keeps_the_state_of_before(host: Host) -> None:
    prior = {"name": "a", "place": 1}
    failed = apply(host, {"name": "b", "place": 1}, prior, planned_private=b'{"kept": 1}')
    assert unpacked(failed.new_state, SCHEMA) == {"weights": None, "note": None, "box": None} | prior
    assert (failed.private, problems(failed)) == (b'{"kept": 1}', [(("name",), "It is nailed down", "")])


def test_the_private_part_goes_from_call_to_call(host: Host) -> None:
    planned = plan(host, {"name": "a"})
    assert json.loads(planned.planned_private) == {"planned": "a"}
    made = apply(host, {"name": "a"}, planned_private=planned.planned_private)
    seen = host.call("ReadResource", **THING, current_state=made.new_state, private=made.private)
    assert json.loads(seen.private) == {"made": [1, None]}
    plan(host, {"name": "a"}, {"name": "a"}, prior_private=seen.private)
    apply(host, None, {"name": "a"}, planned_private=seen.private)
    assert shelf(host).seen == [{}, {"made": [1, None]}, {"made": [1, None]}, {"made": [1, None]}]


def test_what_is_gone_is_no_state_and_a_planned_end_asks_nobody(host: Host) -> None:
    gone = host.call("ReadResource", **THING, current_state=packed({"name": "a"}, SCHEMA))
    assert gone.new_state == NOTHING
    assert plan(host, None, {"name": "a"}).planned_state == NOTHING
    assert len(shelf(host).seen) == 1


def test_a_change_that_needs_a_new_object_says_of_which_attribute(host: Host) -> None:
    planned = plan(host, {"name": "b"}, {"name": "a", "place": 7})
    assert [path_of(path) for path in planned.requires_replace] == [("name",)]
    assert unpacked(planned.planned_state, SCHEMA)["place"] == 7


def test_states_of_older_versions_are_upgraded_and_those_of_newer_ones_refused(host: Host) -> None:
    def upgraded(version: int, state: dict[str, Any]) -> Any:
        return host.call("UpgradeResourceState", **THING, version=version, raw_state=in_json(state))

    note = {"type": "number", "value": 0.1}
    state = unpacked(upgraded(1, {"title": "a", "note": note, "gone": 1}).upgraded_state, SCHEMA)
    assert state == {
        "name": "a",
        "note": Dynamic(NUMBER, state["note"].value),
        "weights": None,
        "place": None,
        "box": None,
    }
    assert str(state["note"].value) == "0.1", "a number of a state is the one of the configuration, digit for digit"
    [(path, summary, detail)] = problems(upgraded(4, {"name": "a"}))
    assert (path, summary) == ((), "The state was written by a newer version of this provider")
    assert "has version 4, and this provider knows 3" in detail


@pytest.mark.parametrize(
    ("state", "faults"),
    [
        (
            b'{"name": ["a"], "weights": [1, "2"]}',
            "name is a list, expected a text; weights[1] is a text, expected a n",
        ),
        (b'{"note": 5}', "note is a number, expected an object with `type` and `value`"),
        (b'{"note": {"type": ["lst", "string"], "value": 5}}', "note.value has a type that Terraform does not know"),
        (b'{"note": {"type": ["list", 5], "value": [5]}}', "note.value has a type that Terraform does not know"),
        (b'{"name": "\\ud800"}', "name holds half of a surrogate pair, expected text"),
        (b'["name"]', "Expected an object with the resource's attributes."),
        (b"{", "It is not JSON: "),
        (b"[" * 100_000, "It is not JSON: "),
        (b"", "It is not JSON: "),
    ],
)
def test_a_damaged_state_is_one_error_that_names_every_place(host: Host, state: bytes, faults: str) -> None:
    answer = host.call("UpgradeResourceState", **THING, version=3, raw_state=wire.RawState(json=state))
    [(path, summary, detail)] = problems(answer)
    assert (path, summary) == ((), f"The state of a {THING['type_name']} cannot be read")
    assert faults in detail
    assert "Restore the state from a backup, or remove the resource" in detail


def test_what_cannot_become_one_of_these_says_where_it_comes_from(host: Host) -> None:
    moved = host.call("MoveResourceState", **CALLS["MoveResourceState"])
    assert unpacked(moved.target_state, SCHEMA)["name"] == "a"
    fields = CALLS["MoveResourceState"] | {"source_type_name": "x", "source_provider_address": "registry.example/a/x"}
    assert problems(host.call("MoveResourceState", **fields)) == [
        ((), "A x cannot become a toy_thing", "It comes from registry.example/a/x.")
    ]


def test_an_import_of_nothing_is_an_error_without_a_state(host: Host) -> None:
    response = host.call("ImportResourceState", **THING, id="a")
    assert (problems(response), len(response.imported_resources)) == ([((), "There is none", "")], 0)


def test_stopping_ends_what_is_under_way_and_says_so(host: Host) -> None:
    values = packed({"name": "slow"}, SCHEMA)

    async def stopped() -> Any:
        slow = asyncio.create_task(
            host.answer("ApplyResourceChange", **THING, prior_state=NOTHING, planned_state=values, config=values)
        )
        await asyncio.sleep(0.05)
        await host.answer("StopProvider")
        return await asyncio.wait_for(slow, 1)

    response = host._runner.run(stopped())
    assert problems(response) == [((), "Stopped on request; the next apply goes on from here", "")]
    assert response.new_state == NOTHING


def test_functions_take_null_where_they_may_and_say_which_argument_is_wrong(host: Host) -> None:
    def twice(*arguments: Any) -> Any:
        values = [wire.DynamicValue(msgpack=encode(value, NUMBER)) for value in arguments]
        return host.call("CallFunction", name="twice", arguments=values)

    assert msgpack.unpackb(twice(4, None).result.msgpack) == 8
    error = twice(101, 1).error
    assert (error.text, error.HasField("function_argument"), error.function_argument) == ("more than 100", True, 0)
    assert "defect" in twice(1).error.text
    assert "KeyError" in host.call("CallFunction", name="thrice").error.text


def test_a_data_source_may_have_numbers_of_any_size(host: Host) -> None:
    response = host.call("ReadDataSource", **CALLS["ReadDataSource"])
    assert unpacked(response.state, Count.schema) == {"n": 2**70}


def test_schemas_carry_every_text_and_mark_as_terraform_reads_them(host: Host) -> None:
    schemas = host.call("GetProviderSchema")
    block = schemas.resource_schemas["toy_thing"].block
    marks = {one.name: (one.required, one.optional, one.computed, json.loads(one.type)) for one in block.attributes}
    assert marks == {
        "name": (True, False, False, "string"),
        "weights": (False, True, False, ["list", "number"]),
        "note": (False, True, False, "dynamic"),
        "place": (False, False, True, "number"),
    }
    assert (schemas.resource_schemas["toy_thing"].version, block.block_types[0].type_name) == (3, "box")
    assert block.block_types[0].nesting == wire.Schema.NestedBlock.SINGLE
    assert all(one.description and one.description_kind == wire.MARKDOWN for one in block.attributes)
    assert schemas.functions["twice"] == host.call("GetFunctions").functions["twice"]
    assert [one.allow_null_value for one in schemas.functions["twice"].parameters] == [False, True]
    names = host.call("GetMetadata")
    assert [one.type_name for one in names.resources] == ["toy_thing"]
    assert [one.type_name for one in names.data_sources] == ["toy_count"]


def test_a_second_resource_is_one_small_file() -> None:
    """The toys need nothing but the interfaces, the schema and the values: neither Ollama, nor gRPC, nor protobuf."""
    source = inspect.getsource(toy)
    protocol = interfaces.__package__
    imported = {line.split()[1] for line in source.splitlines() if line.startswith("from ollama_provider")}
    assert imported == {f"{protocol}.{module}" for module in ("provider", "schema", "values")}
    assert len(inspect.getsource(Shelf).splitlines()) < 70


@pytest.mark.parametrize("kind", [Resource, DataSource, Function, Provider])
def test_an_interface_cannot_be_half_implemented(kind: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (kind,), {"schema": Schema(description="", attributes={})})()


def test_no_text_of_a_diagnostic_is_a_command_to_a_ci_runner() -> None:
    def make() -> Provider:
        raise ImportError("##[add-mask]e\n::stop-commands::x ##vso[task.x]y ::1 http://[::1]")

    with Host(make) as host:
        words = said(host.call("ReadResource", **CALLS["ReadResource"]))
    assert "#\\u0023[add-mask]e\n\\u003a:stop-commands::x #\\u0023vso[task.x]y ::1 http://[::1]" in words
