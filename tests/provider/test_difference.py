"""When a declaration is a change, what identifies a resource, and which residents cannot be together."""

import os
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply import content
from ollama_provider.apply.declarations import Residents, key_of
from ollama_provider.apply.planning import Difference, difference
from ollama_provider.apply.states import CONTENT_REPLACED, INPUTS, identity
from ollama_provider.model import declare
from tests.provider.gguf_writing import write_keys

A_DIGEST, ANOTHER = "ab" * 32, "cd" * 32
OUTPUTS: dict[str, Any] = {
    "id": "llama3:latest",
    "digest": A_DIGEST,
    "size": 4_000_000,
    "family": "llama",
    "parameter_size": "8.0B",
    "quantization_level": "Q4_K_M",
    "context_length": 8192,
    "capabilities": ["completion"],
    "pinned": False,
    "drift": "",
}


def state(**inputs: Any) -> dict[str, Any]:
    return {**OUTPUTS, "name": "llama3", **inputs}


def values(**inputs: Any) -> dict[str, Any]:
    return {"name": "llama3", **inputs}


DEFAULTS: dict[str, Any] = {
    "memory_management": "automatic",
    "pull_policy": "missing",
    "insecure": False,
    "on_destroy": None,
    "timeouts": {"pull": "6h", "load": "10m", "unload": "1m"},
}
DERIVED: dict[str, Any] = {"base": "b", "parameters": {"num_ctx": 2048, "temperature": 0.5}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"name": "llama3"}, {"name": "llama3:latest"}),
        ({"name": "llama3"}, {"name": "LLaMA3"}),
        ({"name": "llama3"}, {"name": "registry.ollama.ai/library/llama3"}),
        ({"base": "b"}, {"base": "B:latest"}),
        ({"keep_alive": "5m"}, {"keep_alive": "300s"}),
        ({"keep_alive": "90m"}, {"keep_alive": "1.5h"}),
        ({"timeouts": {"load": "10m"}}, {"timeouts": {"load": "600s"}}),
        ({"timeouts": {"load": "10m"}}, {}),
        ({}, {"timeouts": {"load": None}}),
        ({}, DEFAULTS),
        (DEFAULTS, {}),
        ({}, dict.fromkeys(name for name in INPUTS if name != "name")),
        (DERIVED, {**DERIVED, "parameters": {"temperature": 0.5, "num_ctx": 2048.0}}),
        (DERIVED, {**DERIVED, "parameters": {"temperature": "0.5", "num_ctx": "2048", "seed": None}}),
        ({"memory_management": "manual"}, {"memory_management": "manual", "resident": True}),
        ({"host": "example.com"}, {"host": "http://example.com:11434/"}),
        ({"digest": A_DIGEST}, {"digest": "sha256:" + A_DIGEST}),
        ({"digest": A_DIGEST}, {}),
        ({"digest": "sha256:" + A_DIGEST}, {"digest": A_DIGEST}),
    ],
)
def test_another_text_of_the_same_is_no_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert difference(state(**before), values(**after)) == Difference(())
    assert difference(state(**{**before, "digest": A_DIGEST}), values(**after)) == Difference(())


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"name": "llama3:8b"}, ("name",)),
        ({}, {"memory_management": "manual"}, ("memory_management", "resident")),
        ({"memory_management": "manual"}, {"memory_management": "manual", "resident": False}, ("resident",)),
        ({}, {"keep_alive": "5m"}, ("keep_alive",)),
        ({"keep_alive": "5m"}, {}, ("keep_alive",)),
        ({"keep_alive": "5m"}, {"keep_alive": "5m1ns"}, ("keep_alive",)),
        ({}, {"digest": ANOTHER}, ("digest",)),
        ({}, {"pull_policy": "never"}, ("pull_policy",)),
        ({}, {"insecure": True}, ("insecure",)),
        ({}, {"base": "b"}, ("base",)),
        (DERIVED, {"base": "b", "parameters": {"num_ctx": 4096}}, ("parameters",)),
        (DERIVED, {"base": "b"}, ("parameters",)),
        ({"base": "b"}, {"base": "b", "system": "x"}, ("system",)),
        ({"base": "b"}, {"base": "b", "template": "x"}, ("template",)),
        ({}, {"on_destroy": "keep"}, ("on_destroy",)),
        ({"on_destroy": "delete"}, {}, ("on_destroy",)),
        ({}, {"timeouts": {"load": "1m"}}, ("timeouts",)),
    ],
)
def test_a_change_names_the_properties_that_it_changes(
    before: dict[str, Any], after: dict[str, Any], changed: tuple[str, ...]
) -> None:
    assert difference(state(**before), values(**after)) == Difference(changed)


