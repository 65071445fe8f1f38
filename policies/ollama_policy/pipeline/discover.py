"""Finds and reads the files to be checked: what was given, without what `.gitignore` leaves out.

Paths are as a person gave them: relative to the working folder where they are under it. Each of them opens its file.
A link is never followed out of what was given, and nothing but a regular file is ever opened.
"""

# pathlib costs the start 5 ms, and a long walk much more.
# ruff: noqa: PTH109, PTH110, PTH112, PTH113, PTH116, PTH117, PTH118, PTH119, PTH120, PTH123, PTH202, PTH208

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ollama_policy.model.result import Unreadable
from ollama_policy.model.settings import SourceFile
from ollama_policy.pipeline.gitignore import IgnoreFile, is_ignored, relative_to
from ollama_policy.pipeline.kinds_of_files import by_suffix, is_about, is_other, mentions, sources_of
from ollama_policy.pipeline.regular_files import MAX_BYTES, read_regular
from ollama_policy.pipeline.second_process import SecondProcess, is_worth_it
from ollama_policy.sources import OWN_NAME, Registered, lowered_if_mentioned

_NOT_FILES = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_LOOKED_AT = (".tf", ".tofu")  # a module's files are read with each other
SKIPPED_FOLDERS = frozenset(
    ".git .hg .svn .terraform .terragrunt-cache .venv venv node_modules __pycache__ .tox .mypy_cache .direnv".split()
)


class Entry:
    """A file that may hold settings. `is_given`: a person named it, so whatever is wrong with it is worth saying."""

    __slots__ = ("is_given", "name", "path")

    def __init__(self, path: str, name: str, is_given: bool = False) -> None:
        self.path = path
        self.name = name
        self.is_given = is_given

    @property
    def is_own(self) -> bool:
        """Whether its name alone says that it is for this checker."""
        return self.is_given or OWN_NAME.fullmatch(self.name.lower()) is not None


class Candidate(NamedTuple):
    """A file that mentions Ollama, and the sources that may read it."""

    file: SourceFile
    sources: tuple[Registered, ...]


