"""Places in TOML: every value's and key's bytes are what tomllib reads as that value."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.sources.syntax.json_spans import JsonNode
from ollama_policy.sources.syntax.toml_spans import parse

EVERYTHING = '''# all that TOML has
a = 1 # x
"b.c" = 'q'
d.e."f g" = [1, 2, # c ]
 [3], {x = 1, y.z = "t}" }]
[t.u]
m = """a""b"""""
l = \'\'\'x'y\'\'\'\'\'
w = 1979-05-27 07:32:00 # c
v = 1979-05-27T07:32:00Z
[[arr]]
n=1
[[arr]]
n=2
[arr.sub]
k=+inf
[[arr.deep]]
e={}
f=[]
'''


def scalars(node: JsonNode) -> list[JsonNode]:
    inner = [value for _, value in node.members] + list(node.items)
    if not inner:
        return [] if isinstance(node.value, dict | list) else [node]
    return [found for part in inner for found in scalars(part)]


@pytest.mark.parametrize(
    "text", [EVERYTHING, EVERYTHING.replace("\n", "\r\n"), "\ufeff" + EVERYTHING, ""], ids=range(4)
)
def test_every_value_is_that_of_tomllib_and_stands_at_its_place(text: str) -> None:
    data = text.encode()
    root = parse(data)
    assert root.value == tomllib.loads(text.removeprefix("\ufeff"))
    for node in scalars(root):
        assert tomllib.loads(f"v = {data[node.start : node.end].decode()}")["v"] == node.value


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a = 1\nb = = 2", "= 2", "Invalid value"),
        ("\ufeffé = 1", "é = 1", "Invalid statement"),
        ("a = [", "", "Invalid value"),
        ("[a]\n[a]\n", "]\n", "Cannot declare"),
        ("a = " + "[" * 10_000, None, "nested too deeply"),
        ("a = " + "{a = " * 10_000, None, "nested too deeply"),
        ("a = " + "1" * 10_000, None, "integer string conversion"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_toml_is_refused_at_its_place(text: str, place: str | None, message: str) -> None:
    data = text.encode()
    with pytest.raises(UnreadableError, match=message) as refused:
        parse(data)
    if place is not None:
        assert data[refused.value.offset :].startswith(place.encode())
    assert 0 <= refused.value.offset <= len(data)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnreadableError, match="UTF-8") as refused:
        parse(b"a = '\xff'")
    assert refused.value.offset == 5


PIECES = [
    "a",
    "b.c",
    '"k"',
    " = ",
    "=",
    "1",
    '"t"',
    "'",
    '"""',
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "#",
    "\\",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_as_tomllib_reads_it_or_refused(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(UnreadableError):
            parse(text.encode())
    else:
        assert parse(text.encode()).value == expected