@pytest.mark.parametrize(
    ("before", "after"), [({}, {"host": "b"}), ({"host": "a"}, {"host": "b"}), ({"host": "a"}, {})]
)
def test_another_host_is_another_resource(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert difference(state(**before), values(**after)) == Difference(("host",), ("host",))


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"host": "http://127.0.0.1:11434"}, {}, ("host",)),
        ({}, {"host": "http://localhost:11434/"}, ("host",)),
        ({"host": "localhost"}, {"host": "127.0.0.1"}, ()),
        ({"host": "localhost:11434/"}, {"host": "http://127.0.0.1:11434"}, ()),
        ({"host": "HTTP://LOCALHOST:11434"}, {"host": "127.0.0.1"}, ()),
        ({"host": "localhost/ollama/"}, {"host": "127.0.0.1/ollama"}, ()),
        ({"host": "0.0.0.0"}, {"host": "localhost"}, ()),
    ],
)
def test_the_same_server_in_other_words_needs_no_other_resource(
    before: dict[str, Any], after: dict[str, Any], changed: tuple[str, ...]
) -> None:
    assert difference(state(**before), values(**after), (), "127.0.0.1") == Difference(changed)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"host": "localhost"}, {"host": "[::1]"}),
        ({"host": "localhost"}, {"host": "localhost:11435"}),
        ({"host": "localhost"}, {"host": "http://localhost"}),
        ({"host": "localhost"}, {"host": "https://localhost:11434"}),
        ({"host": "localhost.example.com"}, {"host": "127.0.0.1.example.com"}),
        ({}, {"host": "[::1]"}),
        ({"host": "other"}, {}),
    ],
)
def test_a_truly_different_server_is_another_resource(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert difference(state(**before), values(**after), (), "127.0.0.1") == Difference(("host",), ("host",))


def test_drift_that_was_read_is_a_change() -> None:
    assert difference(state(drift=CONTENT_REPLACED), values()) == Difference(("drift",))


def test_always_asks_the_registry_at_every_apply() -> None:
    always = {"pull_policy": "always"}
    assert difference(state(**always), values(**always)) == Difference(("pull_policy",))
    assert difference(state(**always), values(**always, keep_alive="5m")) == Difference(("keep_alive",))


@pytest.mark.parametrize("name", INPUTS)
def test_a_value_that_is_not_known_yet_may_be_a_change(name: str) -> None:
    expected = Difference((name,), ("host",) if name == "host" else ())
    assert difference(state(), values(**{name: "a placeholder"}), {name}) == expected
    without = {key: value for key, value in values().items() if key != name}
    assert difference(state(), without, [name]) == expected


def test_a_local_file_that_was_edited_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write_keys(file, {"general.name": "one"})
    seen = state(gguf=str(file), gguf_file=content.look_at(file))
    declared = values(gguf=str(file))
    assert difference(seen, declared) == Difference(())
    os.utime(file, ns=(1, 1))
    assert difference(seen, declared) == Difference(())  # touched, and read again: the same bytes
    write_keys(file, {"general.name": "two"})
    assert difference(seen, declared) == Difference(("gguf",))
    file.unlink()
    assert difference(seen, declared) == Difference(())  # the server has what was made of it
    below_a_file = str(tmp_path / "file" / "model.gguf")
    (tmp_path / "file").touch()
    assert difference(seen | {"gguf": below_a_file}, values(gguf=below_a_file)) == Difference(())


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"name": "llama3"}, "llama3:latest"),
        ({"name": "h:1/a/llama3:8b"}, "h:1/a/llama3:8b"),
        ({"name": "llama3", "host": "example.com"}, "llama3:latest@http://example.com:11434"),
    ],
)
def test_the_id_is_what_an_import_takes(declared: dict[str, Any], expected: str) -> None:
    assert identity(declare(declared)) == expected


