"""Which of a finding's fixes are offered, and which of them `--fix` writes. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ollama_policy.model.rule import Finding, Fix, Target
from ollama_policy.model.settings import Edit, Kind, Span, Subject
from ollama_policy.pipeline.pins import refused


def offered(
    findings: Sequence[Finding], subjects: Sequence[Subject], target: Target, chosen: Mapping[str, str]
) -> list[Finding]:
    """The findings with the fixes that do something and that an apply would take.

    Of a rule that has several cures the chosen one is the safe one, by the rule's id; where none is chosen, the first
    that is offered, unless its rule offers it as unsafe. `chosen` is as `Configuration.cures`.
    """
    places = {_place(fix.pins) for one in findings for fix in one.fixes if fix.pins is not None}
    without = _without(places, subjects, target) if places else {}
    return [_with_offers(one, without, chosen.get(one.rule.id)) if one.fixes else one for one in findings]


_Place = tuple[str, Span, str]


def _place(subject: Subject) -> _Place:
    """Where the block stands: all instances of one block are pinned by one edit."""
    return subject.file.path, subject.span, subject.address if subject.span == Span(0, 0) else ""


def _without(places: Collection[_Place], subjects: Sequence[Subject], target: Target) -> dict[_Place, str]:
    """The places that are not to be pinned, and why."""
    wanted = [one for one in subjects if one.kind is Kind.MODEL and _place(one) in places]
    reasons = refused(wanted, subjects, target)
    return {_place(one): reasons[id(one)] for one in wanted if id(one) in reasons}


def _with_offers(finding: Finding, without: Mapping[_Place, str], chosen: str | None) -> Finding:
    fixes = [fix for fix in finding.fixes if changes_something(fix)]
    reasons = {id(fix): without[_place(fix.pins)] for fix in fixes if fix.pins and _place(fix.pins) in without}
    if reasons:
        why_not = "; ".join(f"{fix.cure} is not offered: {reasons[id(fix)]}" for fix in fixes if id(fix) in reasons)
        others = [fix for fix in fixes if id(fix) not in reasons]
        fixes = [fix._replace(is_safe=True, effect=f"{fix.effect}; {why_not}") for fix in others]
    if finding.rule.cures:
        fixes = [*_ordered(fixes, chosen)]
    return finding._replace(fixes=tuple(fixes))


def _ordered(fixes: Sequence[Fix], chosen: str | None) -> Iterable[Fix]:
    first = sorted(fixes, key=lambda fix: fix.cure != chosen)
    for index, fix in enumerate(first):
        yield fix._replace(is_safe=fix.is_safe and index == 0 if chosen is None else fix.cure == chosen)


def changes_something(fix: Fix) -> bool:
    """Whether it changes a byte of a file."""
    return not fix.edits or any(map(_changes, fix.edits))


def _changes(edit: Edit) -> bool:
    return edit.file.data[edit.span.start : edit.span.end] != edit.text.encode("utf-8")
