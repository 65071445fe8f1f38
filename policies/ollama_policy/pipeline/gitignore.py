"""Which paths a `.gitignore` leaves out, as gitignore(5) says: negation, anchors, `**`, classes, folders only."""

# pathlib costs the start 5 ms, and a long walk much more.
# ruff: noqa: PTH117

import os
import re
from collections.abc import Callable, Iterable, Iterator

_LONGEST_PATTERN = 1000
_FOLDERS = "(?:[^/]+/)*"  # any number of them


class IgnoreFile:
    """The patterns of one file. `relative` makes of a path one that is relative to the file's folder."""

    def __init__(self, lines: Iterable[str], relative: Callable[[str], str] = str) -> None:
        self._relative = relative
        self._patterns = [pattern for line in lines if (pattern := _Pattern.parse(line)) is not None]
        # Nearly every path matches nothing: one expression says so at once.
        self._any_name = _union(pattern.expression for pattern in self._patterns if not pattern.is_anchored)
        self._any_path = _union(pattern.expression for pattern in self._patterns if pattern.is_anchored)

    def verdict(self, path: str, name: str, is_folder: bool) -> bool | None:
        """True: left out; False: taken in again; None: not mentioned. `name` is the path's last part."""
        relative = self._relative(path) if self._any_path else ""
        if not (self._any_name and self._any_name.fullmatch(name)) and not (
            self._any_path and self._any_path.fullmatch(relative)
        ):
            return None
        for pattern in reversed(self._patterns):
            if pattern.for_folders and not is_folder:
                continue
            if re.fullmatch(pattern.expression, relative if pattern.is_anchored else name):
                return not pattern.is_negated
        return None


def is_ignored(files: Iterable[IgnoreFile], path: str, name: str, is_folder: bool) -> bool:
    """What the nearest file that mentions the path says; `files` are in order, the nearest last."""
    for file in reversed(list(files)):
        verdict = file.verdict(path, name, is_folder)
        if verdict is not None:
            return verdict
    return False


def relative_to(folder: str) -> Callable[[str], str]:
    """What makes paths that are relative to the working folder relative to another one."""
    here = os.path.relpath(os.curdir, folder).replace(os.sep, "/")

    def relative(path: str) -> str:
        if here.startswith("..") or os.path.isabs(path) or path.startswith("../"):
            return os.path.relpath(path, folder).replace(os.sep, "/")
        return path if here == os.curdir else f"{here}/{path}"

    return relative


class _Pattern:
    def __init__(self, expression: str, is_negated: bool, is_anchored: bool, for_folders: bool) -> None:
        self.expression = expression
        self.is_negated = is_negated
        self.is_anchored = is_anchored
        self.for_folders = for_folders

    @classmethod
    def parse(cls, line: str) -> "_Pattern | None":
        line = re.sub(r"(?<!\\) +$", "", line.rstrip("\r\n"))
        if not line or line.startswith("#") or len(line) > _LONGEST_PATTERN:
            return None
        is_negated = line.startswith("!")
        line = line.removeprefix("!")
        for_folders = line.endswith("/")
        line = line.rstrip("/") if for_folders else line
        is_anchored = "/" in line
        line = line.removeprefix("/")
        if not line:
            return None
        try:
            expression = _expression(line)
            re.compile(expression)
        except re.error:  # such as the class [z-a], which matches nothing for git either
            return None
        return cls(expression, is_negated, is_anchored, for_folders)


def _union(expressions: Iterable[str]) -> "re.Pattern[str] | None":
    either = "|".join(f"(?:{expression})" for expression in expressions)
    return re.compile(either, re.DOTALL) if either else None


def _expression(pattern: str) -> str:
    """The regular expression of a pattern without its marks.

    What stands between two `**` is matched once, at the first folder where it can be: no backtracking, and nothing is
    lost, for the `**` behind it takes whatever a later match would have taken.
    """
    segments = pattern.split("/")
    if len(segments) == 1:
        return _segment(pattern)
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            runs.append([])
        else:
            runs[-1].append(_segment(segment))
    first, *others = runs
    if not others:
        return "/".join(first)
    *between, last = others
    folders = "".join(f"{one}/" for one in first)
    middle = "".join(f"(?>{_FOLDERS}?{'/'.join(run)}/)" for run in between if run)
    return folders + middle + (f"{_FOLDERS}{'/'.join(last)}" if last else ".+")


def _segment(segment: str) -> str:
    """A part between slashes. What stands between two stars is matched once, as early as it can be: no backtracking."""
    pieces: list[str] = [""]
    for part in _tokens(segment):
        if part == "*":
            pieces.append("")
        else:
            pieces[-1] += part
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"


def _tokens(segment: str) -> Iterator[str]:
    at = 0
    while at < len(segment):
        character = segment[at]
        at += 1
        if character == "*":
            yield "*"
        elif character == "?":
            yield "[^/]"
        elif character == "\\" and at < len(segment):
            yield re.escape(segment[at])
            at += 1
        elif character == "[" and (end := _class_end(segment, at)):
            inner = segment[at:end]
            is_negated = inner[0] in "!^"
            inner = (inner[1:] if is_negated else inner).replace("[", "\\[")
            for reserved in "&|~-":  # Python warns of them in twos, and may give them a meaning one day
                inner = inner.replace(reserved * 2, f"{reserved}\\{reserved}")
            yield f"(?!/)[{'^' if is_negated else ''}{inner}]"
            at = end + 1
        else:
            yield re.escape(character)


def _class_end(segment: str, at: int) -> int:
    """Where the class that begins at `at` is closed; 0 where it is not. A bracket in the first place is a member."""
    first = at + 1 if segment[at : at + 1] in ("!", "^") else at
    return max(segment.find("]", first + 1), 0)
