"""The document's own form in YAML, JSON and TOML: what is taken for it, where each value stands, how a fix reads."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Subject, Unknown, apply, insert, rewrite
from ollama_policy.sources.plain import Plain
from tests.policies.sources.trees import Files, file


def read(path: str, text: str | bytes) -> list[Subject]:
    source, written = Plain(), file(path, text)
    return list(source.read(written, Files())) if source.accepts(written) else []


def values(subject: Subject) -> dict[str, Any]:
    return {key: setting.value for key, setting in subject.settings.items()}


A, B = {"memory_management": "automatic"}, {"memory_management": "manual", "resident": False}


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("m.yaml", 'memory_management: "automatic"\n', [A]),
        ("m.yml", "# why\n---\nmemory_management: automatic\n---\nother: 1\n", [A]),
        ("m.yaml", "name: a\nmemory_management: automatic\n", [{"name": "a", **A}]),
        ("m.yaml", "- name: a\n  memory_management: automatic\n- name: b\n", [{"name": "a", **A}, {"name": "b"}]),
        ("m.yaml", "models:\n- {name: a, memory_management: automatic}\n", [{"name": "a", **A}]),
        ("m.yaml", "models:\n  a:\n    memory_management: automatic\n  b: {}\n", [{"name": "a", **A}, {"name": "b"}]),
        ("m.yaml", "a: {memory_management: manual, resident: false}\n", [{"name": "a", **B}]),
        ("m.yaml", "12: {memory_management: automatic}\n", [{"name": "12", **A}]),
        ("m.yaml", "x-d: &d {memory_management: automatic}\na: *d\n", [{"name": "a", **A}]),
        ("m.yaml", "x-d: &d {memory_management: automatic}\na: {<<: *d}\n", [{"name": "a", **A}]),
        ("m.yaml", "models: {a: {name: b, memory_management: automatic}}", [{"name": "b", **A}]),
        ("m.json", '{"memory_management": "automatic"}', [A]),
        ("m.json", '[{"name": "a", "memory_management": "automatic"}]', [{"name": "a", **A}]),
        ("m.json", '{"models": {"a": {"memory_management": "automatic"}}}', [{"name": "a", **A}]),
        ("m.toml", 'memory_management = "automatic"', [A]),
        ("m.toml", '[[models]]\nname = "a"\nmemory_management = "automatic"', [{"name": "a", **A}]),
        ("m.toml", '[models."a:1"]\nmemory_management = "automatic"', [{"name": "a:1", **A}]),
        ("m.toml", '[a]\nmemory_management = "manual"\nresident = false', [{"name": "a", **B}]),
        ("m.yaml", "name: a\nmemory_management: auto\n", [{"name": "a", "memory_management": "auto"}]),
        ("m.yaml", "memory_management: automatic\nkeepalive: 5m\n", [{**A, "keepalive": "5m"}]),
        ("m.yaml", "name: a\nmemory_management: automatic\nkeep_alive:\n", [{"name": "a", **A, "keep_alive": None}]),
    ],
)  # fmt: skip
def test_the_three_shapes_are_read_in_the_three_formats(path: str, text: str, found: list[dict[str, Any]]) -> None:
    assert [values(subject) for subject in read(path, text)] == found
    assert [values(subject) for subject in read(path, "\ufeff" + text.replace("\n", "\r\n"))] == found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.yaml", "name: a\nkeep_alive: 5m\n"),
        ("m.yaml", "models:\n- name: llama3\n  provider: ollama\n"),
        ("m.yaml", "# memory_management: automatic\nname: a\n"),
        ("m.yaml", "engine:\n  memory_management: automatic\nport: 80\n"),
        ("m.yaml", "spec: {values: {memory_management: automatic}}\n"),
        ("m.yaml", "memory_management: unified\nbatch_size: 4\n"),
        ("m.yaml", "memory_management: automatic\nbatch_size: 4\ndevices: 2\nseed: 1\n"),
        ("m.yaml", "memory_management: {mode: automatic}\n"),
        ("m.yaml", "resource: {ollama_model: {a: {memory_management: automatic}}}\n"),
        ("m.yaml", "memory_management_mode: automatic\n"),
        ("m.json", '{"properties": {"memory_management": {"type": "string"}}}'),
        ("m.json", '{"$schema": "x", "models": {"type": "array", "memory_management": ["a"]}}'),
        ("m.json", '[["memory_management:"], 1, null]'),
        ("pyproject.toml", '[project]\nname = "a"\n[tool.x]\nmemory_management = "automatic"'),
        ("m.txt", 'memory_management: "automatic"'),
    ],
)
def test_other_files_are_left_alone(path: str, text: str) -> None:
    assert read(path, text) == []


def test_values_and_what_stands_for_the_whole_have_their_exact_places() -> None:
    text = """models:
  'ü:1':  # é
    memory_management: "automatic"
    timeouts: {load: 5m}
    system: a {{ b }}
