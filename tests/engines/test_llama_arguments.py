"""What is known of LLAMA_ARG_*, beside what the real llama-server does with each: start, or end with an error."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ollama_provider.ollama.settings.llama_arguments import ARGUMENTS, OVERRIDDEN, PREFIX, REMOVED, Kind, misreading
from tests.engines.toolchain import Ollama

pytestmark = pytest.mark.engines

TEXTS = (
    "",
    "auto",
    "1",
    "-1",
    "1GB",
    "on",
    "yes",
    "0",
    '"1"',
    "q8_0",
    "none",
    "3,1",
    "0.5",
    "all",
    "99999999999",
    "1,",
    ",1",
    ".5",
    "nan",
    "1e999",
    "0x1p3",
    "1_0",
    "ngram-mod",
    "{}",
)
REFUSED_EACH = 2  # a process each


@pytest.fixture(scope="module")
def llama_server(engine: Ollama) -> Path:
    found = engine.program.resolve().parent.parent / "lib" / "ollama" / "llama-server"
    assert found.exists()
    return found


def starts(llama_server: Path, variables: Mapping[str, str]) -> tuple[bool, str]:
    """Whether it reads its variables and goes on to say its version."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    done = subprocess.run(
        [str(llama_server), "--version"], env={**kept, **variables}, capture_output=True, text=True, timeout=60
    )
    return done.returncode == 0, done.stdout + done.stderr


def texts(name: str, *, is_refused: bool) -> list[str]:
    wrong = {text: misreading(name, text) for text in (*TEXTS, *ARGUMENTS[name].choices)}
    return [text for text, found in wrong.items() if (found is not None and found.is_refused) is is_refused]


def test_texts_that_are_read_are_read(llama_server: Path) -> None:
    judged = [name for name, argument in ARGUMENTS.items() if argument.kind is not Kind.TEXT]
    rounds = max(len(texts(name, is_refused=False)) for name in judged)
    for number in range(rounds):  # all variables at once, each with another of its texts
        taken = {name: texts(name, is_refused=False) for name in judged}
        variables = {name: of[number % len(of)] for name, of in taken.items() if of}
        is_started, said = starts(llama_server, variables)
        assert is_started, said


def test_texts_that_are_refused_are_refused(llama_server: Path) -> None:
    for name in ARGUMENTS:
        refused = texts(name, is_refused=True)
        if ARGUMENTS[name].kind not in (Kind.TEXT, Kind.SWITCH):
            assert refused, name
        for text in refused[:REFUSED_EACH]:
            is_started, said = starts(llama_server, {name: text})
            assert not is_started, (name, text)
            assert name in said


def test_the_names_are_those_of_its_help(llama_server: Path) -> None:
    done = subprocess.run([str(llama_server), "--help"], capture_output=True, text=True, timeout=60)
    named = {word for word in done.stdout.replace(")", " ").split() if word.startswith(PREFIX)}
    assert named == ARGUMENTS.keys() - {f"{PREFIX}RPC"}  # which is there only where llama.cpp is built with RPC
    assert not named & REMOVED.keys()


def test_ollamas_own_arguments_are_those_that_win(llama_server: Path) -> None:
    """llama-server says of each variable that an argument of its command line overrides it."""
    words = "--host 127.0.0.1 --port 1 --no-webui --offline -c 8 -np 1 -b 8 -ub 8 --flash-attn auto --log-verbosity 4"
    command = [str(llama_server), *f"--model none {words} --no-log-prefix --no-log-timestamps --version".split()]
    texts_of_overridden = {name: texts(name, is_refused=False)[0] for name in OVERRIDDEN}
    done = subprocess.run(command, env=os.environ | texts_of_overridden, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    overridden = {line.split()[1] for line in done.stderr.splitlines() if "will be overwritten" in line}
    assert overridden == OVERRIDDEN.keys()
