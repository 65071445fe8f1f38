"""What a service knows a finding by from one run to the next: not its line, so that edits above leave it as it is."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from ollama_policy.model.result import Key, Reported, key_of
from ollama_policy.text.escaping import valid_unicode


def with_fingerprints(findings: Iterable[Reported]) -> Iterator[tuple[Reported, str]]:
    """Each finding with its fingerprint; those that are alike are told apart by their order."""
    seen: Counter[Key] = Counter()
    for reported in findings:
        key = key_of(reported.finding)
        seen[key] += 1
        yield reported, fingerprint_of(*key, str(seen[key]))


def fingerprint_of(*parts: str) -> str:
    return sha256(valid_unicode("\0".join(parts)).encode()).hexdigest()