"""
    [subject] = read("m.yaml", text)
    data = text.encode()
    assert data[subject.span.start : subject.span.end].decode() == "'ü:1'"
    written = {key: setting.written for key, setting in subject.settings.items()}
    assert written == {
        "name": "'ü:1'",
        "memory_management": '"automatic"',
        "timeouts": "{load: 5m}",
        "system": "a {{ b }}",
    }
    literal = {key for key, setting in subject.settings.items() if setting.is_literal}
    assert literal == {"memory_management", "system"}
    assert (subject.address, subject.is_fragment, subject.unit) == ("ü:1", False, "m.yaml")


def test_only_the_lone_fragment_may_lack_a_name() -> None:
    assert [subject.is_fragment for subject in read("m.yaml", "memory_management: manual\n")] == [True]
    assert [subject.is_fragment for subject in read("m.yaml", "- memory_management: manual\n")] == [False]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("m.yaml", 'memory_management: "{{ mode }}"\n', "{{ mode }} is filled in by a template"),
        ("m.json", '{"memory_management": "${MODE}"}', "${MODE} is filled in by a template"),
        ("m.yaml", "memory_management: !vault abc\n", "!vault is resolved by another tool"),
    ],
)
def test_a_value_from_elsewhere_is_undecided(path: str, text: str, reason: str) -> None:
    [subject] = read(path, text)
    setting = subject.settings["memory_management"]
    assert setting.value == Unknown(reason)
    assert not setting.is_literal


def test_what_several_share_is_not_edited_for_one() -> None:
    merged, aliased = read("m.yaml", "x-d: &d\n  memory_management: automatic\na:\n  <<: *d\nb: *d\n")
    for subject in (merged, aliased):
        assert not subject.settings["memory_management"].is_literal
        assert subject.insertion is None


def test_the_documents_diff_is_one_line() -> None:
    text = 'memory_management: "automatic"\n'
    [subject] = read("m.yaml", text)
    edit = rewrite(subject.settings["memory_management"], "manual")
    assert edit is not None
    assert apply([edit], text.encode()).decode() == 'memory_management: "manual"\n'


@pytest.mark.parametrize(
    ("path", "text", "fixed"),
    [
        ("m.yaml", "memory_management: automatic", 'memory_management: automatic\nkeep_alive: "5m"'),
        ("m.yaml", "memory_management: automatic  # why\n", 'memory_management: automatic  # why\nkeep_alive: "5m"\n'),
        (
            "m.yaml",
            "models:\n  - memory_management: automatic\n    name: a\n",
            'models:\n  - memory_management: automatic\n    keep_alive: "5m"\n    name: a\n',
        ),
        (
            "m.yaml",
            "- system: |\n    memory_management: x\n  name: a\n  memory_management: automatic\n",
            '- system: |\n    memory_management: x\n  name: a\n  memory_management: automatic\n  keep_alive: "5m"\n',
        ),
        (
            "m.yaml",
            "- {'memory_management': automatic, name: a}\n",
            "- {'memory_management': automatic, 'keep_alive': \"5m\", name: a}\n",
        ),
        ("m.json", '{"memory_management":"automatic"}', '{"memory_management":"automatic", "keep_alive":"5m"}'),
        (
            "m.json",
            '{\n\t"memory_management" : "automatic",\n\t"name": "a"\n}\n',
            '{\n\t"memory_management" : "automatic",\n\t"keep_alive" : "5m",\n\t"name": "a"\n}\n',
        ),
        ("m.toml", 'memory_management = "automatic" # why', 'memory_management = "automatic" # why\nkeep_alive = "5m"'),
        (
            "m.toml",
            "[a]\n  memory_management = 'automatic'\n[a.timeouts]\nload = \"5m\"\n",
            '[a]\n  memory_management = \'automatic\'\n  keep_alive = "5m"\n[a.timeouts]\nload = "5m"\n',
        ),
        ("m.toml", 'a.memory_management = "automatic"\n', 'a.memory_management = "automatic"\na.keep_alive = "5m"\n'),
        (
            "m.toml",
            'a = { memory_management = "automatic" }\n',
            'a = { memory_management = "automatic", keep_alive = "5m" }\n',
        ),
    ],
)
def test_a_property_is_added_in_the_layout_of_the_file(path: str, text: str, fixed: str) -> None:
    for end in ("\n", "\r\n"):
        if end == "\r\n" and "\n" not in text:
            continue  # a file of one line shows no ending
        data = text.replace("\n", end).encode()
        [subject] = read(path, data)
        edit = insert(subject, "keep_alive", "5m")
        assert edit is not None
        after = apply([edit], data)
        assert after.decode() == fixed.replace("\n", end)
        [again] = read(path, after)
        assert values(again) == values(subject) | {"keep_alive": "5m"}
        assert again.repeated == []


@pytest.mark.parametrize(
    ("path", "text", "before", "added"),
    [
        ("m.json", '{"a": {"memory_management": "manual"}, "b": {}}', "}}", '"keep_alive": "5m"'),
        ("m.yaml", "a: {memory_management: manual}\nb: {}\n", "}\n", 'keep_alive: "5m"'),
        ("m.toml", '[a]\nmemory_management = "manual"\n[b] # c\n', "\n", '\nkeep_alive = "5m"'),
        ("m.toml", '[a]\nmemory_management = "manual"\n[b]\n[b.timeouts]', "\n[b.t", '\nkeep_alive = "5m"'),
    ],
)
def test_an_empty_model_takes_its_first_property(path: str, text: str, before: str, added: str) -> None:
    subject = read(path, text)[-1]
    edit = insert(subject, "keep_alive", "5m")
    assert edit is not None
    head, tail = text[: text.rindex(before)], text[text.rindex(before) :]
    assert apply([edit], text.encode()).decode() == head + added + tail


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        ("m.json", '{"memory_management": "automatic"', ""),
        ("m.json", '{"memory_management": automatic}', "automatic}"),
        ("m.toml", "memory_management = automatic", "automatic"),
        ("m.yaml", "memory_management: {a: b\n", ""),
        ("m.yaml", "memory_management: manual\n  x: 1\n", ": 1\n"),
        ("m.yaml", b"memory_management: '\xff'\n", b"\xff'\n"),
        ("m.yaml", "memory_management: *x\n", "*x\n"),
        ("m.yaml", "memory_management: " + "[" * 10_000, None),
        ("m.json", '{"memory_management": ' + "[" * 10_000, None),
        ("m.toml", "memory_management = " + "[" * 10_000, None),
        ("m.yaml", "a0: &a0 [memory_management: x]\n" + "".join(
            f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(12)), None),
    ],
    ids=lambda value: repr(value)[:25],
)  # fmt: skip
def test_a_file_that_does_not_parse_is_refused_at_its_place(path: str, text: str | bytes, place: str | None) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(path, text)
    if place is not None:
        data, end = file(path, text).data, place if isinstance(place, bytes) else place.encode()
        assert data[refused.value.offset :] == end


PIECES = (
    *("memory_management: ", "manual", "models:", "\n", "  ", "- ", "{", "}", "[", "]", ",", '"', "a: ", "&x ", "*x"),
    *("<<: *x", "| ", "\t", "=", "[models.a]", "#"),
)


@given(st.sampled_from(["m.yaml", "m.json", "m.toml"]), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(path: str, text: str) -> None:
    try:
        subjects = read(path, "memory_management: manual\n" + text)
    except UnreadableError:
        return
    for subject in subjects:
        for setting in subject.settings.values():
            assert 0 <= setting.span.start <= setting.span.end <= len(setting.file.data)
