"""The recorded session of docs/story.md is what the commands print, but for figures; the README shows parts of it."""

import re
from pathlib import Path

import pytest

from ollama_policy.commands.probe.leak import Kind
from ollama_policy.commands.probe.text import MEANINGS
from tests.engines.ollama_server import OllamaServer
from tests.engines.story import CAP, COMMANDS, played, session, session_in
from tests.engines.toolchain import Ollama

ROOT = Path(__file__).parents[2]
_NO_LEAK = "|".join(
    f"{kind.value}: {re.escape(meaning.partition(': ')[2])}" for kind, meaning in MEANINGS.items() if kind != Kind.LEAK
)
_MASKS = (
    (re.compile(r"127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "DIGEST"),
    # The figures of a probe differ from run to run, and so may its verdict: a leak is none of them.
    (re.compile(_NO_LEAK), "NO LEAK"),
    # Where a cache is full, and whether the last call was the one that filled it, differs too.
    (re.compile(r"(, and on|, then nothing|; [\d,]+ calls? like these)$", re.MULTILINE), ""),
    (re.compile(r"[+-]?\d+(\.\d+)?( (KiB|MiB|GiB|bytes))?"), "#"),
    (re.compile(r" +"), " "),
)


def masked(text: str) -> list[str]:
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.splitlines()]


@pytest.mark.engines
@pytest.mark.timeout(400)
def test_the_recorded_session_is_what_the_commands_print(engine: Ollama, tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    with OllamaServer(engine.program, tmp_path / "ollama") as server:
        steps = list(played(server, tmp_path / "infra"))
        recorded = session_in((ROOT / "docs" / "story.md").read_text(encoding="utf-8"))
        assert masked(session(iter(steps))) == masked(recorded)
    assert [step.exit_code for step in steps] == [0, 1, 1, 0, 0]
    grown, _, _, reloaded, capped = (step.output for step in steps)
    assert "the prompt cache grows up to 8 GiB" in grown
    assert "reloaded, and pinned again" in reloaded
    assert f"the prompt cache grows up to {CAP['LLAMA_ARG_CACHE_RAM']} MiB" in capped
    assert 'memory_management = "manual"' in (tmp_path / "infra" / "models.tf").read_text(encoding="utf-8")


def test_the_readme_shows_parts_of_that_session() -> None:
    recorded = masked(session_in((ROOT / "docs" / "story.md").read_text(encoding="utf-8")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(rf"```text\n(\$ {re.escape(COMMANDS[0])}.*?)```", readme, re.DOTALL)
    lines = [line for line in masked(shown) if line not in ("", "...")]
    assert {line.removeprefix("$ ") for line in lines if line.startswith("$ ")} <= set(COMMANDS)
    assert [line for line in lines if line not in recorded] == []
