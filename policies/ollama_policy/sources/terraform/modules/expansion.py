"""The instances of a block: what count and for_each make of it."""

from typing import Any, Final

from ollama_policy.model.settings import Unknown
from ollama_policy.sources.terraform.language.blocks import Block, attribute
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.language.values import SetOf

MAX_INSTANCES: Final = 1000


def expand(block: Block, scope: Scope) -> list[tuple[str, Scope]]:
    """The instances of a block: what each has behind its address (`[0]`, `["a"]`), and its scope with each or count.

    One instance with nothing behind its address, where count or for_each is not known.
    """
    for each in reversed(block.attributes()):
        if each.name == "count":
            number = evaluate(each, scope)
            if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MAX_INSTANCES:
                return [(f"[{index}]", scope.having(count={"index": index})) for index in range(number)]
            unknown = number if isinstance(number, Unknown) else Unknown("count is not a number that can be worked out")
            return [("", scope.having(count={"index": unknown}))]
        if each.name == "for_each":
            source = evaluate(each, scope)
            is_keyed = isinstance(source, dict) or (
                isinstance(source, SetOf) and all(isinstance(x, str) for x in source)
            )
            if is_keyed and len(source) <= MAX_INSTANCES:
                from ollama_policy.sources.terraform.language.operators import (  # noqa: PLC0415 - most have no for_each
                    pairs_of,
                )

                pairs = pairs_of(source)
                assert not isinstance(pairs, Unknown)
                return [(f"[{key_text(key)}]", scope.having(each={"key": key, "value": value})) for key, value in pairs]
            unknown = source if isinstance(source, Unknown) else Unknown("for_each is not a set or map of known keys")
            return [("", scope.having(each={"key": unknown, "value": unknown}))]
    return [("", scope)]


def key_text(key: Any) -> str:
    """A key as Terraform writes it in an address."""
    import json  # noqa: PLC0415 - most have no keys

    return json.dumps(key, ensure_ascii=False)


def is_multiple(block: Block) -> bool:
    return attribute(block, "count") is not None or attribute(block, "for_each") is not None
