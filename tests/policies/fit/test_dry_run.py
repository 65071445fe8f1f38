"""What is made of a llama-fit-params that does not tell: programs that fail in its place, as a real one will not."""

from pathlib import Path

import pytest

from ollama_policy.commands.fit.dry_run import asked, program
from ollama_policy.errors import CannotLookError
from ollama_policy.live.capacity.sums import Fit, Model, Settings
from tests.policies.fit.test_sums import GIB, MIB, model, of_architecture

UNKNOWN = of_architecture("no-such-architecture") | {"no-such-architecture.context_length": 2048}


def faulty(tmp_path: Path, script: str) -> str:
    path = tmp_path / "faulty-llama-fit-params"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def told(tmp_path: Path, script: str, **changes: object) -> Model:
    one = model("a", metadata=UNKNOWN, beginning=b"GGUF", num_ctx=8192, **changes)
    [found] = asked([one], Settings(GIB, num_parallel=2), faulty(tmp_path, script))
    return found


def test_the_sum_of_all_devices_and_how_it_is_asked(tmp_path: Path) -> None:
    found = told(tmp_path, f'echo "$@" > {tmp_path}/arguments; echo "CPU 4 128 34 "; echo "Host 1 0 2"')
    assert found.dry_run is not None
    assert found.dry_run[1:] == (7 * MIB, 130 * MIB, 38 * MIB)
    words = (tmp_path / "arguments").read_text()
    assert "-c 4096 -np 2 -b 512 -ub 512 -fa auto" in words, "the trained context at most, for each request"
    fit = Fit([found], Settings(GIB, prompt_cache_bytes=GIB))
    [need] = fit.needs
    assert (need.growth, need.predicted, fit.fits, fit.outgrows) == (GIB, None, True, True)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo unknown model architecture >&2; exit 1", "unknown model architecture"),
        ("exit 0", "it says nothing"),
        ("echo Host much 1 2", "it says nothing"),
        ("kill -9 $$", "it says nothing"),
    ],
)
def test_one_that_does_not_tell_is_said_and_the_model_not_known(tmp_path: Path, script: str, words: str) -> None:
    found = told(tmp_path, script)
    [(_, why)] = Fit([found], Settings(GIB)).unknown
    assert "no-such-architecture" in why
    assert words in why


def test_what_it_is_not_asked_about(tmp_path: Path) -> None:
    ours = faulty(tmp_path, f"touch {tmp_path}/asked")
    known = model("a", file="a.gguf")
    remote = model("b", metadata=UNKNOWN)
    old = model("c", metadata=UNKNOWN, file="c.gguf")
    first, second = asked([known, remote], Settings(GIB), ours)
    assert first is known
    assert "no GGUF of it is here" in second.problem
    [third] = asked([old], Settings(GIB, version=(0, 17, 4)), ours)
    assert third is old
    assert not (tmp_path / "asked").exists()
    [fourth] = asked([old], Settings(GIB), None)
    assert fourth.problem.endswith("on PATH, or named by --fit-params, may tell"), "it may not know it either"


def test_a_program_that_is_none() -> None:
    with pytest.raises(CannotLookError, match="it is not a program"):
        program("/nowhere/llama-fit-params")
