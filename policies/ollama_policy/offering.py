"""Which of a finding's fixes are offered, and which of them `--fix` writes. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ollama_policy.pins import refused
from ollama_policy.rules.rule import Finding, Fix, Target
from ollama_policy.settings import Edit, Kind, Span, Subject


def offered(
    findings: Sequence[Finding], subjects: Sequence[Subject], target: Target, chosen: Mapping[str, str]
) -> list[Finding]:
    """The findings with the fixes that do something and that an apply would take.

    Of a rule that has several cures the chosen one is the safe one, by the rule's id; where none is chosen, the first
    that is offered. `chosen` is as `Configuration.cures`.
    """
    places = {_place(fix.pins) for one in findings for fix in one.fixes if fix.pins is not None}
    without = _without(places, subjects, target) if places else frozenset()
    return [_with_offers(one, without, chosen.get(one.rule.id)) if one.fixes else one for one in findings]


_Place = tuple[str, Span, str]


def _place(subject: Subject) -> _Place:
    """Where the block stands: all instances of one block are pinned by one edit."""
    return subject.file.path, subject.span, subject.address if subject.span == Span(0, 0) else ""


def _without(places: Collection[_Place], subjects: Sequence[Subject], target: Target) -> frozenset[_Place]:
    wanted = [one for one in subjects if one.kind is Kind.MODEL and _place(one) in places]
    ids = refused(wanted, subjects, target)
    return frozenset(_place(one) for one in wanted if id(one) in ids)


def _with_offers(finding: Finding, without: frozenset[_Place], chosen: str | None) -> Finding:
    fixes = [fix for fix in finding.fixes if changes_something(fix)]
    fixes = [fix for fix in fixes if fix.pins is None or _place(fix.pins) not in without]
    if finding.rule.cures:
        fixes = [*_ordered(fixes, chosen)]
    return finding._replace(fixes=tuple(fixes))


def _ordered(fixes: Sequence[Fix], chosen: str | None) -> Iterable[Fix]:
    first = sorted(fixes, key=lambda fix: fix.cure != chosen)
    for index, fix in enumerate(first):
        yield fix._replace(is_safe=index == 0 if chosen is None else fix.cure == chosen)


def changes_something(fix: Fix) -> bool:
    """Whether it changes a byte of a file."""
    return not fix.edits or any(map(_changes, fix.edits))


def _changes(edit: Edit) -> bool:
    return edit.file.data[edit.span.start : edit.span.end] != edit.text.encode("utf-8")
