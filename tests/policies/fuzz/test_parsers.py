"""What holds for the parsers that are written here, for any text."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.pipeline.gitignore import IgnoreFile, is_ignored
from ollama_policy.pipeline.suppressions import suppressions_in
from ollama_policy.sources.syntax import json_spans, toml_spans, yaml_documents
from ollama_policy.sources.syntax.json_spans import JsonNode
from tests.policies.sources.trees import file

_FAST = settings(max_examples=250, deadline=None)


def pieces(*tokens: str) -> st.SearchStrategy[bytes]:
    """Texts made of a format's own tokens, with anything between."""
    piece = st.one_of(
        st.sampled_from(tokens).map(str.encode), st.text(max_size=3).map(str.encode), st.binary(max_size=2)
    )
    return st.lists(piece, max_size=40).map(b"".join)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def below(node: JsonNode) -> Iterator[JsonNode]:
    yield node
    for child in (*node.items, *(value for _, value in node.members)):
        yield from below(child)


def or_refused(parse: Callable[[bytes], Any], data: bytes) -> Any:
    """What a parser makes of it; None where it says at which of its bytes it is wrong."""
    try:
        return parse(data)
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)
        assert str(error)
        return None


@_FAST
@given(VALUES, st.sampled_from([None, 0, 3]), st.booleans())
def test_json_is_read_as_python_reads_it_and_each_place_is_the_value(value: Any, indent: int, is_ascii: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    root = json_spans.parse(data)
    assert root.value == value
    for node in below(root):
        assert json.loads(data[node.start : node.end]) == node.value


@_FAST
@given(pieces(*'{ } [ ] , : "a" "\\u00e9" "\\ud800" 1 -0 1.5e3 true null " \\ /**/ NaN'.split(" ")))
def test_json_that_is_refused_is_refused_by_python(data: bytes) -> None:
    root = or_refused(json_spans.parse, data)
    try:
        json.loads(data.decode("utf-8-sig"), parse_constant=_refuse)
    except ValueError:
        assert root is None
        return
    assert root is not None
    # Half of a surrogate pair is not text, and read as a question mark.
    assert root.value == json.loads(re.sub(r"\\ud800", "?", data.decode("utf-8-sig")))


def _refuse(name: str) -> Any:
    raise ValueError(name)


@_FAST
@given(
    pieces(
        *"[ ] [[ ]] { } = . , [a]\n [[a]]\n a=1\n b='x'\n c=\"y\"\n d=[1,2]\n e={f=1}\n".split(" "),
        *('"""', "'''", "#", "\\", "1979-05-27 07:32:00", "inf", "\n"),
    )
)
def test_toml_is_read_as_python_reads_it(data: bytes) -> None:
    root = or_refused(toml_spans.parse, data)
    try:
        expected = tomllib.loads(data.decode("utf-8-sig"))
    except ValueError:
        assert root is None
        return
    assert root is not None
    assert repr(root.value) == repr(expected)
    assert all(0 <= node.start <= node.end <= len(data) for node in below(root))


@_FAST
@given(
    pieces(*"- : ? , [ ] { } & * ! | > ' \" # % @ a b &a *a <<: !!int --- ... 1 ~".split(), "\n", "\n  ", "\n- ", ": ")
)
def test_every_yaml_node_is_in_its_text(data: bytes) -> None:
    for root in or_refused(yaml_documents.documents, data) or []:
        nodes = or_refused(lambda _, root=root: list(root.walk()), data) or []  # type: ignore[misc]
        for node in nodes:
            assert 0 <= node.start <= node.end <= len(data)
            assert isinstance(node.text, str)
            if node.verbatim is not None:
                assert data[node.verbatim :].startswith(node.text.encode("utf-8", "replace"))


@_FAST
@given(VALUES)
def test_yaml_that_is_json_is_read_alike(value: Any) -> None:
    # Escapes for what libyaml does not take as it is.
    data = json.dumps(value).encode()
    if "\\ud" in data.decode() or "\\u007f" in data.decode():
        return
    (root,) = or_refused(yaml_documents.documents, data) or [None]
    if root is not None:
        for node in root.walk():
            if node.is_scalar and not node.is_plain:
                assert json.loads(data[node.start : node.end]) == node.text


@_FAST
@given(
    pieces(
        "# ",
        "ollama-policy: ",
        "ignore[",
        "OLL001",
        ", ",
        "] ",
        "until=2027-01-31 ",
        "why",
        "\n",
        "\r\n",
        "<!--",
        "*/",
        "é",
    )
)
def test_every_suppression_is_in_its_file(data: bytes) -> None:
    read = file("a.tf", data)
    lines = data.count(b"\n") + 1
    for one in suppressions_in(read, {"OLL001"}):
        assert data[one.span.start : one.span.end].startswith(b"ollama-policy:")
        assert 1 <= one.line <= lines + 1
        assert bool(one.problem) or (one.ids and one.reason)
        one.is_expired(date(2026, 1, 1))


@_FAST
@given(
    st.lists(st.text("ab*?[]!/\\-^ .#é\r", max_size=12), max_size=4),
    st.lists(st.text("ab*[]!.é-", min_size=1, max_size=6), min_size=1, max_size=3),
    st.booleans(),
)
def test_every_pattern_has_a_verdict(lines: list[str], parts: list[str], is_folder: bool) -> None:
    found = IgnoreFile(lines).verdict("/".join(parts), parts[-1], is_folder)
    assert found in (True, False, None)
    assert is_ignored([IgnoreFile(lines)], "/".join(parts), parts[-1], is_folder) is (found is True)


@pytest.mark.parametrize("pattern", ["*a" * 300, "**/" * 200 + "a", "[a-" * 200, "?*" * 200, "\\" * 400])
def test_a_pattern_takes_no_time(pattern: str) -> None:
    IgnoreFile([pattern]).verdict("a" * 5000, "a" * 5000, is_folder=False)
