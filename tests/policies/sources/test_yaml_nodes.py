"""Places in YAML: every scalar's bytes are read as that scalar, whatever stands around it."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.sources.syntax.yaml_documents import documents
from ollama_policy.sources.syntax.yaml_nodes import Node

EVERYTHING = """# first
base: &base {A: 1, B: é, "C": 'it''s'}
service:
  <<: *base
  B: !!str &quoted "z\\tz" # note
  block: &block |
    one
    two

  folded: >-
    one
    two
  same: *block
  list:
  - 'a''b'
  - *quoted
  - plain text # note
  - [x, {y: z}]
  empty:
"""
FORMS = [EVERYTHING, EVERYTHING.replace("\n", "\r\n"), "\ufeff" + EVERYTHING]


def places(node: Node, data: bytes) -> list[str]:
    return [data[each.start : each.end].decode() for each in node.walk() if each.is_scalar]


@pytest.mark.parametrize("text", FORMS, ids=["LF", "CRLF", "BOM"])
def test_every_scalar_stands_at_its_place(text: str) -> None:
    data = text.encode()
    (root,) = documents(data)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join(("|", "    one", "    two"))
    folded = newline.join((">-", "    one", "    two"))
    assert places(root, data) == [
        *("1", "é", "'it''s'"),
        *("1", "'it''s'", '"z\\tz"', block, folded, block, "'a''b'", '"z\\tz"', "plain text", "x", "z", ""),
    ]
    assert root.value["service"] == {
        "A": 1,
        "C": "it's",
        "B": "z\tz",
        "block": "one\ntwo\n",
        "folded": "one two",
        "same": "one\ntwo\n",
        "list": ["a'b", "z\tz", "plain text", ["x", {"y": "z"}]],
        "empty": None,
    }


def test_what_an_alias_or_a_merge_key_leads_to_is_shared() -> None:
    (root,) = documents(EVERYTHING.encode())
    service = root.at("service")
    assert service is not None
    shared = {key.text for key, value in service.members if value.is_shared}
    assert shared == {"A", "C", "same"}
    assert [item.is_shared for item in service.at("list").items] == [False, True, False, False]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{<<: [{a: 1}, {a: 2, b: 3}], c: 4}", {"a": 1, "b": 3, "c": 4}),
        ("{a: 1, <<: {a: 2}}", {"a": 1}),
        ('{"<<": {a: 2}}', {"<<": {"a": 2}}),
        ("[true, True, ~, null, 0o17, 0x1F, 017, 1_000, 1e3, .5, yes, 2024-01-01, 1:30, -1, '1', !!str 1, !x 1]",
         [True, True, None, None, 15, 31, 17, "1_000", 1000.0, 0.5, "yes", "2024-01-01", "1:30", -1, "1", "1", "1"]),
        ("a: 1\na: 2", {"a": 2}),
    ],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert documents(text.encode())[0].value == value


def test_repeated_keys_are_noticed_and_the_last_counts() -> None:
    data = b"a: 1\nb: 2\na: 3\n<<: {a: 4}\n"
    (root,) = documents(data)
    assert [key.start for key in root.repeated] == [10]
    assert root.text_at("a") == "3"


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("# only a note", 0), ("---\n---\n...\n", 0), ("a: 1\n---\nb: 2\n---\n", 2), ("%YAML 1.2\n---\na\n", 1)],
)
def test_several_documents(text: str, count: int) -> None:
    assert len(documents(text.encode())) == count


def test_a_block_is_given_as_it_stands_with_its_place() -> None:
    data = b"a:\r\n  content: |\r\n    [Service]\r\n    A=b\r\n"
    block = documents(data, 100)[0].at("a", "content")
    assert block is not None
    assert block.block == (b"    [Service]\r\n    A=b\r\n", 100 + data.index(b"    [Service]"))


@pytest.mark.parametrize(
    ("data", "offset", "message"),
    [
        (b"a: \xff\n", 3, "not UTF-8"),
        ("a: 1".encode("utf-16"), 0, "not UTF-8"),
        (b"\xc3\xa9: \x00\n", 4, "control character"),
        ("\ufeffé: *nope\n".encode(), 7, "'*nope' of no anchor"),
        (b"a:\n  b: 1\n c: 2\n", 11, "expected key"),
        (b"a: [b\nc: d", 7, "expected ',' or ']'"),
        (b"\ta: b", 0, "cannot start any token"),
        (b"a: 'x", 5, "unexpected end"),
        (b"[" * 10_000, 1000, "nesting depth"),
        (b"- " * 10_000, 1998, "nesting depth"),
        (b"".join(b" " * depth + b"a:\n" for depth in range(3000)), None, "nesting depth"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, offset: int | None, message: str) -> None:
    with pytest.raises(UnreadableError) as error:
        documents(data)
    assert message in str(error.value)
    assert offset is None or error.value.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "a: &x [*x]",
        "a: &x\n  <<: *x\n",
        "a: " + "{b: " * 300 + "1" + "}" * 300,
    ],
    ids=["bomb", "cycle", "merged into itself", "deep"],
)
def test_aliases_never_grow_and_nothing_recurses_for_ever(text: str) -> None:
    (root,) = documents(text.encode())
    with pytest.raises(UnreadableError, match=r"too many values|levels"):
        root.value  # noqa: B018


@settings(max_examples=150, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
), st.sampled_from([None, True, False]), st.booleans())  # fmt: skip
def test_whatever_is_written_is_read_back_and_every_place_alone_is_its_value(
    value: object, flow: bool | None, unicode: bool
) -> None:
    data = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=unicode, sort_keys=False).encode()
    for root in documents(data):
        for node in root.walk():
            if node.is_scalar and node.style != "|" and "\n" not in node.text and node.is_plain:
                assert data[node.start : node.end].decode() == node.text
            elif node.is_scalar and node.style in ("'", '"'):
                assert yaml.safe_load(data[node.start : node.end]) == node.text


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text("ab:-[]{},&*!|>'\"#%@\n\r\t é<", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_within_the_text(data: bytes) -> None:
    try:
        for root in documents(data):
            for node in root.walk():
                assert 0 <= node.start <= node.end <= len(data)
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)
