"""Terraform's values, as cty codes them (its docs on JSON types and on msgpack)."""

import json
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_provider.terraform.protocol.values import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    UNKNOWN,
    Dynamic,
    NotATerraformValueError,
    Type,
    decode,
    dynamic,
    encode,
    from_json,
    holds_unknown,
    list_of,
    map_of,
    object_of,
    plain,
)

UNKNOWN_BYTES = b"\xd4\x00\x00"
PERSON = object_of({"name": STRING, "age": NUMBER})


def packed(value: Any) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


@pytest.mark.parametrize(
    ("value", "type_", "data"),
    [
        ("a", STRING, packed("a")),
        (True, BOOL, b"\xc3"),
        (None, STRING, b"\xc0"),
        (300, NUMBER, packed(300)),
        (-1, NUMBER, b"\xff"),
        (2**63 - 1, NUMBER, packed(2**63 - 1)),
        (0.5, NUMBER, packed(0.5)),
        (UNKNOWN, STRING, UNKNOWN_BYTES),
        (UNKNOWN, DYNAMIC, UNKNOWN_BYTES),
        (["a", UNKNOWN], list_of(STRING), b"\x92\xa1a" + UNKNOWN_BYTES),
        ({"name": "x", "age": None}, PERSON, packed({"name": "x", "age": None})),
        (Dynamic(NUMBER, 1), DYNAMIC, packed([b'"number"', 1])),
        (Dynamic(DYNAMIC, None), DYNAMIC, packed([b'"dynamic"', None])),
        ([Decimal("0.1"), "b"], ["tuple", [NUMBER, STRING]], packed(["0.1", "b"])),
    ],
)
def test_values_and_their_bytes(value: Any, type_: Type, data: bytes) -> None:
    assert encode(value, type_) == data
    assert decode(data, type_) == value


@pytest.mark.parametrize(
    "refinement",
    [b"", packed({1: False}), packed({1: False, 2: ["prefix", True]}), packed({3: [0, True], 4: ["100", False]})],
)
def test_what_terraform_knows_about_an_unknown_value_does_not_matter(refinement: bytes) -> None:
    data = packed({"name": msgpack.ExtType(12, refinement), "age": 1})
    assert decode(data, PERSON) == {"name": UNKNOWN, "age": 1}
    assert decode(packed(msgpack.ExtType(12, refinement)), PERSON) is UNKNOWN


@pytest.mark.parametrize(
    "digits",
    ["0.1", "18446744073709551616", "-9223372036854775809", "1e400", "3.14159265358979323846264338327950288"],
)
def test_numbers_that_a_double_would_not_keep_arrive_and_go_as_their_digits(digits: str) -> None:
    number = decode(packed(digits), NUMBER)
    assert number == Decimal(digits)
    assert Decimal(msgpack.unpackb(encode(number, NUMBER))) == Decimal(digits)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**200])
def test_integers_of_more_than_64_bits_go_as_their_digits(number: int) -> None:
    assert encode(number, NUMBER) == packed(str(number))
    assert decode(encode(number, NUMBER), NUMBER) == number


def test_an_object_gets_each_attribute_of_its_type_and_no_other() -> None:
    assert encode({"age": 3, "other": 1}, PERSON) == packed({"name": None, "age": 3})
    assert decode(packed({"age": 3, "other": 1}), PERSON) == {"name": None, "age": 3}
    assert from_json({"age": 3, "other": 1}, PERSON) == {"name": None, "age": 3}


def test_a_state_file_has_dynamic_values_with_their_types() -> None:
    state = {
        "value": {"num_ctx": 4096, "stop": ["a"]},
        "type": ["object", {"num_ctx": NUMBER, "stop": ["tuple", [STRING]]}],
    }
    value = from_json(state, DYNAMIC)
    assert value == dynamic({"num_ctx": 4096, "stop": ["a"]})
    assert plain(value) == state["value"]
    assert from_json(None, DYNAMIC) is dynamic(None) is None


def test_plain_values_have_python_s_numbers_and_no_types() -> None:
    value = {"a": Decimal("5"), "b": [Decimal("0.5"), UNKNOWN], "c": Dynamic(map_of(NUMBER), {"d": Decimal("1e3")})}
    found = plain(value)
    assert found == {"a": 5, "b": [0.5, UNKNOWN], "c": {"d": 1000}}
    assert [type(found["a"]), type(found["b"][0]), type(found["c"]["d"])] == [int, float, int]


@pytest.mark.parametrize(
    "value", [UNKNOWN, [UNKNOWN], {"a": [1, {"b": UNKNOWN}]}, Dynamic(list_of(STRING), ["a", UNKNOWN])]
)
def test_an_unknown_value_is_found_wherever_it_is(value: Any) -> None:
    assert holds_unknown(value)
    assert not holds_unknown({"a": [1, None, {}], "b": Dynamic(STRING, "c")})


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (b"", STRING),
        (b"\xc1", STRING),
        (b"\xa5ab", STRING),
        (packed("a") + b"\x00", STRING),
        (packed([1]), PERSON),
        (packed("text"), map_of(STRING)),
        (packed("seven"), NUMBER),
        (packed([b"nonsense", 1]), DYNAMIC),
        (packed([]), DYNAMIC),
        (packed(["a"]), ["tuple", [STRING, STRING]]),
        (b"\xa1\xff", STRING),
    ],
)
def test_bytes_that_hold_no_such_value_are_one_kind_of_error(data: bytes, type_: Type) -> None:
    with pytest.raises(NotATerraformValueError):
        decode(data, type_)


@given(st.binary(max_size=60), st.sampled_from([STRING, NUMBER, DYNAMIC, PERSON, list_of(DYNAMIC), map_of(PERSON)]))
def test_no_bytes_raise_anything_else(data: bytes, type_: Type) -> None:
    try:
        decode(data, type_)
    except NotATerraformValueError as error:
        assert json.dumps(type_) in str(error)


SIMPLE = {
    STRING: st.text(),
    BOOL: st.booleans(),
    NUMBER: st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: number.normalize()),
        st.integers(2**63, 2**300).map(Decimal),
    ),
}
TYPES: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from([STRING, BOOL, NUMBER, DYNAMIC]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["list", "set", "map"]), inner).map(list),
        st.lists(inner, max_size=3).map(lambda types: ["tuple", types]),
        st.dictionaries(st.text(max_size=5), inner, max_size=3).map(object_of),
    ),
    max_leaves=8,
)


@st.composite
def values(draw: st.DrawFn, type_: Type) -> Any:
    if not draw(st.integers(0, 9)):
        return draw(st.sampled_from([None, UNKNOWN]))
    if isinstance(type_, str):
        if type_ != DYNAMIC:
            return draw(SIMPLE[type_])
        own = draw(TYPES.filter(lambda found: found != DYNAMIC))
        return Dynamic(own, draw(values(own)))
    kind, inner = type_
    if kind == "object":
        return {name: draw(values(its_type)) for name, its_type in inner.items()}
    if kind == "tuple":
        return [draw(values(its_type)) for its_type in inner]
    if kind == "map":
        return draw(st.dictionaries(st.text(max_size=5), values(inner), max_size=3))
    return draw(st.lists(values(inner), max_size=3))


@given(st.data())
def test_every_value_comes_back_as_it_went(data: st.DataObject) -> None:
    type_ = data.draw(TYPES)
    value = data.draw(values(type_))
    assert decode(encode(value, type_), type_) == value
