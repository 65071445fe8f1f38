"""Any bytes: subjects, or UnreadableError at a place, and nothing else."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.hcl import TerraformSource
from tests.policies.sources.terraform.generated import module
from tests.policies.sources.terraform.module_of import MemoryTree

HEAD = b'# ollama\nresource "ollama_model" "m" {\n  name = '


def outcome(data: bytes, path: str = "main.tf") -> str | int:
    tree = MemoryTree({path: data})
    source = TerraformSource()
    try:
        return len(list(source.read(tree.all[0], tree)))
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)
        return str(error)


@pytest.mark.parametrize(
    ("data", "offset", "said"),
    [
        (b'resource "ollama_model" "m" {\n  name = \n}\n', 39, "the end of the line, expected a value"),
        (b'resource "ollama_model" "m" {\n  name = "a"\n', 43, "the end of the file, expected `}`"),
        (b"# ollama\nx = [1\n", 16, "the end of the file, expected `]`"),
        (b"ollama {\n  a = 1 b = 2\n}\n}\n", 25, "`}`, expected"),
        (b"ollama {\n  a = one two\n}\n", 19, "`two`, expected the end of the line"),
        (b"ollama {\n  a = 'x'\n}\n", 15, "`'`, expected a value"),
        (b"ollama {\n  a: 1\n}\n", 12, "`:`, expected `=` or a block"),
        (b'ollama {\n  a "b"\n}\n', 16, "the end of the line, expected `=` or a block"),
        (b"# ollama \xff\n", 9, "bytes that are not UTF-8, expected UTF-8"),
        (b"# ollama \0\n", 9, "a NUL byte, expected text"),
        (b"# ollama\n%% nonsense\n", 12, "`nonsense`, expected an attribute"),
    ],
)
def test_the_place_of_an_error(data: bytes, offset: int, said: str) -> None:
    tree = MemoryTree({"main.tf": data})
    with pytest.raises(UnreadableError) as caught:
        list(TerraformSource().read(tree.all[0], tree))
    assert said in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "deep", [b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000 + b"\n}\n", b'"${' * 10_000, b"(" * 10_000]
)
def test_deep_nesting(deep: bytes) -> None:
    outcome(HEAD + deep)


def test_deep_blocks() -> None:
    outcome(b'resource "ollama_model" "m" {\n' + b"a {\n" * 10_000 + b"}\n" * 10_000 + b"}\n")
    outcome(b'resource "kubernetes_pod" "ollama" {\n' + b"spec {\n" * 10_000 + b"}\n" * 10_000 + b"}\n")


def test_deep_json() -> None:
    outcome(b'{"resource": {"ollama_model": ' + b'{"a": ' * 10_000, "main.tf.json")
    outcome(b'{"resource": {"ollama_model": {"m": {"name": ' + b"[" * 200 + b"]" * 200 + b"}}}}", "main.tf.json")


def test_half_files() -> None:
    text = (
        "".join(str(part) for part in module(3).values()).encode()
        + b'resource "docker_container" "o" {\n image = "ollama/ollama"\n}'
    )
    for end in random.Random(1).sample(range(len(text)), 150):
        outcome(text[:end])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400), st.sampled_from(["main.tf", "main.tf.json"]))
def test_damaged_files(noise: bytes, at: int, path: str) -> None:
    text = (
        HEAD + b'"x${var.y}"\n  keep_alive = [for a in var.b : a][0] ? 1 : <<E\nx\nE\n}\nvariable "y" {}\nlocals {\n'
        b"  a = 1\n}\n"
    )
    outcome(text[: at % len(text)] + noise + text[at % len(text) :], path)


@pytest.mark.parametrize(
    ("path", "data", "accepted"),
    [
        ("a.tf", b"Ollama", True),
        ("a.tofu", b"ollama", True),
        ("a.tf.json", b"ollama", True),
        ("a.tf", b"x", False),
        ("a.tfvars", b"ollama", False),
        ("a.json", b"ollama", False),
        ("a.tf", "ollama".encode("utf-16"), True),
        ("a.tf", "other".encode("utf-16"), False),
    ],
)
def test_what_is_accepted(path: str, data: bytes, accepted: bool) -> None:
    assert TerraformSource().accepts(SourceFile(path, data)) is accepted
    if data[:2] == b"\xff\xfe" and accepted:
        assert "UTF-8" in str(outcome(data))
