import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.sources.syntax.json_spans import MAX_DEPTH, JsonNode, parse

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _check_places(node: JsonNode, data: bytes, offset: int) -> None:
    assert json.loads(data[node.start - offset : node.end - offset]) == node.value
    for key, value in node.members:
        _check_places(key, data, offset)
        _check_places(value, data, offset)
    for item in node.items:
        _check_places(item, data, offset)


@given(_VALUES, st.booleans(), st.sampled_from([None, 2]), st.integers(0, 1000))
def test_reads_all_that_the_standard_library_writes(
    value: Any, ascii_only: bool, indent: int | None, base: int
) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    node = parse(data, base)
    assert node.value == json.loads(data)
    _check_places(node, data, base)


def _refused(name: str) -> Any:
    raise ValueError(name)


@given(st.binary(max_size=40) | st.text('{}[]",:\\u0e1-tfn ', max_size=30).map(str.encode))
def test_accepts_what_the_standard_library_accepts(data: bytes) -> None:
    try:
        expected: Any = json.loads(data.decode("utf-8"), parse_constant=_refused)
    except ValueError:
        with pytest.raises(UnreadableError) as error:
            parse(data)
        assert 0 <= error.value.offset <= len(data)
    else:
        assert parse(data).value == expected


def test_finds_by_path_and_keeps_repeated_keys() -> None:
    node = parse(b'{"a": [{"b": 1}], "a": [{"b": -2.5e1}, 3]}')
    assert [key.value for key, _ in node.members] == ["a", "a"]
    found = node.at("a", 0, "b")
    assert found is not None
    assert (found.value, found.span.start, found.span.end) == (-25.0, 30, 36)
    assert node.at("a", -1) is not None
    assert node.at("a", 2) is node.at("x") is node.at("a", "b") is node.at(0) is None


@pytest.mark.parametrize(
    ("data", "offset", "what"),
    [
        (b"", 0, "the end of the text, expected a value"),
        (b'{"a"', 4, "the end of the text, expected ':'"),
        (b'{"a": 1, }', 9, "'}', expected a key in double quotes"),
        (b"{a: 1}", 1, "'a:', expected a key in double quotes or '}'"),
        (b"[1 2]", 3, "'2]', expected ',' or ']'"),
        (b"[01]", 1, "'01]', expected a value"),
        (b"{} x", 3, "'x', expected the end of the text"),
        (b'["\\x"]', 1, "a text with an unknown escape, expected a text in double quotes on one line"),
        (b'["a\n"]', 1, "a text without an end, expected a text in double quotes on one line"),
        (b'"\xff"', 1, "bytes that are not UTF-8, expected UTF-8"),
        (b"\x00", 0, "'\\x00', expected a value"),
        (b"[" * 100_000, MAX_DEPTH, f"nesting of more than {MAX_DEPTH} levels"),
        (b"1" * 5000, 0, "a number of 5000 digits"),
    ],
)
def test_says_where_and_what_was_expected(data: bytes, offset: int, what: str) -> None:
    with pytest.raises(UnreadableError) as error:
        parse(data, 7)
    assert (error.value.offset, str(error.value)) == (offset + 7, what)


def test_takes_a_byte_order_mark_and_half_a_surrogate_pair() -> None:
    assert parse(b"\xef\xbb\xbf[1]").start == 3
    assert parse(rb'"\ud83d\ude00 \ud800"').value == "\N{GRINNING FACE} ?"
