"""The recorded session of docs/story.md is what the commands print, but for figures; the README shows parts of it."""

import re
from pathlib import Path

import pytest

from ollama_policy.probe.leak import Kind
from ollama_policy.probe.text import MEANINGS
from tests.engines.observing import pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.story import COMMANDS, played, session, session_in

ROOT = Path(__file__).parents[2]
_NO_LEAK = "|".join(
    f"{kind.value}: {re.escape(meaning.partition(': ')[2])}" for kind, meaning in MEANINGS.items() if kind != Kind.LEAK
)
_MASKS = (
    (re.compile(r"127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "DIGEST"),
    # The figures of a probe differ from run to run, and so may its verdict: a leak is none of them.
    (re.compile(_NO_LEAK), "NO LEAK"),
    (re.compile(r"[+-]?\d+(\.\d+)?( (KiB|MiB|GiB|bytes))?"), "#"),
    (re.compile(r" +"), " "),
)


def masked(text: str) -> list[str]:
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.splitlines()]


@pytest.mark.engines
def test_the_recorded_session_is_what_the_commands_print(ollama: OllamaServer, tmp_path: Path) -> None:
    steps = list(played(ollama, tmp_path))
    recorded = session_in((ROOT / "docs" / "story.md").read_text(encoding="utf-8"))
    assert masked(session(iter(steps))) == masked(recorded)
    assert [step.exit_code for step in steps] == [0, 1, 1, 0, 0]
    # What is left in memory is what is declared there, by the edit that the third command made.
    assert pinned(ollama) == ["example-model:latest"]
    assert 'memory_management = "manual"' in (tmp_path / "models.tf").read_text(encoding="utf-8")


def test_the_readme_shows_parts_of_that_session() -> None:
    recorded = masked(session_in((ROOT / "docs" / "story.md").read_text(encoding="utf-8")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(rf"```text\n(\$ {re.escape(COMMANDS[0])}.*?)```", readme, re.DOTALL)
    lines = [line for line in masked(shown) if line not in ("", "...")]
    assert [line.removeprefix("$ ") for line in lines if line.startswith("$ ")] == list(COMMANDS)
    assert [line for line in lines if line not in recorded] == []
