"""What a project and its stacks make of a configuration value: decided, not set, or undecided with a reason."""

from typing import Any

import pytest

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.pulumi.configuration import Configuration, Configured, project_of, scalar
from ollama_policy.sources.syntax.yaml_documents import documents
from tests.policies.sources.trees import Files, file

PYTHON = "name: infra\nruntime: python\n"
UNSET = "(not set)"


def project(config: str, stacks: dict[str, str], head: str = PYTHON) -> Configuration:
    written = file("infra/Pulumi.yaml", f"{head}{config}")
    others = [file(path if "/" in path else f"infra/Pulumi.{path}.yaml", text) for path, text in stacks.items()]
    found = project_of(file("infra/__main__.py", ""), Files(written, *others))
    assert found is not None
    return found


def said(found: Configured | Unknown | None) -> Any:
    """The value and the file's last name, or the reason."""
    if isinstance(found, Configured):
        return found.node.value, found.file.path.removeprefix("infra/")
    return UNSET if found is None else found.reason


DEFAULT = "config: {mode: {type: string, default: manual}}\n"
AUTOMATIC = "config: {'infra:mode': automatic}\n"


@pytest.mark.parametrize(
    ("config", "stacks", "expected"),
    [
        # The project's own.
        (DEFAULT, {}, ("manual", "Pulumi.yaml")),
        ("config: {mode: manual}\n", {}, ("manual", "Pulumi.yaml")),
        ("config: {'infra:mode': manual}\n", {}, ("manual", "Pulumi.yaml")),
        ("config: {'infra:mode': {default: manual}}\n", {}, ("manual", "Pulumi.yaml")),
        ("config: {mode: {value: manual}}\n", {}, ("manual", "Pulumi.yaml")),
        ("config: {mode: {default: {a: [1]}}}\n", {}, ({"a": [1]}, "Pulumi.yaml")),
        ("config: {mode: [a, b]}\n", {}, (["a", "b"], "Pulumi.yaml")),
        ("config: {mode: {type: string}}\n", {}, "has no default in infra/Pulumi.yaml"),
        ("config: {mode: {default: null}}\n", {}, "has no default in infra/Pulumi.yaml"),
        ("config: {mode: }\n", {}, "has no default in infra/Pulumi.yaml"),
        ("config: {mode: {default: manual, secret: true}}\n", {}, "is a secret"),
        ("config: {mode: !x manual}\n", {}, "has the tag !x, which another tool resolves"),
        ("", {}, "is only known at deployment"),
        ("config: {'aws:mode': manual}\n", {}, "is only known at deployment"),
        ("template: {config: {mode: {default: manual}}}\n", {}, "is only known at deployment"),
        ("configuration: {mode: {default: manual}}\n", {}, "is only known at deployment"),
        # A stack's over it.
        (DEFAULT, {"dev": AUTOMATIC}, ("automatic", "Pulumi.dev.yaml")),
        (DEFAULT, {"dev": "config: {mode: automatic}\n"}, ("automatic", "Pulumi.dev.yaml")),
        (DEFAULT, {"dev": "config: {'infra:other': a, 'aws:mode': a}\n"}, ("manual", "Pulumi.yaml")),
        (DEFAULT, {"dev": ""}, ("manual", "Pulumi.yaml")),
        (DEFAULT, {"other/Pulumi.dev.yaml": AUTOMATIC}, ("manual", "Pulumi.yaml")),
        (DEFAULT, {"infra/Pulumi.dev.yml": AUTOMATIC}, ("manual", "Pulumi.yaml")),
        ("", {"dev": AUTOMATIC}, ("automatic", "Pulumi.dev.yaml")),
        ("", {"dev": "config: {}\n"}, UNSET),
        ("config: {mode: {type: string}}\n", {"dev": "config: {}\n"}, "has no default in infra/Pulumi.yaml"),
        (DEFAULT, {"dev": "config: {'infra:mode': {secure: AAB}}\n"}, "is a secret in Pulumi.dev.yaml"),
        (DEFAULT, {"dev": "config: {'infra:mode': {a: [{secure: AAB}]}}\n"}, "is a secret in Pulumi.dev.yaml"),
        (DEFAULT, {"dev": "config: {'infra:mode': null}\n"}, "is null in Pulumi.dev.yaml"),
        (DEFAULT, {"dev": "config: {mode: [\n"}, "may be set in Pulumi.dev.yaml, which cannot be read"),
        # Several stacks.
        (DEFAULT, {"a": AUTOMATIC, "b": AUTOMATIC}, ("automatic", "Pulumi.a.yaml")),
        (DEFAULT, {"a": AUTOMATIC, "b": ""}, "is automatic in Pulumi.a.yaml, manual in Pulumi.b.yaml"),
        ("", {"a": AUTOMATIC, "b": ""}, "is automatic in Pulumi.a.yaml, not set in Pulumi.b.yaml"),
        # Values from elsewhere.
        (DEFAULT, {"dev": "environment: [x]\n"}, "may be set by an environment of Pulumi.dev.yaml"),
        (DEFAULT, {"dev": "environment: [x]\n" + AUTOMATIC}, ("automatic", "Pulumi.dev.yaml")),
        (DEFAULT, {"dev": "environment:\n" + AUTOMATIC}, ("automatic", "Pulumi.dev.yaml")),
        (
            DEFAULT,
            {"dev": "environment: [x]\nconfig: {mode: {a: 1}}\n"},
            "may be set by an environment of Pulumi.dev.yaml",
        ),
        (DEFAULT + "stackConfigDir: stacks\n", {}, "may be set by a stack in stacks"),
        ("config: stacks\n", {}, "may be set by a stack in stacks"),
    ],
)
def test_a_value_is_what_every_stack_comes_to(config: str, stacks: dict[str, str], expected: Any) -> None:
    reason = f"configuration value mode {expected}" if isinstance(expected, str) and expected != UNSET else expected
    assert said(project(config, stacks).value("mode")) == reason


