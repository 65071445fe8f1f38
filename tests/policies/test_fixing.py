"""Fixes: exactly the bytes of the edit, nothing outside of what was given, and nothing the second time."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.settings import Edit, Kind, Span, Subject
from ollama_policy.pipeline.check import Options
from ollama_policy.pipeline.fixing import ChangedMeanwhileError, fix, may_write
from ollama_policy.rules import RULES
from tests.policies.conftest import AUTOMATIC, MANUAL

OPTIONS = Options(rules=[rule for rule in RULES if rule.id == "OLL001"])


class AddsA(Rule):
    """Puts `# a` before each subject that has none. Unsafe."""

    id = "OLL803"
    name = "adds-a"
    severity = Severity.WARNING
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = why = fix = source = ""
    text = "# a\n"
    is_safe = False

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        if self.text.strip().encode() not in subject.file.data:
            edit = Edit(subject.file, Span(0, 0), self.text)
            yield self.about(subject, "none", fixes=(Fix("add", (edit,), is_safe=self.is_safe),))


class AddsB(AddsA):
    """The same place: it must wait for the next round."""

    id = "OLL804"
    name = "adds-b"
    text = "# b\n"


class EditsOutside(AddsA):
    """A fix in a file that was not given."""

    id = "OLL805"
    name = "edits-outside"
    is_safe = True

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        return iter(())

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        subject.file.path = "../outside.tf"
        yield from super().judge(subject, target)


def written(*paths: str, options: Options = OPTIONS, with_unsafe: bool = False) -> int:
    fixed = fix(paths or ["."], options, with_unsafe=with_unsafe)
    fixed.write()
    return fixed.count


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("models.yaml", 'memory_management: "automatic"\n', 'memory_management: "manual"\n'),
        ("models.yaml", "memory_management: 'automatic' # why\r\n", "memory_management: 'manual' # why\r\n"),
        ("models.yaml", "memory_management: automatic", "memory_management: manual"),
        ("models.tf", AUTOMATIC, MANUAL),
        ("models.tf", "\ufeff" + AUTOMATIC.replace("\n", "\r\n"), "\ufeff" + MANUAL.replace("\n", "\r\n")),
        ("models.tf", "# 名前 \t \n" + AUTOMATIC + "# no end of line", "# 名前 \t \n" + MANUAL + "# no end of line"),
    ],
)
def test_every_other_byte_stays(tree: Path, name: str, before: str, after: str) -> None:
    file = tree / name
    file.write_bytes(before.encode())
    file.chmod(0o640)
    assert written() == 1
    assert file.read_bytes() == after.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert written() == 0, "a second time changes nothing"
    assert sorted(path.name for path in tree.iterdir()) == [".git", name]


def test_a_file_that_needs_nothing_is_not_touched(tree: Path) -> None:
    file = tree / "a.tf"
    file.write_text(MANUAL)
    os.utime(file, (1, 1))
    inode = file.stat().st_ino
    assert written() == 0
    assert (file.stat().st_mtime, file.stat().st_ino) == (1, inode)


def test_lines_are_added_with_the_ends_that_the_file_has(tree: Path) -> None:
    file = tree / "a.tf"
    file.write_bytes(MANUAL.replace("\n", "\r\n").encode())
    written(options=Options(rules=[AddsA]), with_unsafe=True)
    assert file.read_bytes() == b"# a\r\n" + MANUAL.replace("\n", "\r\n").encode()


def test_of_two_edits_that_touch_the_first_has_the_round(tree: Path) -> None:
    (tree / "a.tf").write_text(MANUAL)
    assert written(options=Options(rules=[AddsA, AddsB]), with_unsafe=True) == 2
    assert (tree / "a.tf").read_text() == "# b\n# a\n" + MANUAL


def test_unsafe_fixes_are_applied_only_when_asked_for(tree: Path) -> None:
    (tree / "a.tf").write_text(MANUAL)
    assert written(options=Options(rules=[AddsA])) == 0
    assert (tree / "a.tf").read_text() == MANUAL


def test_what_is_left_is_the_result(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    fixed = fix(["."], OPTIONS)
    assert (fixed.result.findings, fixed.count) == ([], 1)
    assert (tree / "a.tf").read_text() == AUTOMATIC, "nothing is written before it is asked for"


def test_nothing_outside_of_what_was_given_is_written(tree: Path) -> None:
    (tree / "a.tf").write_text(MANUAL)
    (tree.parent / "outside.tf").write_text(MANUAL)
    assert written(options=Options(rules=[EditsOutside])) == 0
    assert (tree.parent / "outside.tf").read_text() == MANUAL


def test_nothing_is_written_through_a_link(tree: Path) -> None:
    (tree / "models.txt").write_text(AUTOMATIC)
    (tree / "a.tf").symlink_to("models.txt")
    (tree / "real").mkdir()
    (tree / "real/b.tf").write_text(AUTOMATIC)
    (tree / "link").symlink_to("real")
    assert written(".", "a.tf") == 1, "only the file under its own name"
    assert (tree / "models.txt").read_text() == AUTOMATIC
    assert (tree / "a.tf").is_symlink()
    assert (tree / "real/b.tf").read_text() == MANUAL


@pytest.mark.parametrize(
    ("path", "given", "may"),
    [
        ("real/b.tf", ["."], True),
        ("real/b.tf", ["real"], True),
        ("real/b.tf", ["real/b.tf"], True),
        ("link/b.tf", ["."], False),
        ("link/b.tf", ["link"], True),
        ("real/b.tf", ["link"], False),
        ("real/b.tf", ["rea"], False),
        ("real/nothing.tf", ["real/nothing.tf"], False),
    ],
)
def test_what_may_be_written(tree: Path, path: str, given: list[str], may: bool) -> None:
    (tree / "real").mkdir()
    (tree / "real/b.tf").write_text("")
    (tree / "link").symlink_to("real")
    assert may_write(path, given) is may


def test_a_file_that_changed_meanwhile_is_left(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    fixed = fix(["."], OPTIONS)
    (tree / "a.tf").write_text("something else")
    with pytest.raises(ChangedMeanwhileError, match=r"a\.tf"):
        fixed.write()
    assert (tree / "a.tf").read_text() == "something else"


def test_a_write_that_fails_leaves_the_file_and_nothing_else(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    fixed = fix(["."], OPTIONS)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fixed.write()
    assert (tree / "a.tf").read_text() == AUTOMATIC
    assert sorted(path.name for path in tree.iterdir()) == [".git", "a.tf"]


def test_the_diff_is_what_patch_takes(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC.rstrip("\n"))
    assert fix(["."], OPTIONS).diff() == (
        "--- a/a.tf\n+++ b/a.tf\n@@ -1,4 +1,4 @@\n"
        ' resource "ollama_model" "m" {\n'
        '   name              = "chat"\n'
        '-  memory_management = "automatic"\n'
        '+  memory_management = "manual"\n'
        " }\n\\ No newline at end of file\n"
    )


class Swaps(AddsA):
    """Writes `# b` where `# a` is; the next writes it back."""

    id = "OLL806"
    name = "swaps"
    is_safe = True
    old, new = b"# a", "# b"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        at = subject.file.data.find(self.old)
        if at >= 0:
            edit = Edit(subject.file, Span(at, at + len(self.old)), self.new)
            yield self.about(subject, self.name, fixes=(Fix("swap", (edit,), is_safe=self.is_safe),))


class SwapsBack(Swaps):
    id = "OLL807"
    name = "swaps-back"
    old, new = b"# b", "# a"


class Grows(AddsA):
    """Adds a line, and finds the same again: no fix."""

    id = "OLL808"
    name = "grows"
    is_safe = True

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        edit = Edit(subject.file, Span(0, 0), "# more\n")
        yield self.about(subject, "small", fixes=(Fix("grow", (edit,), is_safe=True),))


class WritesNothing(AddsA):
    """Its fix is what stands there."""

    id = "OLL809"
    name = "writes-nothing"

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        written = subject.file.data[:8].decode()
        yield self.about(subject, "same", fixes=(Fix("same", (Edit(subject.file, Span(0, 8), written),), True),))


class Breaks(AddsA):
    """Its fix makes a declaration that an apply refuses."""

    id = "OLL810"
    name = "breaks"
    is_safe = True

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        at = subject.file.data.find(b'"manual"')
        if at >= 0:
            edit = Edit(subject.file, Span(at, at + 8), '"manuel"')
            yield self.about(subject, "manual", fixes=(Fix("break", (edit,), is_safe=True),))


@pytest.mark.parametrize("rules", [[Swaps, SwapsBack], [Grows], [WritesNothing], [Breaks]])
def test_what_loops_or_does_nothing_or_breaks_is_left_out(tree: Path, rules: list[type[Rule]]) -> None:
    (tree / "a.tf").write_text("# a\n" + MANUAL)
    fixed = fix(["."], Options(rules=rules))
    assert (fixed.after, fixed.count) == ({}, 0)
    assert (fixed.left_out > 0) is (rules != [WritesNothing]), "what is not a fix is not even tried"


def test_a_bad_fix_does_not_cost_the_good_ones(tree: Path) -> None:
    for name in "abcdefgh":
        (tree / f"{name}.tf").write_text(AUTOMATIC.replace("chat", name))
    (tree / "i.tf").write_text(MANUAL)
    fixed = fix(["."], Options(rules=[*OPTIONS.rules, Grows]))
    assert (len(fixed.after), fixed.count) == (8, 8)
    assert "left out 9" in fixed.summary()
