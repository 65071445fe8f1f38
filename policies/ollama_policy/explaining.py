"""A rule in words, made of its class."""

from collections.abc import Iterator

from ollama_policy.rules.rule import Example, Rule


def explanation(rule: type[Rule]) -> str:
    lines = [f"{rule.id} {rule.name} ({rule.severity.value}): {rule.summary}", "", *_folded(rule.why), ""]
    lines += ["What to do:", *_folded(rule.fix), ""]
    for title, examples in (("Bad", rule.bad), ("Good", rule.good)):
        for example in examples:
            lines += [f"{title}, {example.path}:", *_indented(example), ""]
    lines.append(f"Source: {rule.source}. Since {rule.since}.")
    return "\n".join(lines) + "\n"


def _indented(example: Example) -> Iterator[str]:
    for line in example.text.replace("«", "").replace("»", "").splitlines():
        yield f"    {line}".rstrip()


def _folded(text: str) -> list[str]:
    from textwrap import wrap  # noqa: PLC0415

    return [line for paragraph in text.split("\n\n") for line in wrap(paragraph, 100)]
