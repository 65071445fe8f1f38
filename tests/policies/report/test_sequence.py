"""The measured sequence: steps in order, and the same in three languages."""

from xml.etree import ElementTree

from ollama_policy.commands.report.pictures import sequence
from tests.policies.report.examples import HOSTILE, probed

MERMAID = """sequenceDiagram
    participant User
    participant Application
    participant Ollama
    participant Memory
    Application->>Ollama: load chat:latest, keep_alive 10m
    Ollama->>Memory: allocated: +30.0 MiB
    Ollama-->>Application: loaded after 500 ms
    User->>Application: request model inference
    Application->>Ollama: call 1
    Ollama->>Memory: m, allocated: +3.0 MiB
    Ollama-->>Application: result after 40 ms
    Application-->>User: response
    Memory-->>Ollama: r, given back: +2.0 MiB
    loop calls 2 to 30, prompts that differ: medians, and sums over all
        User->>Application: request model inference
        Application->>Ollama: call
        Ollama->>Memory: m, allocated: +87.0 MiB
        Ollama-->>Application: result after 40 ms
        Application-->>User: response
        Memory-->>Ollama: r, given back: +58.0 MiB
    end
    loop calls 31 to 60, one prompt: medians, and sums over all
        User->>Application: request model inference
        Application->>Ollama: call
        Ollama->>Memory: m, allocated: +90.0 MiB
        Ollama-->>Application: result after 40 ms
        Application-->>User: response
        Memory-->>Ollama: r, given back: +60.0 MiB
    end
    Note over Memory: M = sum(m - r) = +60.0 MiB: a leak: every call with one prompt still adds the same
    Note over Memory: idle: 130.0 MiB held, 50.0 MiB by /api/ps
    Application->>Ollama: one more call, keep_alive 1s
    Memory-->>Ollama: timer ran out: 90.0 MiB came back
    Application->>Ollama: load again, keep_alive 10m
    Application->>Ollama: release: keep_alive 0
    Memory-->>Ollama: unloaded: 30.0 MiB came back
    Note over Memory: kept over the start: +0 KiB
"""


def test_the_steps_as_mermaid() -> None:
    assert sequence.as_mermaid(sequence.steps(probed(60, growth=1))) == MERMAID


def test_the_picture_and_the_table_have_every_step() -> None:
    account = probed(60, growth=1)
    found = sequence.steps(account)
    root = ElementTree.fromstring(sequence.picture(account, found))  # noqa: S314 - our own
    drawn = " ".join(root.itertext())
    rows = sequence.table(found).rows
    assert len(rows) == MERMAID.count("Note over ") + MERMAID.count(">>")
    for *_, what in rows:
        for word in what.split():
            assert word.removesuffix(":") in drawn


def test_what_is_not_seen_is_said() -> None:
    text = sequence.as_mermaid(sequence.steps(probed(unseen="box is another machine")))
    assert "m, allocated: not seen" in text
    assert "Note over Memory: whether it leaks is not known: box is another machine" in text
    assert "timer ran out: out of /api/ps" in text


def test_a_hostile_name_adds_no_line() -> None:
    found = sequence.steps(probed(model=HOSTILE))
    plain = sequence.steps(probed())
    assert sequence.as_mermaid(found).count("\n") == sequence.as_mermaid(plain).count("\n")


def test_one_call_needs_no_loop() -> None:
    assert "loop" not in sequence.as_mermaid(sequence.steps(probed(1)))
