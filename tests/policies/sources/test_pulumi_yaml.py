"""Pulumi programs in YAML: properties under the resource's own names, and what `${...}` stands for."""

from typing import Any

import pytest

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile, Subject, Unknown, apply, insert, rewrite
from ollama_policy.sources.pulumi.yaml_program import PulumiYaml
from tests.policies.sources.trees import Files, file

HEAD = "name: infra\nruntime: yaml\n"


def read(text: str | bytes, *others: SourceFile) -> list[Subject]:
    source, written = PulumiYaml(), file("infra/Pulumi.yaml", text)
    return list(source.read(written, Files(written, *others))) if source.accepts(written) else []


def program(mode: str, head: str = "") -> str:
    resource = f"{{type: ollama:index:Model, properties: {{name: llama3, memoryManagement: {mode}}}}}"
    return f"{HEAD}{head}resources:\n  chat: {resource}\n  server: {{type: docker:Container}}\n"


def mode_of(text: str, *others: SourceFile) -> tuple[Any, str]:
    """The mode, of an Unknown its reason, and what stands at its place."""
    [subject] = read(text, *others)
    setting = subject.settings["memory_management"]
    return setting.value.reason if isinstance(setting.value, Unknown) else setting.value, setting.written


@pytest.mark.parametrize("runtime", ["runtime: yaml\n", "runtime: {name: yaml}\n", ""])
@pytest.mark.parametrize("kind", ["ollama:index:Model", "ollama:Model", "'ollama:index/model:Model'"])
def test_a_resource_has_its_properties_in_snake_case(runtime: str, kind: str) -> None:
    text = f"""{runtime}resources:
  my_model:
    type: {kind}
    properties:
      name: llama3  # the small one
      memoryManagement: "automatic"
      timeouts: {{load: 5m}}
      pull_policy: always
"""
    [subject] = read(text)
    assert subject.address == "resources.my_model"
    assert text.encode()[subject.span.start : subject.span.end] == b"my_model"
    assert {key: setting.value for key, setting in subject.settings.items()} == {
        "name": "llama3",
        "memory_management": "automatic",
        "timeouts": {"load": "5m"},
        "pull_policy": "always",
    }
    mode = subject.settings["memory_management"]
    assert (mode.written, mode.is_literal, mode.origin) == ('"automatic"', True, "")
    assert subject.unit == "infra"


@pytest.mark.parametrize(
    ("mode", "head", "value", "place"),
    [
        ('"${mode}"', "config: {mode: {type: string, default: manual}}\n", "manual", "manual"),
        ('"${mode}"', "config: {mode: {value: manual}}\n", "manual", "manual"),
        ('"${mode}"', "config: {'infra:mode': manual}\n", "manual", "manual"),
        ('"${ mode }"', "configuration: {mode: {default: manual}}\n", "manual", "manual"),
        ('"${m}"', "variables: {m: manual}\n", "manual", "manual"),
        ('"${m}"', "variables: {m: '${mode}'}\nconfig: {mode: {default: manual}}\n", "manual", "manual"),
        ('"${m}matic"', "variables: {m: auto}\n", "automatic", '"${m}matic"'),
        ('"$${m}"', "", "${m}", '"$${m}"'),
        ("12", "", 12, "12"),
        (
            '"${mode}"',
            "config: {mode: {type: string}}\n",
            "configuration value mode has no default in infra/Pulumi.yaml",
            '"${mode}"',
        ),
        ('"${other.name}"', "", "other.name is only known at deployment", '"${other.name}"'),
        ('"a${pulumi.stack}"', "", "pulumi.stack is only known at deployment", '"a${pulumi.stack}"'),
        ('"${m}"', "variables: {m: '${m}'}\n", "m refers to itself", '"${m}"'),
        ('"${m}"', "variables: {m: {fn::invoke: {}}}\n", "fn::invoke is only known at deployment", '"${m}"'),
        ("{fn::secret: x}", "", "fn::secret is only known at deployment", "{fn::secret: x}"),
        ('["${a.b}"]', "", "a.b is only known at deployment", '["${a.b}"]'),
        ("!x y", "", "!x is resolved by another tool", "y"),
    ],
)
def test_a_reference_is_followed_as_far_as_the_file_says(mode: str, head: str, value: Any, place: str) -> None:
    assert mode_of(program(mode, head)) == (value, place)


