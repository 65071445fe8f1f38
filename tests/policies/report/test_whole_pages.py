"""Whole pages of a report, and a probe's and an estimate's words."""

from ollama_policy.commands.probe import text as probe_text
from ollama_policy.commands.report import markdown, page
from tests.policies.report.examples import contents, probed
from tests.snapshot import Snapshots


def test_the_page(snapshots: Snapshots) -> None:
    snapshots.match("report/page.html", page.render(contents()).replace("><", ">\n<"))


def test_the_page_in_markdown(snapshots: Snapshots) -> None:
    snapshots.match("report/page.md", markdown.render(contents()))


def test_a_probe(snapshots: Snapshots) -> None:
    every = probed(60, growth=1), probed(60, cached=2), probed(60)
    snapshots.match("probe.txt", "\n".join(map(probe_text.render, every)))
