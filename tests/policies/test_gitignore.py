"""What `.gitignore` leaves out, told by git itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.pipeline.discover import Workspace
from ollama_policy.pipeline.gitignore import IgnoreFile, is_ignored

PATHS = [
    *(
        "a.tf b.tf sub/a.tf sub/deep/a.tf sub/deep/b.tf dist/x.tf sub/dist/x.tf out/keep.tf out/drop.tf "
        "foo/bar/baz.tf foo/x/y/baz.tf !bang.tf #hash.tf [x].tf x.tf a-b.tf ab.tf"
    ).split(),
    "sp ace.tf",
]


def kept(folder: Path) -> list[str]:
    return [entry.path for entry in Workspace(["."]).entries]


def kept_by_git(folder: Path) -> list[str]:
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    listed = subprocess.run(
        ["git", "-c", "core.quotepath=off", "ls-files", "-z", "--others", "--exclude-standard", "*.tf"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(filter(None, listed.stdout.split("\0")))


def plant(folder: Path, ignores: dict[str, str]) -> None:
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    for name, text in ignores.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "ignores",
    [
        {".gitignore": "a.tf\n"},
        {".gitignore": "/a.tf\n"},
        {".gitignore": "*.tf\n!b.tf\n"},
        {".gitignore": "dist/\n"},
        {".gitignore": "dist\n!dist/x.tf\n"},
        {".gitignore": "out/*\n!out/keep.tf\n"},
        {".gitignore": "/sub/**\n!/sub/a.tf\n"},
        {".gitignore": "**/dist\n"},
        {".gitignore": "foo/**/baz.tf\n"},
        {".gitignore": "sub/*/a.tf\n"},
        {".gitignore": "\\!bang.tf\n\\#hash.tf\n"},
        {".gitignore": "#hash.tf\n\n  \n"},
        {".gitignore": "[ab].tf\n"},
        {".gitignore": "[!ab].tf\n"},
        {".gitignore": "\\[x].tf\n"},
        {".gitignore": "[]x].tf\n"},
        {".gitignore": "[a-b]?b.tf\n"},
        {".gitignore": "sp ace.tf   \n"},
        {".gitignore": "a*b.tf\r\n"},
        {".gitignore": "a.tf/\n"},
        {".gitignore": "*\n!*/\n!sub/**/b.tf\n"},
        {".gitignore": "a.tf\n", "sub/.gitignore": "!a.tf\n"},
        {".gitignore": "*.tf\n", "sub/.gitignore": "!a.tf\n", "sub/deep/.gitignore": "a.tf\n"},
        {"sub/.gitignore": "/a.tf\ndeep/b.tf\n"},
        {".gitignore": "[z-a].tf\n[\n\\\n"},
    ],
    ids=str,
)
def test_it_keeps_what_git_keeps(tree: Path, ignores: dict[str, str]) -> None:
    plant(tree, ignores)
    assert kept(tree) == kept_by_git(tree)


def test_the_files_over_the_given_folder_count_up_to_the_top_of_the_repository(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tree, {".gitignore": "/sub/a.tf\n*.ignored\nb.tf\n"})
    assert [entry.path for entry in Workspace(["sub"]).entries] == ["sub/deep/a.tf", "sub/dist/x.tf"]
    monkeypatch.chdir(tree / "sub")
    assert [entry.path for entry in Workspace(["."]).entries] == ["deep/a.tf", "dist/x.tf"]
    assert [entry.path for entry in Workspace([str(tree / "sub")]).entries] == ["deep/a.tf", "dist/x.tf"]


def test_a_file_that_a_person_names_is_checked_all_the_same(tree: Path) -> None:
    plant(tree, {".gitignore": "a.tf\n"})
    assert [entry.path for entry in Workspace(["a.tf"]).entries] == ["a.tf"]


@settings(max_examples=200)
@given(st.lists(st.text("ab*?[]!/\\-. #", max_size=12), max_size=4), st.text("ab/.-", min_size=1, max_size=12))
def test_no_pattern_crashes_or_hangs(lines: list[str], path: str) -> None:
    is_ignored([IgnoreFile(lines)], path, path.rpartition("/")[2], False)


def test_a_hostile_pattern_takes_no_time() -> None:
    file = IgnoreFile(["*a" * 200 + "b", "**/" * 100 + "b"])
    assert file.verdict("a" * 250, "a" * 250, False) is None
