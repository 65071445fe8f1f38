"""What --apply-to writes: the safe fixes of the files that are named, all or none."""

from pathlib import Path

import pytest

from ollama_policy.commands.remedies.applying import apply, planned
from ollama_policy.errors import CannotLookError
from ollama_policy.live.options import Request, options_of
from ollama_policy.pipeline import fixing
from ollama_policy.pipeline.check import Options
from ollama_provider.files import atomic
from tests.policies.conftest import AUTOMATIC, MANUAL


def options(*files: str) -> Options:
    return options_of(Request(files), {}, with_baseline=False)


def test_only_the_named_files_are_written(tree: Path) -> None:
    for name in ("a.tf", "b.tf"):
        (tree / name).write_text(AUTOMATIC)
    fixed = planned(["a.tf"], options("a.tf"))
    assert (tree / "a.tf").read_text() == AUTOMATIC, "not yet written"
    apply(fixed)
    assert (tree / "a.tf").read_text() == MANUAL
    assert (tree / "b.tf").read_text() == AUTOMATIC
    assert '+  memory_management = "manual"\n' in fixed.diff()


def test_what_is_written_goes_back_where_another_file_cannot_be(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tf", "b.tf"):
        (tree / name).write_text(AUTOMATIC.replace('"chat"', f'"{name}"').replace('"m"', f'"{name[0]}"'))
    before = {name: (tree / name).read_bytes() for name in ("a.tf", "b.tf")}
    fixed = planned(["a.tf", "b.tf"], options("a.tf", "b.tf"))
    assert len(fixed.after) == 2
    write = atomic.write_whole

    def fails(path: str, data: bytes) -> None:
        if path == "b.tf":
            raise OSError(28, "No space left on device", path)
        write(path, data)

    monkeypatch.setattr(fixing, "write_whole", fails)
    with pytest.raises(CannotLookError, match=r"cannot write b.tf: No space left on device; nothing was written"):
        apply(fixed)
    assert {name: (tree / name).read_bytes() for name in before} == before


def test_a_file_that_changed_meanwhile_stops_all(tree: Path) -> None:
    for name in ("a.tf", "b.tf"):
        (tree / name).write_text(AUTOMATIC.replace('"chat"', f'"{name}"').replace('"m"', f'"{name[0]}"'))
    before = (tree / "a.tf").read_bytes()
    fixed = planned(["a.tf", "b.tf"], options("a.tf", "b.tf"))
    (tree / "b.tf").write_text("# other\n")
    with pytest.raises(CannotLookError, match=r"b.tf was changed meanwhile; nothing was written"):
        apply(fixed)
    assert (tree / "a.tf").read_bytes() == before
    assert (tree / "b.tf").read_text() == "# other\n"


@pytest.mark.parametrize(("path", "what"), [("link.tf", "a link"), ("folder", "a folder"), ("nowhere.tf", "not there")])
def test_what_is_no_file_is_refused(tree: Path, path: str, what: str) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "folder").mkdir()
    (tree / "link.tf").symlink_to("a.tf")
    with pytest.raises(CannotLookError, match=f"{path}: it is {what}"):
        planned([path], options("a.tf"))
