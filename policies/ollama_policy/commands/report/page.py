"""The report as one HTML page that needs nothing else: no network, no script, no font. It is well-formed XML, too."""

from collections.abc import Iterator

from ollama_policy.commands.report import benching, findings
from ollama_policy.commands.report.contents import Contents
from ollama_policy.commands.report.pictures import architecture, fitting, memory, sequence, svg
from ollama_policy.commands.report.pictures.escaping import xml
from ollama_policy.commands.report.pictures.table import as_html

_STYLE = """
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin-top: 2.5rem; font-size: 1.25rem; }
a { color: var(--blue); } p, li { max-width: 46rem; }
.skip { position: absolute; left: -999rem; } .skip:focus { position: static; }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
nav a, summary { display: inline-block; padding: .6rem 0; }
summary { cursor: pointer; color: var(--blue); }
summary::before { content: "\\25B8  "; } details[open] > summary::before { content: "\\25BE  "; }
.scroll { overflow-x: auto; }
figure { margin: 1rem 0; } figcaption { color: var(--muted); max-width: 46rem; }
.scroll > svg { display: block; width: 100%; height: auto; max-width: 60rem; }
.wide > svg { min-width: 40rem; } .narrow > svg { min-width: 20rem; max-width: 40rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: start; color: var(--muted); padding: .5rem 0; }
th, td { text-align: start; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--rule); }
td { overflow-wrap: break-word; min-width: 5rem; max-width: 24rem; }
.hint { display: none; }
@media (max-width: 42rem) {
  .hint { display: block; }
  .stacks thead { display: none; }
  .stacks, .stacks caption, .stacks tbody, .stacks tr, .stacks td { display: block; max-width: 100%; }
  .stacks tr { padding: .6rem 0; border-bottom: 1px solid var(--rule); }
  .stacks td { border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  .stacks td::before { content: attr(data-head) ": "; color: var(--muted); }
}
pre { overflow-x: auto; padding: .75rem; background: var(--soft); font-size: .8125rem; overflow-wrap: normal; }
footer { margin-top: 3rem; color: var(--muted); }
@media print { .skip, nav { display: none; } }
"""


def render(contents: Contents) -> str:
    """The page."""
    sections = list(_sections(contents))
    links = "".join(f'<li><a href="#{name}">{xml(title)}</a></li>' for name, title, _ in sections)
    body = "\n".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{xml(title)}</h2>\n{inside}\n</section>'
        for name, title, inside in sections
    )
    summary = "\n".join(f"<p>{xml(sentence)}</p>" for sentence in contents.summary)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{policy}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{xml(contents.title)}</title>
<style>{svg.STYLE}{_STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<header>
<h1>{xml(contents.title)}</h1>
{summary}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main id="content">
{body}
</main>
<footer><p>{xml(contents.made)}</p></footer>
</body>
</html>
"""


def _sections(contents: Contents) -> Iterator[tuple[str, str, str]]:
    """Ids, titles and what is inside."""
    if contents.account is not None:
        account = contents.account
        tables = "\n".join(map(as_html, memory.tables(account)))
        inside = _figure("wide", memory.picture(account), memory.description(account))
        yield "over-time", "Memory over time", inside + _details("The figures as a table", tables)
        found = contents.steps
        sources = _sources(sequence.as_mermaid(found))
        caption = "What the probe did as user and application, and what was measured at each step."
        inside = _figure("wide", sequence.picture(account, found), caption)
        table = _details("The steps as a table", as_html(sequence.table(found)))
        yield "sequence", "The measured calls", inside + table + sources
    parts = contents.architecture
    tables = "\n".join(map(as_html, architecture.tables(parts)))
    sources = _sources(architecture.as_mermaid(parts))
    inside = _figure("narrow", architecture.picture(parts), _ARCHITECTURE)
    yield "parts", "The architecture", inside + _details("The figures as a table", tables) + sources
    yield "findings", "Findings", "\n".join(_findings(contents))
    if contents.fit is not None:
        inside = _figure("narrow", fitting.picture(contents.fit), fitting.sentence(contents.fit))
        yield "fit", "Does it fit", inside + as_html(fitting.table(contents.fit), stacks=True)
    if contents.bench is not None:
        inside = f"<p>{xml(benching.sentence(contents.bench))}</p>"
        yield "bench", "Before and after", inside + as_html(benching.table(contents.bench))
    yield "remedies", "Remedies", _remedies(contents)


_ARCHITECTURE = (
    "Ollama has no memory manager and no pool of its own: memory belongs to the runners' processes, and all of it is "
    "freed when a process ends. A timer ends it; a pin has none, and no name reaches an orphan."
)
_HINT = "The picture is wider than this screen: move it sideways, or read the table below."
NOTHING_CALLS = "Nothing was found that needs a remedy."


def _findings(contents: Contents) -> Iterator[str]:
    if contents.findings is None:
        yield "<p>No sources were given to check.</p>"
    elif not contents.findings:
        yield "<p>The sources have no finding.</p>"
    else:
        yield as_html(findings.table("In the sources", contents.findings), stacks=True)
    if contents.drift:
        yield as_html(findings.table("On the server", contents.drift), stacks=True)
    elif contents.server is not None and not contents.unreadable:
        yield "<p>Nothing was found on the server.</p>"
    if contents.unreadable:
        yield as_html(findings.unreadable(contents.unreadable), stacks=True)


def _remedies(contents: Contents) -> str:
    found = contents.remedies
    if not found:
        return f"<p>{NOTHING_CALLS}</p>"
    items = (
        f"<li><strong>{xml(one.title)}.</strong> {xml(one.what)} Because of: {xml('; '.join(one.because))}.</li>"
        for one in found
    )
    return "<ol>\n" + "\n".join(items) + "\n</ol>"


def _figure(width: str, picture: str, caption: str) -> str:
    hint = f'<p class="hint">{_HINT}</p>' if width == "wide" else ""
    return (
        f'<figure>{hint}<div class="scroll {width}" role="region" tabindex="0" aria-label="Picture">{picture}</div>'
        f"<figcaption>{xml(caption)}</figcaption></figure>\n"
    )


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{xml(title)}</summary>\n{inside}\n</details>\n"


def _sources(mermaid: str) -> str:
    return _details("As Mermaid", f'<pre tabindex="0"><code>{_code(mermaid)}</code></pre>')


def _code(source: str) -> str:
    return "".join(f"{xml(line)}\n" for line in source.splitlines())
