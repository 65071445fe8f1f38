"""A large tree gives the same result in two processes as in one."""

import os
import signal
from pathlib import Path

import pytest

from ollama_policy.model.result import Result
from ollama_policy.pipeline import second_process
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.second_process import SecondProcess
from ollama_policy.rules import RULES
from tests.policies.conftest import AUTOMATIC


def seen(result: Result) -> object:
    found = [(one.finding.file.path, one.start, one.finding.rule.id) for one in result.findings]
    return found, [(one.path, one.message) for one in result.unreadable], result.searched, result.read, result.notes


def test_two_processes_find_what_one_finds(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        (tree / f"n{number:02}.tf").write_text(AUTOMATIC if number % 7 == 0 else "locals {}\n")
    for name, data in {"y.tf": b"\xff\xfeo\0l\0", "z.yaml": b"", "ollama.env": b"A=1\n", "run": b"#!/bin/sh\n"}.items():
        (tree / name).write_bytes(data)
    (tree / "x.tf").symlink_to("/etc/passwd")
    alone = seen(check(["."], Options(rules=RULES)))
    monkeypatch.setattr(second_process, "FEWEST", 10)
    assert seen(check(["."], Options(rules=RULES))) == alone


def test_a_second_process_that_dies_costs_nothing_but_its_time() -> None:
    def dies(path: str) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    assert SecondProcess(["a", "b", "c"], dies).flags() == b""


def test_it_says_which_paths_of_the_second_half_are_none_of_ours() -> None:
    second = SecondProcess(["a", "b", "c", "d"], lambda path: path == "d")
    assert (second.half, second.flags()) == (2, b"\0\1")
