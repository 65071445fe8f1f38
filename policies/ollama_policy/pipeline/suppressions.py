"""Comments that accept a finding: `# ollama-policy: ignore[OLL001] until=2027-01-31 the reason`.

In the comments of any format, on the finding's line or alone on the line above it. A reason is required; one that has
expired, or that nothing needs, is itself a finding.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from ollama_policy.model.rule import Finding, Rule
from ollama_policy.model.settings import SourceFile, Span
from ollama_policy.rules.checker_comments import ExpiredSuppression, InvalidSuppression, UnusedSuppression
from ollama_policy.text.spelling import suggestion

_MARKER = b"ollama-policy:"
# The opening of a comment, what it says, and how it may be closed. No two parts can match the same text.
_OPENING = re.compile(r"(?:#+|//+|--|;+|<!--|/\*+|\{#|\{\{-?\s{0,9}/\*)\s{0,9}$")
_COMMENT = re.compile(r"ollama-policy:\s{0,9}ignore\[([^\]\r\n]{0,400})\]([^\r\n]{0,1000})")
_CLOSING = re.compile(r"\s{0,9}(?:-->|\*/(?:\s{0,9}-?\}\})?|#\})\s{0,99}$")
_UNTIL = re.compile(r"until=(\S*)")


@dataclass(slots=True)
class Suppression:
    """One comment. `line` is the line that it is for. A `problem` keeps it from counting."""

    ids: tuple[str, ...]
    reason: str
    until: date | None
    file: SourceFile
    span: Span
    line: int
    problem: str = ""
    hint: str = ""
    is_used: bool = False

    def is_expired(self, today: date) -> bool:
        return self.until is not None and self.until < today

    def covers(self, ids: Collection[str]) -> bool:
        """Whether it is for one of these rules."""
        return not self.problem and not set(ids).isdisjoint(self.ids)

    def finding(self, today: date) -> Finding | None:
        """What is wrong with the comment itself, once all findings had their chance to use it."""
        rule: type[Rule]
        if self.problem:
            rule, message = InvalidSuppression, self.problem
        elif self.is_expired(today):
            rule, message = ExpiredSuppression, f"it held until {self.until}"
        elif not self.is_used:
            rule, message = UnusedSuppression, f"{', '.join(self.ids)} is not found here"
        else:
            return None
        return Finding(rule, message, self.file, self.span, "", advice=self.hint or rule.fix, value=",".join(self.ids))


def suppressions_in(file: SourceFile, known: Collection[str]) -> list[Suppression]:
    """The comments of a file, in order; `known` are the ids of all rules."""
    all_found: list[Suppression] = []
    at = file.data.find(_MARKER)
    pending: list[Suppression] = []  # alone on their lines, for the first line that follows them
    following = 0  # that line
    while at >= 0:
        line = file.position(at).line
        start = file.data.rfind(b"\n", 0, at) + 1
        end = file.data.find(b"\n", at)
        end = len(file.data) if end < 0 else end
        head = file.data[start:at].decode("utf-8", "replace").removeprefix("\ufeff")
        tail = file.data[at : min(end, at + 4 * 1500)].decode("utf-8", "replace").rstrip("\r")
        opening, match = _OPENING.search(head[-40:]), _COMMENT.match(tail)
        if opening and match:
            is_alone = not head[: len(head) - len(opening.group())].strip()
            comment = _CLOSING.sub("", match.group()).rstrip()
            found = _parse(match, file, Span(at, at + len(comment.encode())), line, known)
            if line != following or not is_alone:
                _aim(pending, following)
                pending = []
            if is_alone:
                pending.append(found)
                following = line + 1
            all_found.append(found)
        at = file.data.find(_MARKER, end)
    _aim(pending, following)
    return all_found


def _aim(suppressions: list[Suppression], line: int) -> None:
    for one in suppressions:
        one.line = line


def _parse(match: re.Match[str], file: SourceFile, span: Span, line: int, known: Collection[str]) -> Suppression:
    ids = tuple(part.strip().upper() for part in match.group(1).split(",") if part.strip())
    text = _CLOSING.sub("", match.group(2)).strip()
    until, problem, hint = None, "", ""
    if expiry := _UNTIL.match(text):
        text = text[expiry.end() :].strip()
        try:
            until = date.fromisoformat(expiry.group(1))
        except ValueError:
            problem = f"until={expiry.group(1)} is not a date, expected such as until=2027-01-31"
    unknown = next((one for one in ids if one not in known), None)
    if not ids:
        problem = "it names no rule"
    elif unknown is not None:
        problem, hint = f"there is no rule {unknown}", suggestion(unknown, known)
    elif not problem and not text:
        problem = "it gives no reason"
    return Suppression(ids, text, until, file, span, line, problem, hint)
