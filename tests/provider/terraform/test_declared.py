"""The schema of `ollama_model` has all that the lifecycle takes and gives, and says of it what model.py says."""

import json
from typing import Any

import pytest

from ollama_provider.apply.states import INPUTS, OUTPUTS
from ollama_provider.model import ModelDeclaration, Timeouts, declare
from ollama_provider.terraform.declared import DEFAULTS, OUTPUT_TYPES, known_inputs, model_schema, with_defaults
from ollama_provider.terraform.protocol.values import BOOL, DYNAMIC, NUMBER, STRING, UNKNOWN, Dynamic, list_of
from ollama_provider.terraform.provider import OllamaProvider

SCHEMA = model_schema()
FIELDS = ModelDeclaration.model_fields
EVERYTHING = dict.fromkeys(INPUTS)


def test_each_input_and_output_stands_once() -> None:
    assert SCHEMA.attributes.keys() | SCHEMA.blocks.keys() == set(INPUTS) | set(OUTPUTS)
    assert not SCHEMA.attributes.keys() & SCHEMA.blocks.keys()
    assert SCHEMA.blocks.keys() == {"timeouts"}
    assert SCHEMA.blocks["timeouts"].attributes.keys() == Timeouts.model_fields.keys()
    assert OUTPUT_TYPES.keys() == OUTPUTS.keys()


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "timeouts"])
def test_an_input_is_what_its_field_is(name: str) -> None:
    attribute, field = SCHEMA.attributes[name], FIELDS[name]
    assert (attribute.required, attribute.optional) == (field.is_required(), not field.is_required())
    assert field.description
    assert attribute.description.startswith(field.description)
    assert attribute.type == (BOOL if name in ("insecure", "resident") else DYNAMIC if name == "parameters" else STRING)
    assert not attribute.sensitive
    if name in DEFAULTS:
        assert attribute.computed
        assert attribute.description.endswith(f"Default: `{json.dumps(DEFAULTS[name]).strip(chr(34))}`.")


@pytest.mark.parametrize("name", sorted(OUTPUTS.keys() - set(INPUTS)))
def test_an_output_is_only_computed(name: str) -> None:
    attribute = SCHEMA.attributes[name]
    assert (attribute.required, attribute.optional, attribute.computed) == (False, False, True)
    assert (attribute.type, attribute.description) == (OUTPUT_TYPES[name], OUTPUTS[name])


def test_the_types_of_outputs_are_those_of_what_is_found() -> None:
    numbers = {name for name, type_ in OUTPUT_TYPES.items() if type_ == NUMBER}
    assert numbers == {"size", "context_length"}
    assert OUTPUT_TYPES["capabilities"] == list_of(STRING)


def test_defaults_are_those_of_a_declaration() -> None:
    filled = with_defaults(EVERYTHING | {"name": "llama3"})
    declared = declare({"name": "llama3"}).model_dump(mode="json")
    assert {name: filled[name] for name in DEFAULTS} == {name: declared[name] for name in DEFAULTS}
    assert with_defaults(filled) == filled, "what stands in the state is what a plan makes of it"
    assert with_defaults(EVERYTHING | {"memory_management": "manual"})["resident"] is True
    assert with_defaults(EVERYTHING | {"memory_management": UNKNOWN})["resident"] is None


def test_unknown_inputs_are_told_from_those_that_are_given() -> None:
    config = EVERYTHING | {"name": "a", "host": UNKNOWN, "parameters": Dynamic(["tuple", [STRING]], [UNKNOWN])}
    assert known_inputs(config) == ({"name": "a"}, {"host", "parameters"})


def test_everything_that_the_provider_offers_is_described() -> None:
    provider: Any = OllamaProvider({})
    schemas = [provider.schema, *(one.schema for one in (*provider.resources, *provider.data_sources))]
    schemas += [block for schema in schemas for block in schema.blocks.values()]
    for schema in schemas:
        assert schema.description.endswith(".")
        for name, attribute in schema.attributes.items():
            assert attribute.description.endswith("."), name
            assert attribute.required + (attribute.optional or attribute.computed) == 1, name
    for function in provider.functions:
        assert function.description.endswith(".")
        assert function.summary
        assert all(parameter.description for parameter in function.parameters)
    offered = [one.name for one in (*provider.resources, *provider.data_sources)]
    assert all(name.startswith("ollama_") for name in offered)
    assert {name for name, one in provider.schema.attributes.items() if one.sensitive} == {"token", "headers"}
