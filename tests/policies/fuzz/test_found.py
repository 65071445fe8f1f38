"""What the fuzzer found, once each, smaller than it was."""

import pytest

from ollama_policy.pipeline.check import Options
from ollama_policy.pipeline.fixing import fix
from ollama_policy.rules import RULES
from ollama_policy.sources import SOURCES
from tests.policies.fuzz.invariants import check_pipeline, read
from tests.policies.fuzz.seeds import name_of
from tests.policies.sources.trees import file


@pytest.mark.parametrize(
    ("source", "path", "data"),
    [
        ("pulumi.python", "__main__.py", b'from ollama_provider import OllamaModel\nOllamaModel(\r\n name="x")'),
        ("dockerfile", "Dockerfile", 'FROM ollama/ollama\nENV OLLAMA_HOST"🦙🦙" é\n'.encode()),
        ("dockerfile", "Dockerfile", b'FROM ollama/ollama\nENV OLLAMA_HOST""'),
    ],
)
def test_it_is_read(source: str, path: str, data: bytes) -> None:
    (registered,) = [one for one in SOURCES if name_of(one) == source]
    found = read(registered, {path: data})
    assert found is not None
    assert found[0]
    check_pipeline({path: data}, with_unsafe=True)


def test_a_mark_counts_at_the_beginning_of_a_file_only() -> None:
    one = file("a.yaml", b"a\n\xef\xbb\xbfb")
    assert one.position(5).column == 2
    assert one.offset(2, 2) == 5


def test_a_fix_in_a_list_of_texts_stays_in_its_quotes() -> None:
    text = 'resource "docker_container" "o" {\n  image = "ollama/ollama:0.17.4"\n  env = ["OLLAMA_NOPRUNE=off"]\n}\n'
    fixed = fix(["main.tf"], Options(RULES, overlay={"main.tf": text.encode()}), with_unsafe=True)
    assert fixed.after["main.tf"].decode() == text.replace("=off", "=0")


def test_an_index_behind_white_space_is_undecided() -> None:
    text = b'resource "ollama_model" "a" {\n  name = 0.                    1\n  memory_management = "manual"\n}\n'
    check_pipeline({"a.tf": text}, with_unsafe=True)