@pytest.mark.parametrize(
    ("stack", "value", "place"),
    [
        ("config: {'infra:mode': automatic}\n", "automatic", "automatic"),
        ("config: {'infra:mode': {secure: AAB}}\n", "configuration value mode is a secret in Pulumi.dev.yaml", None),
        ("config: {'infra:other': mode}\n", "manual", "manual"),
        ("config: {'infra:mode': '5'}\n", "configuration value mode is '5', and its type is not declared", None),
        ("config: {'infra:mode': 1_0}\n", "readers of YAML differ about 1_0: put it in quotes", None),
    ],
)
def test_a_default_holds_where_no_stack_beside_it_says_otherwise(stack: str, value: str, place: str | None) -> None:
    text = program('"${mode}"', "config: {mode: {default: manual}}\n")
    assert mode_of(text, file("infra/Pulumi.dev.yaml", stack)) == (value, place or '"${mode}"')
    assert mode_of(text, file("other/Pulumi.dev.yaml", stack)) == ("manual", "manual")


def test_a_value_of_a_stack_stands_in_its_file_and_is_not_rewritten() -> None:
    stack = file("infra/Pulumi.dev.yaml", "config: {'infra:mode': automatic}\n")
    for variables in ("", "variables: {m: '${mode}'}\n"):
        [subject] = read(program('"${m}"' if variables else '"${mode}"', variables), stack)
        mode = subject.settings["memory_management"]
        assert (mode.file.path, mode.value, mode.is_literal) == ("infra/Pulumi.dev.yaml", "automatic", False)


def test_a_bomb_among_a_stacks_values_is_undecided() -> None:
    levels = "".join(f"  v{n}: &v{n} [{', '.join([f'*v{n - 1}'] * 9 if n else ['x'])}]\n" for n in range(8))
    stack = file("infra/Pulumi.dev.yaml", f"config:\n{levels}  mode: *v7\n")
    value, _ = mode_of(program('"${mode}"', "config: {mode: {default: manual}}\n"), stack)
    assert (
        value == "configuration value mode cannot be read: too large to decide: aliases that stand for too many values"
    )


def test_a_declared_type_says_what_quotes_leave_open() -> None:
    declared = "config: {mode: {type: string, default: '5'}}\n"
    assert mode_of(program('"${mode}"', declared)) == ("5", "'5'")


@pytest.mark.parametrize(
    "text",
    [
        "name: a\nruntime: python\nresources: {a: {type: ollama:index:Model}}\n",
        "runtime: {name: nodejs}\nresources: {a: {type: ollama:index:Model}}\n",
        "resources: {a: {type: docker:Container, properties: {image: 'ollama:Model'}}}\n",
        "resources: [ollama:index:Model]\n",
        "# resources ollama:index:Model\n",
        "name: a\n",
    ],
)
def test_other_files_are_left_alone(text: str) -> None:
    assert read(text) == []


def test_a_property_is_added_in_camel_case() -> None:
    text = (
        HEAD
        + "resources:\n  chat:\n    type: ollama:index:Model\n    properties:\n      name: a\n      onDestroy: keep\n"
    )
    for end in ("\n", "\r\n"):
        data = text.replace("\n", end).encode()
        [subject] = read(data)
        edit = insert(subject, "keep_alive", "5m")
        assert edit is not None
        after = apply([edit], data)
        assert after.decode() == text.replace("a\n      on", 'a\n      keepAlive: "5m"\n      on').replace("\n", end)
        assert read(after)[0].value("keep_alive") == "5m"


def test_only_what_is_written_at_the_property_is_rewritten() -> None:
    text = program("automatic")
    edit = rewrite(read(text)[0].settings["memory_management"], "manual")
    assert edit is not None
    assert apply([edit], text.encode()).decode() == program("manual")
    default = read(program('"${m}"', "variables: {m: automatic}\n"))[0]
    assert rewrite(default.settings["memory_management"], "manual") is None


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("resources: {a: {type: ollama:index:Model}\n", ""),
        ("resources: {a: {type: ollama:index:Model}}\nb: *x\n", "*x\n"),
        ("resources: {a: {type: ollama:index:Model, properties: " + "[" * 10_000, None),
    ],
    ids=["half", "alias", "deep"],
)
def test_a_program_that_does_not_parse_is_refused_at_its_place(text: str, end: str | None) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(text)
    if end is not None:
        assert text[refused.value.offset :] == end
