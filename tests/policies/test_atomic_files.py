"""Whatever is written is there whole or not at all, where the person said, and nothing is left beside it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_provider.files import atomic
from ollama_provider.files.atomic import write_whole
from tests.policies.conftest import AUTOMATIC

pytestmark = pytest.mark.slow

_WRITERS = {
    "-o": ("check", "a.tf", "--format", "sarif", "-o"),
    "baseline": ("baseline",),
    "record": ("drift", "--host", "http://127.0.0.1:9", "--record"),
    "fit record": ("fit", "a.tf", "--host", "http://127.0.0.1:9", "--record"),
    "report": ("report", "a.tf", "--host", "http://127.0.0.1:9", "-o"),
}


def _ran(*arguments: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ollama_policy", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=before,
    )


def _arguments(writer: str, target: str) -> tuple[str, ...]:
    given = (*_WRITERS[writer], target)
    return (*given, "a.tf") if writer == "baseline" else given


@pytest.fixture(autouse=True)
def _model(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)


def _left(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.tmp")]


@pytest.mark.parametrize("writer", _WRITERS)
def test_no_writer_follows_a_link_of_the_tree(tree: Path, writer: str) -> None:
    (tree.parent / "precious").write_text("precious\n")
    (tree / "link").symlink_to("../precious")
    (tree.parent / "elsewhere").mkdir()
    (tree / "folder").symlink_to("../elsewhere")
    for target, said in (("link", "it is a link"), ("folder/new", "its folder folder is a link")):
        done = _ran(*_arguments(writer, target))
        assert done.returncode == 2
        assert f"cannot write {target}: {said}" in done.stderr.decode()
    assert (tree.parent / "precious").read_text() == "precious\n"
    assert (tree / "link").is_symlink()
    assert not list((tree.parent / "elsewhere").iterdir())


@pytest.mark.parametrize("writer", _WRITERS)
def test_a_full_disk_is_said_with_the_path(tree: Path, writer: str) -> None:
    (tree / "out").write_text("old")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    done = _ran(*_arguments(writer, "out"), before=limited)
    assert done.returncode == 2
    assert "cannot write out: File too large" in done.stderr.decode()
    assert (tree / "out").read_text() == "old"
    assert not _left(tree)


def test_a_fix_on_a_full_disk_says_what_is_written(tree: Path) -> None:
    (tree / "b.tf").write_text(AUTOMATIC + "# " + "x" * 5000 + "\n")

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    done = _ran("check", ".", "--fix", before=limited)
    assert done.returncode == 2
    assert "cannot write b.tf: File too large; fixed before it: a.tf" in done.stderr.decode()
    assert b'"automatic"' in (tree / "b.tf").read_bytes()
    assert not _left(tree)


def test_init_writes_through_no_link_and_what_it_writes_is_whole(tree: Path) -> None:
    (tree.parent / "elsewhere").mkdir()
    (tree / ".github").symlink_to("../elsewhere")
    done = _ran("init")
    assert done.returncode == 2
    assert "its folder .github is a link" in done.stderr.decode()
    assert not list((tree.parent / "elsewhere").iterdir())
    (tree / ".github").unlink()
    assert _ran("init").returncode == 0
    assert b"is there, and is left as it is" in _ran("init").stdout
    assert not _left(tree)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_the_temporary_file_is_never_open_to_more(tree: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    target = tree / "secret"
    target.write_text("old")
    target.chmod(mode)
    seen = []

    def fsync(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

    opened = os.open

    def open_(path: str, flags: int, permissions: int = 0o777, **others: int) -> int:
        if flags & os.O_CREAT:
            seen.append(permissions)
        return opened(path, flags, permissions, **others)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", open_)
    write_whole("secret", b"new")
    assert seen == [mode, mode]
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing(tree: Path, number: signal.Signals) -> None:
    program = (
        "import os, sys, time\n"
        "from ollama_provider.files import atomic\n"
        "def slow(descriptor):\n"
        "    print('writing', flush=True); time.sleep(0.5)\n"
        "os.fsync = slow\n"
        "atomic.write_whole('out', b'new')\n"
        "print('not reached', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert len(_left(tree)) == 1
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode in (-number, 1)
    assert rest == b""
    assert not _left(tree)
    assert (tree / "out").read_bytes() == b"new"


def test_a_leftover_of_another_run_is_in_nobodys_way(tree: Path) -> None:
    for pid in (os.getpid(), os.getpid() + 1):
        (tree / f".a.tf.{pid}.tmp").touch()
    assert _ran("check", "a.tf", "--fix").returncode == 0
    assert b'"manual"' in (tree / "a.tf").read_bytes()


@pytest.mark.parametrize("kind", ["FIFO", "socket", "folder"])
def test_what_is_no_file_is_not_written_to(tree: Path, kind: str) -> None:
    _make(tree / "out", kind)
    done = _ran("check", "a.tf", "-o", "out")
    assert done.returncode == 2
    assert f"cannot write out: it is a {kind}, expected a file or nothing" in done.stderr.decode()


def test_open_files_are_written_to(tree: Path) -> None:
    assert b"automatic-without-bound" in _ran("check", "a.tf", "-o", "/dev/stdout").stdout
    done = _ran("check", "a.tf", "-o", "/dev/full")
    assert done.returncode == 2
    assert b"cannot write /dev/full: No space left on device" in done.stderr


def _make(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)  # a path may be too long
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["FIFO", "socket"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "a.tf"),
        ("check", "a.tf", "--config", "ollama-policy.toml"),
        ("check", "a.tf", "--baseline", "ollama-policy.toml"),
        ("check", "ollama-policy.toml", "--config", "other.toml"),
        ("drift", "a.tf", "--config", "other.toml", "--from", "ollama-policy.toml"),
        ("drift", "--config", "other.toml", "--hosts-file", "ollama-policy.toml"),
        ("drift", "--config", "other.toml", "--host", "https://127.0.0.1:9", "--ca-file", "ollama-policy.toml"),
        ("fit", "a.tf", "--from", "ollama-policy.toml"),
        ("report", "--from", "ollama-policy.toml"),
        ("report", "--host", "http://127.0.0.1:9", "--bench", "ollama-policy.toml"),
    ],
    ids=" ".join,
)
def test_what_is_no_file_is_not_read(tree: Path, kind: str, arguments: tuple[str, ...]) -> None:
    _make(tree / "ollama-policy.toml", kind)
    (tree / "other.toml").touch()
    done = _ran(*arguments)
    assert done.returncode == 2
    said = (done.stdout + done.stderr).decode().lower()
    assert (
        "a fifo" in said
        or "expected a file with the certificates" in said
        or "no such device or address" in said
        or "regular file" in said
        or "a socket" in said
    )


def test_two_writers_at_once_leave_one_of_their_files(tree: Path) -> None:
    texts = [bytes([65 + at]) * 200_000 for at in range(6)]
    threads = [threading.Thread(target=write_whole, args=("out", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tree / "out").read_bytes() in texts
    assert not _left(tree)


def test_a_repository_elsewhere_is_no_more_trusted_than_this_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / ".git").mkdir(exist_ok=True)
    (tree.parent / "elsewhere").mkdir()
    (tree / "folder").symlink_to("../elsewhere")
    monkeypatch.chdir(tree.parent / "elsewhere")
    with pytest.raises(OSError, match="its folder folder is a link"):
        atomic.write_whole(str(tree / "folder/new"), b"")


@pytest.mark.parametrize("is_repository", [True, False])
def test_a_tree_that_is_named_from_beside_it_brings_no_link_that_is_followed(
    tree: Path, monkeypatch: pytest.MonkeyPatch, is_repository: bool
) -> None:
    other, beside, repository = (tree / name for name in ("other", "beside", "repository"))
    for folder in (other, beside, repository):
        folder.mkdir()
    if is_repository:
        (repository / ".git").mkdir()
        (other / ".git").mkdir()
    (other / "precious").write_text("precious")
    (repository / "out").symlink_to("../other")
    monkeypatch.chdir(beside)
    with pytest.raises(OSError, match="its folder out is a link"):
        atomic.write_whole(str(repository / "out/precious"), b"")
    assert (other / "precious").read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory")  # noqa: S108
def test_a_file_system_in_memory_is_one_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        (folder / "precious").write_text("precious")
        (folder / "report").symlink_to("precious")
        with pytest.raises(OSError, match="it is a link"):
            atomic.write_whole(str(folder / "report"), b"")
        assert (folder / "precious").read_text() == "precious"


def test_a_file_of_an_owner_that_is_not_mapped_is_written(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unmapped(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fchown", unmapped)
    (tree / "file").write_text("old")
    atomic.write_whole(str(tree / "file"), b"new")
    assert (tree / "file").read_text() == "new"
