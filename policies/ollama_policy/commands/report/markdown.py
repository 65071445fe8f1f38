"""The report as Markdown: tables, and the pictures as Mermaid, which many viewers draw."""

from collections.abc import Iterator

from ollama_policy.commands.report import benching, findings
from ollama_policy.commands.report.contents import Contents
from ollama_policy.commands.report.page import NOTHING_CALLS
from ollama_policy.commands.report.pictures import architecture, fitting, memory, sequence
from ollama_policy.commands.report.pictures.escaping import visible
from ollama_policy.commands.report.pictures.table import as_markdown
from ollama_policy.formats.markdown import cell


def render(contents: Contents) -> str:
    return "\n\n".join(_blocks(contents)) + "\n"


def _blocks(contents: Contents) -> Iterator[str]:
    yield f"# {_text(contents.title)}"
    yield from map(_text, contents.summary)
    if contents.account is not None:
        yield "## Memory over time"
        yield _text(memory.description(contents.account))
        yield from map(as_markdown, memory.tables(contents.account))
        yield "## The measured calls"
        found = contents.steps
        yield _fenced("mermaid", sequence.as_mermaid(found))
        yield as_markdown(sequence.table(found))
    yield "## The architecture"
    parts = contents.architecture
    yield _fenced("mermaid", architecture.as_mermaid(parts))
    yield from map(as_markdown, architecture.tables(parts))
    yield "## Findings"
    if contents.findings is None:
        yield "No sources were given to check."
    elif contents.findings:
        yield as_markdown(findings.table("", contents.findings))
    else:
        yield "The sources have no finding."
    if contents.drift:
        yield "On the server:"
        yield as_markdown(findings.table("", contents.drift))
    if contents.unreadable:
        yield "Could not be looked at:"
        yield as_markdown(findings.unreadable(contents.unreadable))
    if contents.fit is not None:
        yield "## Does it fit"
        yield _text(fitting.sentence(contents.fit))
        yield as_markdown(fitting.table(contents.fit))
    if contents.bench is not None:
        yield "## Before and after"
        yield _text(benching.sentence(contents.bench))
        yield as_markdown(benching.table(contents.bench))
    yield "## Remedies"
    numbered = [
        f"{number}. **{_text(one.title)}.** {_text(one.what)} Because of: {_text('; '.join(one.because))}."
        for number, one in enumerate(contents.remedies, 1)
    ]
    yield "\n".join(numbered) or NOTHING_CALLS
    yield _text(contents.made)


def _text(words: str) -> str:
    return cell(visible(words))


def _fenced(language: str, source: str) -> str:
    return f"```{language}\n{source}```"
