"""What is found, what is opened, and what is said of the rest."""

import os
import socket
from pathlib import Path

import pytest

from ollama_policy.model.settings import SourceFile
from ollama_policy.pipeline.discover import Workspace
from ollama_policy.pipeline.kinds_of_files import sources_of
from ollama_policy.pipeline.regular_files import MAX_BYTES
from ollama_policy.rules import RULES
from ollama_policy.sources import SOURCES, lowered_if_mentioned
from ollama_policy.sources.shell.scripts import Shell
from tests.policies.conftest import AUTOMATIC


def read(*given: str) -> tuple[list[str], dict[str, str]]:
    """The files that some source may read, and what is said of those that could not be."""
    workspace = Workspace(given)
    candidates = [found for entry in workspace.entries if (found := workspace.candidate(entry)) is not None]
    return [found.file.path for found in candidates], {one.path: one.message for one in workspace.problems}


def record_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened from now on."""
    opened: list[str] = []
    real = os.open

    def record(path: str, *rest: int) -> int:
        opened.append(path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", record)
    return opened


def write(path: Path, data: bytes | str = AUTOMATIC) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("main.tf", "terraform.hcl"),
        ("main.tf.json", "terraform.hcl"),
        ("plan.json", "terraform.plan"),
        ("__main__.py", "pulumi.python"),
        ("Pulumi.yaml", "pulumi.yaml_program"),
        ("compose.yml", "compose.services"),
        ("values.yaml", "kubernetes.helm"),
        ("configuration.nix", "nix"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.gpu", "dockerfile"),
        ("prod.dockerfile", "dockerfile"),
        ("Containerfile", "dockerfile"),
        ("Modelfile", "modelfile"),
        ("chat.modelfile", "modelfile"),
        ("ollama.service", "systemd"),
        ("override.conf", "systemd"),
        ("ollama.service.j2", "systemd"),
        ("ollama.container", "systemd"),
        (".env", "common.env_files"),
        (".env.ollama", "common.env_files"),
        ("ollama.env", "common.env_files"),
        ("ollama", "common.env_files"),
        ("start.sh", "shell.scripts"),
        ("start", "shell.scripts"),
        (".bashrc", "shell.scripts"),
        ("models.toml", "plain"),
    ],
)
def test_a_name_says_whose_a_file_may_be(name: str, source: str) -> None:
    assert source in [registered.module for registered in sources_of(name)]


@pytest.mark.parametrize("name", ["a.md", "a.png", "a.go", "a.tf.bak", "a.lock", "tf"])
def test_other_files_are_not_opened(name: str) -> None:
    assert [registered.module for registered in sources_of(name)] in ([], ["shell.scripts"])


def test_a_file_that_mentions_nothing_is_nobodys(tree: Path) -> None:
    write(tree / "a.tf", 'resource "aws_instance" "a" {}\n')
    write(tree / "b.tf", "# OLLAMA\n")
    assert read(".") == (["b.tf"], {})


def test_a_folders_name_is_a_mention(tree: Path) -> None:
    write(tree / "ollama.service.d/override.conf", '[Service]\nEnvironment="KEEP=1"\n')
    write(tree / "other.service.d/override.conf", '[Service]\nEnvironment="KEEP=1"\n')
    assert read(".")[0] == ["ollama.service.d/override.conf"]


def test_folders_of_tools_are_left_out(tree: Path) -> None:
    for folder in (".git", "node_modules", ".terraform", ".venv", "a/.terraform/modules"):
        write(tree / folder / "x.tf")
    write(tree / ".github/x.yaml", "ollama")
    assert [entry.path for entry in Workspace(["."]).entries] == [".github/x.yaml"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["."], ["a.tf", "sub/b.tf"]),
        (["./"], ["a.tf", "sub/b.tf"]),
        (["sub"], ["sub/b.tf"]),
        (["./sub/"], ["sub/b.tf"]),
        (["sub", ".", "a.tf"], ["a.tf", "sub/b.tf"]),
        (["{tree}/sub"], ["sub/b.tf"]),
        (["../tree/sub"], ["../tree/sub/b.tf"]),
    ],
)
def test_paths_are_as_they_were_given(tree: Path, given: list[str], shown: list[str]) -> None:
    write(tree / "a.tf")
    write(tree / "sub/b.tf")
    assert read(*(path.format(tree=tree) for path in given))[0] == shown


def test_a_file_elsewhere_keeps_its_whole_path(tree: Path) -> None:
    file = write(tree.parent / "elsewhere/a.tf")
    assert read(str(file))[0] == [file.as_posix()]


# Links.


def test_a_link_in_the_tree_is_read_once(tree: Path) -> None:
    write(tree / "real/a.tf")
    (tree / "b.tf").symlink_to("real/a.tf")
    (tree / "folder").symlink_to("real")
    workspace = Workspace(["."])
    assert [entry.path for entry in workspace.entries] == ["real/a.tf"]
    assert workspace.notes == ["folder: a link to a folder, not followed"]


def test_a_link_to_what_has_another_name_is_read(tree: Path) -> None:
    write(tree / "a.txt")
    (tree / "a.tf").symlink_to("a.txt")
    assert read(".") == (["a.tf"], {})


def test_links_that_loop_or_leave_the_tree_are_not_followed(tree: Path) -> None:
    write(tree.parent / "outside/secret.tf")
    write(tree / "a.tf")
    (tree / "loop.tf").symlink_to("loop.tf")
    (tree / "broken.tf").symlink_to("nothing")
    (tree / "out.tf").symlink_to("../outside/secret.tf")
    (tree / "parent").symlink_to("..")
    (tree / "self").symlink_to(".")
    (tree / "loop.md").symlink_to("loop.md")
    read_files, problems = read(".")
    assert read_files == ["a.tf"]
    assert problems == {
        "loop.tf": "too many levels of symbolic links",
        "broken.tf": "no such file or directory",
        "out.tf": "a link out of the tree, not followed",
    }
    assert sorted(Workspace(["."]).notes) == [
        "loop.md: too many levels of symbolic links",
        "parent: a link to a folder, not followed",
        "self: a link to a folder, not followed",
    ]


# What is not opened, or not read.


def test_only_regular_files_are_opened(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("a.tf")
    os.mkfifo("a.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.tf")
        opened = record_opened(monkeypatch)
        assert read(".") == ([], {"a.tf": "it is a FIFO, expected a file", "s.tf": "it is a socket, expected a file"})
        assert read("a.txt") == ([], {"a.txt": "it is a FIFO, expected a file"})
        assert read("/dev/zero")[1] == {"/dev/zero": "it is a device, expected a file"}
    assert opened == []


def test_a_fifo_that_takes_a_files_place_does_not_hold_up_the_run(tree: Path) -> None:
    file = write(tree / "a.tf")
    workspace = Workspace(["."])
    file.unlink()
    os.mkfifo(file)
    assert workspace.candidate(workspace.entries[0]) is None
    assert [one.message for one in workspace.problems] == ["not a regular file"]


def test_what_may_not_be_read_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree / "a.tf")
    write(tree / "b.tf")
    (tree / "closed").mkdir()
    real_open, real_scandir = os.open, os.scandir

    def refuse_open(path: str, *rest: int) -> int:
        if path == "a.tf":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *rest)

    def refuse_scandir(path: str) -> object:
        if path == "closed":
            raise PermissionError(13, "Permission denied")
        return real_scandir(path)

    monkeypatch.setattr(os, "open", refuse_open)
    monkeypatch.setattr(os, "scandir", refuse_scandir)
    assert read(".") == (["b.tf"], {"a.tf": "permission denied", "closed": "permission denied"})


def test_a_path_that_is_not_there_is_said(tree: Path) -> None:
    assert read("nothing.tf") == ([], {"nothing.tf": "no such file or directory"})
    assert read("a\0b") == ([], {"a\0b": "embedded null byte"})


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tf", b"\0\1\2\3" * 10, "UTF-16 or binary, expected text in UTF-8"),
        ("a.tf", b"abcd\0", "binary, expected text in UTF-8"),
        ("a.tf", "ollama".encode("utf-16"), "UTF-16 or binary, expected text in UTF-8"),
        ("a.json", "ollama".encode("utf-16-le"), "UTF-16 or binary, expected text in UTF-8"),
        ("a.json", "ollama".encode("utf-16-be"), "UTF-16 or binary, expected text in UTF-8"),
        ("a.json", b"ollama\0", "binary, expected text in UTF-8"),
        ("a.json", "other".encode("utf-16"), None),
        ("a.json", b"other\0", None),
        ("a.json", b"", None),
        ("a.tf", b"", None),
        ("ollama", b"\x7fELF\0ollama", None),
    ],
)
def test_what_is_no_text_is_said_where_it_is_ours(tree: Path, name: str, data: bytes, message: str | None) -> None:
    write(tree / name, data)
    assert read(".") == ([], {name: message} if message else {})


def test_an_empty_file_that_a_person_names_is_said(tree: Path) -> None:
    write(tree / "a.tf", b"")
    assert read("a.tf") == ([], {"a.tf": "the file is empty, expected something to check"})


@pytest.mark.parametrize(
    ("name", "head", "is_said"),
    [("a.tf", b"", True), ("a.json", b"ollama", True), ("a.json", b"other", False)],
)
def test_a_file_of_100_mb_is_not_read(
    tree: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bytes, is_said: bool
) -> None:
    with write(tree / name, head).open("r+b") as stream:
        stream.truncate(100_000_000)
    assert read(".") == ([], {name: "larger than 10 MiB, expected a file that a person wrote"} if is_said else {})


def test_a_mention_on_the_edge_of_two_pieces_of_a_large_file_is_seen(tree: Path) -> None:
    with write(tree / "a.json", b" " * (1024 * 1024 - 3) + b"ollama").open("r+b") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert list(read(".")[1]) == ["a.json"]


def test_a_deep_tree_is_walked(tree: Path) -> None:
    depth = 300
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.tf").write_text(AUTOMATIC)
    os.chdir(tree)
    assert read(".")[0] == ["d/" * depth + "a.tf"]


def test_each_file_is_read_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tf", "b.tf", "c.tf"):
        write(tree / name)
    opened = record_opened(monkeypatch)
    workspace = Workspace(["."])
    candidates = [workspace.candidate(entry) for entry in workspace.entries]
    for candidate in candidates:
        assert candidate is not None
        assert workspace.folder(candidate.file, (".tf",))[0] is candidates[0].file  # type: ignore[union-attr]
        workspace.files((".tf",))
        workspace.sibling(candidate.file, "./b.tf")
    assert sorted(opened) == ["a.tf", "b.tf", "c.tf"]


# Looking around.


def test_a_source_sees_siblings_and_nothing_outside(tree: Path) -> None:
    write(tree / "infra/models.tf")
    write(tree / "infra/variables.tf", "variable {}")
    write(tree / "common.env", "A=1")
    write(tree.parent / "secret.env", "A=1")
    (tree / "infra/out.env").symlink_to("../../secret.env")
    os.mkfifo("infra/fifo.env")
    workspace = Workspace(["infra/models.tf"])
    file = SourceFile("infra/models.tf", b"")

    def sibling(path: str) -> str | None:
        found = workspace.sibling(file, path)
        return None if found is None else found.path

    assert [found.path for found in workspace.folder(file, (".tf",))] == ["infra/models.tf", "infra/variables.tf"]
    assert sibling("variables.tf") == "infra/variables.tf"
    assert sibling("../common.env") == "common.env"
    for outside in ("../../secret.env", "out.env", "fifo.env", "nothing", "", "a\0b", str(tree / "common.env"), ".."):
        assert sibling(outside) is None, outside


def test_a_given_folder_is_all_that_its_sources_see(tree: Path) -> None:
    write(tree / "infra/models.tf")
    write(tree / "common.env", "A=1")
    workspace = Workspace(["infra"])
    assert workspace.sibling(SourceFile("infra/models.tf", b""), "../common.env") is None
    assert [file.path for file in workspace.files((".tf", ".env"))] == ["infra/models.tf"]


def test_an_overlay_counts_in_place_of_the_disk(tree: Path) -> None:
    write(tree / "infra/variables.tf", "v")
    workspace = Workspace(["infra/new.tf"], overlay={"infra/new.tf": AUTOMATIC.encode()})
    candidate = workspace.candidate(workspace.entries[0])
    assert candidate is not None
    assert candidate.file.data == AUTOMATIC.encode()
    paths = [file.path for file in workspace.folder(candidate.file, (".tf",))]
    assert paths == ["infra/new.tf", "infra/variables.tf"]


def test_no_cheap_sign_hides_a_file_from_its_source() -> None:
    for rule in RULES:
        for example in (*rule.bad, *rule.good):
            data = example.text.replace("«", "").replace("»", "").encode()
            file = SourceFile(example.path, data)
            asked = sources_of(example.path.rpartition("/")[2])
            for registered in SOURCES:
                if registered.source.accepts(file):
                    assert registered in asked, (registered.module, example.path)
                    assert registered.may_hold(data.lower()), (registered.module, example.text)
                    assert lowered_if_mentioned(data) is not None, example.text


@pytest.mark.parametrize("body", ["{}", '{"keep_alive": 0}', '{"options": {"num_ctx": 64}}'])
@pytest.mark.parametrize("host", ["gpu:11434", "gpu", "ollama.lan"])
@pytest.mark.parametrize("script", ["{}", "ssh gpu bash -s <<'E'\n{}\nE", "cat > a.sh <<'E'\n{}\nE"])
def test_a_script_is_read_where_it_makes_a_call_of_ollama(tree: Path, body: str, host: str, script: str) -> None:
    path = write(tree / "ask.sh", script.replace("{}", f"curl http://{host}/api/chat -d '{body}'\n"))
    is_call = (body, host) != ("{}", "gpu")
    assert len(list(Shell().read(SourceFile("ask.sh", path.read_bytes()), Workspace([])))) == is_call
    assert read(".")[0] == ["ask.sh"] * is_call


def test_the_registry_names_sources_that_exist() -> None:
    for registered in SOURCES:
        assert callable(registered.source.accepts), registered.module