def resident(name: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "memory_management": "manual", **inputs}


def variant(name: str, base: str, **inputs: Any) -> dict[str, Any]:
    return resident(name, base=base, **inputs)


ABSENT: Mapping[str, Any] = {"resident": False}
AUTOMATIC: Mapping[str, Any] = {"memory_management": "automatic"}


def conflicts(*declarations: dict[str, Any]) -> list[str]:
    residents = Residents()
    keys = [(key_of(declare(one), "http://127.0.0.1:11434").server, declare(one)) for one in declarations]
    return [str(problem) for server, one in keys if (problem := residents.problem_with(server, one))]


@pytest.fixture
def gguf(tmp_path: Path) -> str:
    file = tmp_path / "model.gguf"
    write_keys(file, {})
    return str(file)


@pytest.mark.parametrize(
    "declarations",
    [
        [resident("a"), variant("v", "a")],
        [resident("A:latest"), variant("v", "a")],
        [variant("v", "a"), variant("w", "a")],
        [resident("a"), variant("b", "a", **AUTOMATIC), variant("c", "b")],
        [variant("b", "a", **ABSENT), variant("c", "b"), variant("d", "a")],
        [resident("a", host="h"), variant("v", "a", host="http://h:11434")],
    ],
    ids=[
        "base and variant",
        "base in another case",
        "two variants",
        "over a middle",
        "over two",
        "one host, two texts",
    ],
)
def test_two_residents_on_one_weights_file_are_refused_in_any_order(declarations: list[dict[str, Any]]) -> None:
    for order in permutations(declarations):
        found = conflicts(*order)
        assert len(found) == 1, order
        assert found[0].startswith("memory_management: found a second resident model (")
        assert 'memory_management = "automatic", or resident = false' in found[0]


def test_two_residents_made_of_one_local_file_are_refused(gguf: str) -> None:
    assert "a second resident model (y:latest), expected one resident model for each weights file: x:latest" in str(
        conflicts(resident("x", gguf=gguf), resident("y", gguf=gguf))
    )
    assert len(conflicts(variant("z", "x"), resident("y", gguf=gguf), resident("x", gguf=gguf, **ABSENT))) == 1


@pytest.mark.parametrize(
    "declarations",
    [
        [resident("a"), resident("b")],
        [resident("a"), resident("a")],
        [resident("a"), variant("v", "a", **AUTOMATIC)],
        [resident("a", **AUTOMATIC), variant("v", "a")],
        [resident("a"), variant("v", "a", **ABSENT)],
        [resident("a", host="one"), variant("v", "a", host="other")],
        [resident("a", host="one"), variant("v", "a")],
        [variant("v", "a"), variant("w", "a:8b")],
        [variant("a", "b", **AUTOMATIC), variant("b", "a")],
    ],
    ids=[
        "two models",
        "one, checked twice",
        "automatic variant",
        "automatic base",
        "absent variant",
        "two hosts",
        "own host and the provider's",
        "two tags",
        "a circle",
    ],
)
def test_residents_that_can_be_together_are_no_conflict(declarations: list[dict[str, Any]]) -> None:
    for order in permutations(declarations):
        assert conflicts(*order) == []


def test_a_third_model_is_not_blamed_for_a_conflict_of_two_others() -> None:
    assert len(conflicts(resident("a"), variant("v", "a"), variant("w", "a", **AUTOMATIC))) == 1