def test_a_name_may_be_of_another_namespace() -> None:
    found = project("config: {'aws:mode': b}\n", {}).value("mode", "aws")
    assert said(found) == ("b", "Pulumi.yaml")


def test_a_program_in_yaml_has_a_second_block() -> None:
    head = "name: infra\nruntime: yaml\n"
    assert said(project("configuration: {mode: {default: a}}\n", {}, head).value("mode")) == ("a", "Pulumi.yaml")


@pytest.mark.parametrize(
    ("program", "files", "expected"),
    [
        ("a/b/x.py", {"Pulumi.yaml": "name: top\n", "a/Pulumi.yaml": "name: near\n"}, "near"),
        ("a/x.py", {"Pulumi.yml": "name: top\n", "a/b/Pulumi.yaml": "name: below\n"}, "top"),
        ("x.py", {"b/Pulumi.yaml": "name: below\n"}, None),
        ("x.py", {"Pulumi.yaml": "name: [\n"}, None),
    ],
)
def test_the_project_is_the_nearest_above(program: str, files: dict[str, str], expected: str | None) -> None:
    tree = Files(*(file(path, text + "config: {mode: " + str(expected) + "}\n") for path, text in files.items()))
    found = project_of(file(program, ""), tree)
    assert (found is None) is (expected is None)
    if found is not None:
        assert said(found.value("mode", str(expected)))[0] == said(found.value("mode"))[0] == expected


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("manual", "manual"), ("5m", "5m"), ("-1", -1), ("8192", 8192), ("0.2", 0.2), ("true", True), ("True", True),
        ("'8192'", "8192"), ("'yes'", "yes"), ("0.17.4", "0.17.4"), ("llama3:8b", "llama3:8b"),
        ("yes", None), ("0x10", None), ("1_000", None), ("1e3", None), ("1.0", None), ("007", None), ("+5", None),
        ("2024-01-31", None), (".inf", None),
    ],
)  # fmt: skip
def test_a_scalar_is_decided_where_readers_agree(written: str, value: Any) -> None:
    [root] = documents(f"a: {written}\n".encode())
    node = root.get("a")
    assert node is not None
    found = scalar(node)
    if value is None:
        assert found == Unknown(f"readers of YAML differ about {written}: put it in quotes")
    else:
        assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
        "e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\nconfig: {mode: [*f,*f,*f,*f,*f]}\n",
        "config: {mode: " + "[" * 300 + "]" * 300 + "}\n",
        "config: {mode: " + "[" * 10_000,
        "config: [a\n",
        "config: *x\n",
        "\0",
    ],
    ids=["bomb", "nested", "deep", "half", "alias", "binary"],
)
def test_any_bytes_of_a_stack_are_undecided_and_never_a_crash(text: str) -> None:
    assert isinstance(project(DEFAULT, {"dev": text}).value("mode"), Unknown)
