"""What the pattern takes, the parser takes, and both see the same."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.model.settings import SourceFile
from ollama_policy.sources.terraform.language import plain_blocks, syntax
from ollama_policy.sources.terraform.language.blocks import ABSENT, Block
from ollama_policy.sources.terraform.language.evaluator import _Evaluation
from ollama_policy.sources.terraform.language.scope import Scope, Work
from tests.policies.fuzz.mutations import mutated

MODEL = b"""# Models.
resource "ollama_model" "a" {
  name              = "x:1b" # said
  memory_management = "automatic"
  insecure          = false

  parameters = {
    num_ctx     = 8192
    temperature = -0.7
    stop = "a", seed = 1
  }
  timeouts {
    // long
    pull = "30m"
  }
  base=null
}

resource "ollama_model" "b-2" {
}"""


def seen(blocks: Sequence[Block]) -> Any:
    """All of it; a value is what the parser's tree comes to, where there is one."""
    return [
        (
            (block.kind, block.labels, block.start, block.header_end, block.end),
            [(each.name, each.name_start, each.start, each.end, value_of(each)) for each in block.attributes()],
            seen(block.blocks()),
        )
        for block in blocks
    ]


def value_of(attribute: Any) -> str:
    if attribute.node is None:
        value = attribute.literal()
        assert value is not ABSENT
    else:  # by its nodes, past the shortcut for literals
        value = _Evaluation(attribute.file.data, Scope(None, {}, Work()))._dispatch(attribute.tree)  # type: ignore[arg-type]
    return repr(value)


def compared(data: bytes) -> bool:
    """Whether the pattern took it; then the parser says the same."""
    file = SourceFile("main.tf", data)
    plain = plain_blocks.parse(file)
    if plain is None:
        return False
    root = syntax._body(file)
    assert seen(plain) == seen(
        [syntax.HclBlock(file, node) for node in root.children if node.type == "block"] if root else []
    )
    return True


def test_plain_models_are_taken() -> None:
    assert compared(MODEL)
    assert compared(MODEL + b"\n\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"x:1b"', b'"${var.x}"'),
        (b'"x:1b"', b"var.x"),
        (b'"x:1b"', b'"\xc3\xa9"'),
        (b'"x:1b"', b'"a" == "b"'),
        (b"8192", b"8192 * 2"),
        (b"8192", b"5e1"),
        (b"8192", b"01"),
        (b"# Models.", b"/* Models. */"),
        (b"\n", b"\r\n"),
        (b'"ollama_model"', b'"other"'),
        (b"resource", b"data"),
        (b"= null", b"= nullx"),
        (b"    // long\n", b"    a {}\n"),
    ],
)
def test_anything_else_is_the_parsers(old: bytes, new: bytes) -> None:
    data = MODEL.replace(b"base=null", b"base = null")
    assert old in data
    assert not compared(data.replace(old, new))


@settings(max_examples=400, deadline=None)
@given(st.integers())
def test_whatever_it_takes_means_the_same(seed: int) -> None:
    compared(mutated(MODEL, [MODEL], Random(seed)))