class Workspace:
    """The tree that is checked: its entries, and every file of it that anybody asked for, read once.

    `overlay` holds contents that count in place of what is on the disk (standard input, fixes not yet written).
    """

    def __init__(
        self,
        given: Sequence[str],
        *,
        exclude: Sequence[IgnoreFile] = (),
        overlay: Mapping[str, bytes] | None = None,
    ) -> None:
        self.entries: list[Entry] = []
        self.problems: list[Unreadable] = []
        self.notes: list[str] = []
        self.searched = 0
        self._overlay = dict(overlay or {})
        self._exclude = tuple(exclude)
        self._files: dict[str, SourceFile | None] = {}
        self._folders: dict[tuple[str, tuple[str, ...]], list[SourceFile]] = {}
        self._room = MAX_BYTES
        self._roots: list[tuple[str, str]] = []
        self._plain: set[str] = set()  # paths that are known to lead to a file of the tree
        self._discover([normal(path) for path in given])

    # What is there.

    def _discover(self, given: Sequence[str]) -> None:
        found: dict[str, Entry] = {}
        links: list[Entry] = []
        for path in dict.fromkeys(given):
            if path in self._overlay or not os.path.isdir(path):
                self._add_root(os.curdir if is_under(path, os.curdir) else os.path.dirname(path) or os.curdir)
                entry = Entry(path, os.path.basename(path), is_given=True)
                if path in self._overlay or self._is_regular(entry):
                    found[path] = entry
            else:
                self._add_root(path)
                for entry, is_link in self._walk(path):
                    if is_link:
                        links.append(entry)
                    else:
                        found.setdefault(entry.path, entry)
        self._plain = set(found)
        real = {os.path.realpath(path) for path in found} if links else set()
        for entry in links:
            target = os.path.realpath(entry.path)
            if target not in real:
                real.add(target)
                found[entry.path] = entry
        self.entries = sorted(found.values(), key=lambda entry: entry.path)

    def _add_root(self, folder: str) -> None:
        root = (os.path.normpath(folder), os.path.realpath(folder))
        if root not in self._roots:
            self._roots.append(root)

    def _is_regular(self, entry: Entry) -> bool:
        """Whether a given path is a file that may be opened; says why where it is not."""
        try:
            mode = os.stat(entry.path).st_mode
        except (OSError, ValueError) as error:
            self._refuse(entry, _reason(error))
            return False
        if not stat.S_ISREG(mode):
            self._refuse(entry, f"it is {_NOT_FILES.get(stat.S_IFMT(mode), 'no file')}, expected a file")
            return False
        return True

    def _walk(self, root: str) -> Iterator[tuple[Entry, bool]]:
        """The files under a folder whose names may be ours, and whether each is a link (that stays in the tree)."""
        stack: list[tuple[str, tuple[IgnoreFile, ...]]] = [(root, (*_above(root), *self._exclude))]
        suffixes = by_suffix()
        while stack:
            folder, ignores = stack.pop()
            prefix = "" if folder == os.curdir else folder.rstrip("/") + "/"
            try:
                with os.scandir(folder) as listing:
                    children = list(listing)
            except OSError as error:
                self.problems.append(Unreadable(folder, _reason(error)))
                continue
            if any(child.name == ".gitignore" for child in children):
                ignores = (*ignores, *_ignore_file(prefix + ".gitignore", _without(prefix)))
            for child in children:
                name, path = child.name, prefix + child.name
                if child.is_file(follow_symlinks=False):  # nearly all are, and most by their suffix alone
                    dot = name.rfind(".")
                    if ((dot > 0 and name[dot:] in suffixes) or sources_of(name)) and not (
                        ignores and is_ignored(ignores, path, name, False)
                    ):
                        yield Entry(path, name), False
                    continue
                is_link = child.is_symlink()
                if child.is_dir(follow_symlinks=False):
                    if name not in SKIPPED_FOLDERS and not (ignores and is_ignored(ignores, path, name, True)):
                        stack.append((path, ignores))
                    continue
                if (is_link or sources_of(name)) and not (ignores and is_ignored(ignores, path, name, False)):
                    entry = Entry(path, name)
                    if not is_link:
                        self._is_regular(entry)  # which it is not
                    elif self._may_follow(entry) and sources_of(name):
                        yield entry, True

    def _may_follow(self, link: Entry) -> bool:
        """Whether a link leads to a file of the tree; the folders of the tree are walked under their own names."""
        try:
            mode = os.stat(link.path).st_mode
        except OSError as error:
            problem = _reason(error)
        else:
            if stat.S_ISDIR(mode):
                self.notes.append(f"{link.path}: a link to a folder, not followed")
                return False
            if self._holds(os.path.realpath(link.path)):
                return self._is_regular(link) if not stat.S_ISREG(mode) else True
            problem = "a link out of the tree, not followed"
        if sources_of(link.name):
            self._refuse(link, problem)
        else:
            self.notes.append(f"{link.path}: {problem}")
        return False

    def _holds(self, real: str) -> bool:
        return any(is_under(real, root) for _, root in self._roots)

    def _refuse(self, entry: Entry, message: str) -> None:
        self.problems.append(Unreadable(entry.path, message))

    # What is in it.

    def candidate(self, entry: Entry) -> Candidate | None:
        """The file, where it mentions Ollama; None where it does not, or where it cannot be read (a problem then)."""
        self.searched += 1
        file = self._files.get(entry.path)  # there already, where another file's source looked at it
        try:
            data = self._bytes(entry.path) if file is None else file.data
        except (OSError, ValueError) as error:
            self._refuse(entry, _reason(error))
            return None
        if data is None:
            self._too_large(entry)
            return None
        if not data:
            if entry.is_given:
                self._refuse(entry, "the file is empty, expected something to check")
            return None
        if "." not in entry.name and data[:2] != b"#!" and not entry.is_own and "ollama" not in entry.path.lower():
            self.searched -= 1  # a file without a suffix and a name of its own is ours only as a script
            return None
        lowered = lowered_if_mentioned(data)
        if lowered is None and ("llama" in entry.path or "LLAMA" in entry.path) and is_about(entry.path):
            lowered = data.lower()
        if b"\0" in data:
            self._not_text(entry, data, lowered)
            return None
        if lowered is None:
            self._keep(entry.path, data)
            return None
        sources = tuple(source for source in sources_of(entry.name) if source.may_hold(lowered))
        if not sources:
            return None
        file = self._files[entry.path] = file or SourceFile(entry.path, data)
        file.is_given = entry.is_given
        return Candidate(file, sources)

    def second_core(self) -> SecondProcess | None:
        """A second process that looks through half of a large tree, where nothing but the disk has its contents."""
        if self._overlay or not is_worth_it(len(self.entries)):
            return None
        return SecondProcess([entry.path for entry in self.entries], is_other)

    def _keep(self, path: str, data: bytes) -> None:
        """Keeps what a source may want to look at later, such as a variable's default, as far as there is room."""
        if path.endswith(_LOOKED_AT) and len(data) < self._room and path not in self._files:
            self._room -= len(data)
            self._files[path] = SourceFile(path, data)

    def _too_large(self, entry: Entry) -> None:
        if entry.is_own or mentions(entry.path):
            self._refuse(entry, f"larger than {MAX_BYTES // 1024**2} MiB, expected a file that a person wrote")

    def _not_text(self, entry: Entry, data: bytes, lowered: bytes | None) -> None:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:1] == b"\0" or data[1:2] == b"\0":
            if entry.is_own or lowered_if_mentioned(data.replace(b"\0", b"")):
                self._refuse(entry, "UTF-16 or binary, expected text in UTF-8")
        elif entry.is_own or (lowered is not None and "." in entry.name):  # a program may be called ollama
            self._refuse(entry, "binary, expected text in UTF-8")

    def _bytes(self, path: str) -> bytes | None:
        """As `read_regular`, but for the overlay."""
        return self._overlay[path] if path in self._overlay else read_regular(path)

    # Looking around, for sources.

    def sibling(self, file: SourceFile, relative: str) -> SourceFile | None:
        """The file at a path relative to another's folder, where it is in the tree."""
        if not relative or "\0" in relative or os.path.isabs(relative):
            return None
        return self._file(normal(os.path.join(os.path.dirname(file.path), relative)))

    def folder(self, file: SourceFile, suffixes: tuple[str, ...]) -> list[SourceFile]:
        """All files in another's folder with one of the suffixes, itself included, sorted by path."""
        folder = os.path.dirname(file.path)
        key = (folder, suffixes)
        if key not in self._folders:
            try:
                names = set(os.listdir(folder or os.curdir))
            except OSError:
                names = set()
            names |= {os.path.basename(path) for path in self._overlay if os.path.dirname(path) == folder}
            paths = sorted(os.path.join(folder, name) for name in names if name.endswith(suffixes))
            self._folders[key] = [found for path in paths if (found := self._file(path)) is not None]
        return self._folders[key]

    def files(self, suffixes: tuple[str, ...]) -> list[SourceFile]:
        """All files of the tree with one of the suffixes, sorted by path."""
        key = ("//", suffixes)
        if key not in self._folders:
            paths = [entry.path for entry in self.entries if entry.name.endswith(suffixes)]
            self._folders[key] = [found for path in paths if (found := self._file(path)) is not None]
        return self._folders[key]

    def _file(self, path: str) -> SourceFile | None:
        if path not in self._files:
            self._files[path] = self._open(path)
        return self._files[path]

    def _open(self, path: str) -> SourceFile | None:
        if path not in self._overlay and path not in self._plain and not self._holds(os.path.realpath(path)):
            return None
        try:
            data = self._bytes(path)
        except (OSError, ValueError):
            return None
        return None if data is None else SourceFile(path, data)


