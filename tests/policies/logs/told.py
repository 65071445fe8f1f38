"""A log told: its bytes in, its events and findings out."""

from pathlib import Path
from typing import NamedTuple

from ollama_policy.commands.logs.event import Event, Kind
from ollama_policy.commands.logs.findings import Findings
from ollama_policy.commands.logs.lines.reading import Reading
from ollama_policy.commands.logs.story import Story
from ollama_policy.model.result import Reported

# Verbatim lines of Ollama 0.17.4 (usual.log, debug.log) and 0.34.3 (the others), but for its folders; lines that say
# nothing of memory are left out.
REAL = Path(__file__).parent / "real"


class Told(NamedTuple):
    events: list[Event]
    findings: list[Reported]
    story: Story
    reading: Reading

    def of(self, *kinds: Kind) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]

    def ids(self) -> list[str]:
        return [reported.finding.rule.id for reported in self.findings]


def told(*chunks: bytes, slow_seconds: float = 60) -> Told:
    events: list[Event] = []
    story, reading, findings = Story(events.append, slow_seconds), Reading(), Findings()
    for chunk in chunks:
        for line in reading.feed(chunk):
            story.take(*line)
    for line in reading.finish():
        story.take(*line)
    story.finish()
    for event in events:
        findings.take(event)
    result = findings.result("ollama.log", story.models, story.known)
    return Told(events, result.findings, story, reading)
