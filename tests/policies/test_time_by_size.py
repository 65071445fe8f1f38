"""Time grows with what is read, not with its square: twice the input takes less than 2.5 times the processor's time.

What a reader does in C counts too, so this is not a count of calls. A ratio is disturbed by whatever else the machine
does, and the best of a few tries is not: one that grows by the square is near 4 each time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ollama_policy.formats import Format, render
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import Result
from ollama_policy.model.settings import MAX_VALUE, Kind, Setting, SourceFile
from ollama_policy.pipeline.baseline import Baseline, written
from ollama_policy.pipeline.check import Options, check, read_all
from ollama_policy.pipeline.configuration import Configuration
from ollama_policy.pipeline.discover import Workspace
from ollama_policy.pipeline.fixing import fix
from ollama_policy.pipeline.gitignore import IgnoreFile
from ollama_policy.pipeline.suppressions import suppressions_in
from ollama_policy.rules import RULES
from ollama_policy.sources import SOURCES
from ollama_policy.sources.common import env_files
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.blocks import Block
from ollama_provider.ollama import durations
from ollama_provider.ollama.settings.llama_arguments import ARGUMENTS
from ollama_provider.ollama.settings.variables import VARIABLES
from tests.policies.fuzz.seeds import name_of
from tests.policies.growing import CHAINS, Growing, general
from tests.policies.processor_time import limited
from tests.policies.rules.subjects import judged, subject
from tests.policies.sources.trees import file

pytestmark = pytest.mark.slow

_MOST = 2.5
_TRIES = 4
_FEWEST_SECONDS = 0.03  # of the larger input: less is mostly what does not grow at all
_LIMIT = 20.0  # seconds of processor time for one look: more is a hang


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        with limited(_LIMIT, TimeoutError(f"more than {_LIMIT} s")):
            began = time.process_time()
            work()
            return time.process_time() - began
    finally:
        gc.enable()


def grows_with(work_of: Callable[[int], Callable[[], object]], n: int) -> None:
    """Checks the ratio between N and 2N. `work_of` prepares, what it answers is measured.

    On a busy machine a ratio of small times can be wrong by half, twice in turn: what fails at N is looked at again at
    2N and at 4N, where the square would be near 4 again.
    """
    told: list[str] = []
    for size in (n, 2 * n, 4 * n):
        told.append(_growth(work_of, size))
        if not told[-1]:
            return
    pytest.fail("; ".join(told))


def _growth(work_of: Callable[[int], Callable[[], object]], n: int) -> str:
    """How a time grew by more than the input; empty where it did not."""
    once, twice = float("inf"), float("inf")
    for _ in range(_TRIES):
        once, twice = min(once, _seconds(work_of(n))), min(twice, _seconds(work_of(2 * n)))
        if twice < _FEWEST_SECONDS or twice < _MOST * once:
            return ""
    return f"{once:.3f} s for {n}, {twice:.3f} s for twice that: {twice / once:.1f} times"


def _checking(growing: Growing) -> Callable[[int], Callable[[], object]]:
    def work(n: int) -> Callable[[], object]:
        tree = growing(n)
        return lambda: check([*tree], Options(RULES, overlay=tree))

    return work


_GENERAL = [
    (f"{name_of(source)}: {name}", each) for source in SOURCES for name, each in general(name_of(source)).items()
]
_CHAINS = [(f"{source}: {name}", each) for source, of_source in CHAINS.items() for name, each in of_source.items()]


def test_every_source_has_its_chains() -> None:
    assert set(CHAINS) == {name_of(source) for source in SOURCES}, "see CHAINS in tests/policies/growing.py"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("growing", [each for _, each in _GENERAL], ids=[name for name, _ in _GENERAL])
def test_a_source_reads_in_time_by_its_file(growing: Growing) -> None:
    grows_with(_checking(growing), 24)


@pytest.mark.parametrize("growing", [each for _, each in _CHAINS], ids=[name for name, _ in _CHAINS])
def test_a_source_follows_in_time_by_its_files(growing: Growing) -> None:
    grows_with(_checking(growing), 48)


@pytest.mark.parametrize("fill", [" ", "-", "_", "5", "m", ".", "5m", "'", "\t", "# "])
def test_a_long_value_takes_time_by_its_length(fill: str) -> None:
    def work(n: int) -> Callable[[], object]:
        values = [f"5{fill * n}x", f"{fill * n}5m x", f'"{fill * n}"']
        ones = [subject(Kind.SERVER, dict.fromkeys([*VARIABLES, *ARGUMENTS], value)) for value in values]
        requests = [subject(Kind.REQUEST, {"endpoint": "/api/chat", "keep_alive": value}) for value in values]
        models = [subject(Kind.MODEL, {"name": "a", "keep_alive": value}) for value in values]
        return lambda: [judged(rule, [*ones, *requests, *models]) for rule in RULES]

    grows_with(work, 3000)


def test_a_module_of_many_files_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def parse(one: SourceFile) -> list[Block]:
        parsed.append(one.path)
        return whole(one)

    whole = syntax.parse
    monkeypatch.setattr(syntax, "parse", parse)
    tree = CHAINS["terraform.hcl"]["files"](10)
    check([*tree], Options(RULES, overlay=tree))
    assert len(tree) > 50
    assert sorted(parsed) == sorted(tree)


@pytest.mark.parametrize("source", ["systemd", "compose.services", "shell.scripts"])
def test_an_env_file_that_many_share_is_read_once(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def assignments(data: bytes, one: SourceFile, *how: Any) -> Iterator[Setting]:
        read.append(one.path)
        return whole(data, one, *how)

    whole = env_files.read_assignments
    monkeypatch.setattr(env_files, "read_assignments", assignments)
    tree = CHAINS[source]["one env file"](2)
    readings = read_all(Workspace([*tree], overlay=tree), lambda done, total: None)
    subjects = [subject for reading in readings for subject in reading.subjects]
    assert read == ["o.env"]
    assert len(subjects) > 10
    for one in subjects:
        assert one.settings["OLLAMA_V1"].file.path == "o.env"
    first, second = (one.settings["OLLAMA_V1"] for one in subjects[:2])
    assert first is not second, "what is done to one is not done to the other"


@pytest.mark.parametrize("path", ["systemd", "compose.services", "kubernetes.manifests"])
def test_too_many_with_too_many_shared_variables_are_undecided(path: str) -> None:
    tree = CHAINS[path]["one generator" if path == "kubernetes.manifests" else "one env file"](192)
    reasons = {one.reason for one in _result(tree).undecided}
    assert reasons == {"too large to decide: many servers or models, each with many settings that they share"}


# What comes after the reading.


def _models(n: int) -> dict[str, bytes]:
    model = 'resource "ollama_model" "m{i}" {{\n  name = "é{i}"\n  memory_management = "automatic"\n}}\n'
    return {"a.tf": "".join(model.format(i=i) for i in range(n)).encode()}


def _objects(n: int) -> dict[str, bytes]:
    """The same in one line."""
    one = '{{"name": "é{i}", "memory_management": "automatic"}}'
    return {"a.json": f'{{"models": [{", ".join(one.format(i=i) for i in range(n))}]}}'.encode()}


def _result(tree: dict[str, bytes]) -> Result:
    return check([*tree], Options(RULES, overlay=tree))


@pytest.mark.parametrize("of_lines", [_models, _objects], ids=["many lines", "one line"])
@pytest.mark.parametrize("form", list(Format))
def test_a_report_takes_time_by_its_findings(form: Format, of_lines: Callable[[int], dict[str, bytes]]) -> None:
    def work(n: int) -> Callable[[], object]:
        result = _result(of_lines(n))
        assert len(result.findings) >= n
        return lambda: render(form, result, Look(is_verbose=True))

    grows_with(work, 600)


@pytest.mark.parametrize("of_lines", [_models, _objects], ids=["many lines", "one line"])
def test_fixes_take_time_by_their_number(of_lines: Callable[[int], dict[str, bytes]]) -> None:
    def work(n: int) -> Callable[[], object]:
        tree = of_lines(n)
        return lambda: fix([*tree], Options(RULES, overlay=tree))

    grows_with(work, 300)


def test_suppressions_take_time_by_their_number() -> None:
    comments = "# ollama-policy: ignore[OLL001] because\n"
    grows_with(lambda n: lambda: suppressions_in(file("a.tf", comments * n), {"OLL001"}), 4000)

    def work(n: int) -> Callable[[], object]:
        ((path, data),) = _models(n).items()
        tree = {path: data.replace(b'"automatic"', b'"automatic" # ollama-policy: ignore[OLL001] because')}
        return lambda: check([*tree], Options(RULES, overlay=tree, today=lambda: date(2026, 1, 1)))

    grows_with(work, 1000)


def test_a_baseline_takes_time_by_its_entries() -> None:
    def work(n: int) -> Callable[[], object]:
        findings = [reported.finding for reported in _result(_models(n)).findings]
        one = file("baseline.json", written(findings, "baseline.json"))
        return lambda: Baseline(one).stale()

    grows_with(work, 1500)


@pytest.mark.parametrize("option", ["exclude", "per_path_ignores"])
@pytest.mark.parametrize("pattern", ["**/", "**/a/", "a/**/", "*a", "**/*a*/", "a*/**/"])
def test_patterns_take_time_by_their_length(pattern: str, option: str) -> None:
    def work(n: int) -> Callable[[], object]:
        lines = [(pattern * n)[:900] + "zz"]
        path = "/".join("a" * n)
        if option == "exclude":
            return lambda: [IgnoreFile(lines).verdict(path, "a", False) for _ in range(20)]
        configuration = Configuration(per_path_ignores={lines[0]: ("OLL001",)})
        tree = {f"{path}/{name}": data for name, data in _models(20).items()}
        return lambda: check([*tree], Options(RULES, configuration=configuration, overlay=tree))

    grows_with(work, 100)


def test_patterns_match_as_git_matches_them() -> None:
    ignored = IgnoreFile(["a/**/b/**/c/*.tf", "**/x/**", "/d/**/**/e"])

    def verdict(path: str) -> bool | None:
        return ignored.verdict(path, path.rpartition("/")[2], False)

    for path in (
        "a/b/c/m.tf",
        "a/1/b/2/3/c/m.tf",
        "a/b/b/c/c/m.tf",
        "a/b/c/b/c/m.tf",
        "x/1",
        "1/2/x/3/4",
        "d/e",
        "d/1/2/e",
    ):
        assert verdict(path) is True, path
    for path in ("a/b/c/1/m.tf", "b/c/m.tf", "x", "1/d/e", "d/1"):
        assert verdict(path) is None, path


# Huge values.


@pytest.mark.parametrize("text", ["5m", "1", "0.1h", ".", "1.", "h"])
def test_a_duration_takes_time_by_its_length(text: str) -> None:
    def parse(value: str) -> None:
        with suppress(durations.InvalidDurationError):
            durations.parse(value)

    grows_with(lambda n: lambda: parse(text * n), 40_000)


def test_a_value_that_no_rule_is_meant_for_is_undecided() -> None:
    text = f'resource "ollama_model" "a" {{\n  name = "x"\n  keep_alive = "{"5m" * MAX_VALUE}"\n}}\n'
    result = _result({"a.tf": text.encode()})
    assert [(one.key, one.start.line) for one in result.undecided] == [("keep_alive", 3)]
    assert result.undecided[0].reason.startswith("too large to decide")
    assert not result.findings
    assert not result.unreadable


def test_a_text_whose_parsing_does_not_end_is_undecided() -> None:
    result = _result({"a.sh": b"#!/bin/bash\nollama serve\nx " + b"a | " * 40_000})
    assert not result.unreadable
    (one,) = result.undecided
    assert one.reason == "too large to decide: the text cannot be parsed in reasonable time"
    for form in Format:
        render(form, result, Look(is_verbose=True))


def test_too_many_servers_with_too_many_variables_are_undecided() -> None:
    tree = CHAINS["shell.scripts"]["servers"](64)
    (one,) = _result(tree).undecided
    assert one.reason.startswith(("too large to decide: many commands", "too large to decide: many servers"))
    assert one.start.line > 1


_DOUBLING = {
    "ollama.sh": ("A0=xxxx\n", "A{}=$A{}$A{}\n", "export OLLAMA_KEEP_ALIVE=$A{}\nollama serve\n"),
    "Dockerfile": ("FROM ollama/ollama:0.34.3\nENV A0=xxxx\n", "ENV A{}=$A{}$A{}\n", "ENV OLLAMA_KEEP_ALIVE=$A{}\n"),
    "sub/Dockerfile": ("ARG A0=xxxx\n", "ARG A{}=${{A{}}}${{A{}}}\n", "FROM ollama/ollama:$A{}\n"),
    "ollama.env": ("A0=xxxx\n", "A{}=$A{}$A{}\n", "OLLAMA_KEEP_ALIVE=$A{}\n"),
}


@pytest.mark.parametrize("path", _DOUBLING)
def test_a_value_that_doubles_with_each_line_is_too_large_to_decide(path: str) -> None:
    first, each, last = _DOUBLING[path]
    text = first + "".join(each.format(at + 1, at, at) for at in range(2000)) + last.format(2000)
    with limited(_LIMIT, TimeoutError(f"more than {_LIMIT} s")):
        result = check([path], Options(RULES, overlay={path: text.encode()}))
    assert any("too large to decide" in str(one) for one in result.undecided)
