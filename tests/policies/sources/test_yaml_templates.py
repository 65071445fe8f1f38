import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.syntax.yaml_templates import file_documents, template_documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {{ .x }}\nb: 1", {"a": "{{ .x }}", "b": 1}),
        ('a: "{{ .x }}:{{ .y }}"', {"a": "{{ .x }}:{{ .y }}"}),
        ("{{- if .x }}\na: 1\n{{- end }}\nb: 2", {"a": 1, "b": 2}),
        ("a:\n  {{- toYaml .x | nindent 2 }}\nb: 1", {"a": None, "b": 1}),
        ("a: {{- include `x` . | nindent 2 }}\nb: 1", {"a": None, "b": 1}),
        ("{{/* a\n comment: */}}\nb: 1", {"b": 1}),
        ("a:\n{% for x in y %}\n  - {{ x }}=1\n{% endfor %}\n", {"a": ["{{ x }}=1"]}),
        ("{# note: [ #}\na: 1", {"a": 1}),
        ("a: {{ b\nc: 1", None),
        ("a: 'no template'", {"a": "no template"}),
    ],
)
def test_actions_leave_yaml_behind(text: str, value: object) -> None:
    if value is None:
        with pytest.raises(UnreadableError):
            template_documents(text.encode())
    else:
        assert template_documents(text.encode())[0].value == value


def test_places_stay_and_what_may_decide_a_value_is_known() -> None:
    text = "é: {{ if .x }}1{{ else }}2{{ end }}\nb: 3\nc:\n- 4\n{{- with .y }}\n- 5\n{{- end }}\nd: 6\n"
    data = text.encode()
    (root,) = template_documents(data)
    by_key = {key.text: value for key, value in root.members}
    assert {key: node.is_filled_in for key, node in by_key.items() if node.is_scalar} == {
        "é": True, "b": False, "d": False,
    }  # fmt: skip
    assert {key: node.holds_actions for key, node in by_key.items()} == {"é": True, "b": False, "c": True, "d": False}
    assert data[by_key["d"].start : by_key["d"].end] == b"6"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [{{ .x }}]", False),
        ('a: ["{{ .x }}=1"]', False),
        ("a:\n- {{ .x }}=1", True),
        ('a:\n- "{{ .x }}=1"', True),
        ("a:\n  {{ .x }}: 1", True),
        ("a:\n- b={{ .x }}", False),
        ("a:\n- b\n{{ .x }}\n", True),
    ],
)
def test_an_action_for_a_value_adds_nothing_else(text: str, expected: bool) -> None:
    node = template_documents(text.encode())[0].get("a")
    assert node is not None
    assert node.holds_actions is expected


@pytest.mark.parametrize(("image", "is_refused"), [("{{ .image }}", False), ("ollama/ollama:{{ .tag }}", True)])
def test_a_template_that_is_no_yaml_is_refused_only_where_it_names_ollamas_image(image: str, is_refused: bool) -> None:
    file = SourceFile("t.yaml", f"a: {{{{ .b }}}}\n- c\nimage: {image}\n".encode())
    if is_refused:
        with pytest.raises(UnreadableError):
            file_documents(file)
    else:
        assert file_documents(file) == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "if", " ", "\n", "a: ", "b", '"', "é"]), max_size=20)
)
def test_any_template_is_read_or_refused_within_the_text(parts: list[str]) -> None:
    data = "".join(parts).encode()
    try:
        for root in template_documents(data):
            for node in root.walk():
                assert node.text is not None
                assert 0 <= node.start <= node.end <= len(data)
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)