def normal(path: str) -> str:
    """A path in the form that is shown: POSIX, relative where it is under the working folder."""
    path = os.path.normpath(path)
    if os.path.isabs(path) and is_under(path, os.getcwd()):
        path = os.path.relpath(path)
    return path.replace(os.sep, "/")


def is_under(path: str, folder: str) -> bool:
    """Whether a path, in the form that is shown, is in a folder or is it."""
    if folder == os.curdir:
        return not os.path.isabs(path) and path != os.pardir and not path.startswith("../")
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or type(error).__name__).lower()


def _without(prefix: str) -> Callable[[str], str]:
    return lambda path: path[len(prefix) :]


def _ignore_file(path: str, relative: Callable[[str], str]) -> Iterator[IgnoreFile]:
    try:
        if os.path.isfile(path) and os.path.getsize(path) <= MAX_BYTES:
            with open(path, encoding="utf-8", errors="surrogateescape") as lines:
                yield IgnoreFile(lines, relative)
    except OSError:
        return


def _above(root: str) -> list[IgnoreFile]:
    """The ignore files over a folder, up to the top of its repository, the nearest last. Empty outside of one."""
    found: list[IgnoreFile] = []
    folder = os.path.realpath(root)
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return []
        folder = parent
        found[:0] = _ignore_file(os.path.join(folder, ".gitignore"), relative_to(folder))
    return found
