"""The words of Pulumi are those of the resource."""

import pytest

from ollama_policy.model.declaration_table import PROPERTIES
from ollama_policy.model.settings import Unknown
from ollama_policy.sources.pulumi.resources import OUTPUTS, TYPES, first_unknown, snake
from ollama_provider.apply.states import OUTPUTS as LIFECYCLE_OUTPUTS


def test_outputs_are_those_of_the_lifecycle() -> None:
    assert LIFECYCLE_OUTPUTS.keys() - PROPERTIES == OUTPUTS


def test_the_python_class_is_among_the_types() -> None:
    dynamic = pytest.importorskip("ollama_provider.pulumi_dynamic")
    assert f"pulumi-python:{dynamic.OllamaModel._resource_type_name}" in TYPES


@pytest.mark.parametrize("name", sorted(PROPERTIES | OUTPUTS))
def test_camel_case_is_undone(name: str) -> None:
    first, *others = name.split("_")
    assert snake(first + "".join(map(str.capitalize, others))) == name
    assert snake(name) == name


def test_an_unknown_is_found_at_any_depth() -> None:
    value: object = Unknown("why")
    for _ in range(10_000):
        value = [{"a": 1, "b": value}]
    assert first_unknown(value) == Unknown("why")
    assert first_unknown({"a": [1, "x"]}) is None
