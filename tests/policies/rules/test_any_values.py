"""No rule raises, whatever the values are; and what is not decided is never judged."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.model.declaration_table import PROPERTIES
from ollama_policy.model.rule import Target
from ollama_policy.model.settings import Kind, Style, Subject, Unknown
from ollama_policy.rules import RULES
from ollama_provider.ollama.settings.variables import NEVER_VARIABLES, VARIABLES
from tests.policies.rules.subjects import UNKNOWN, judged, subject

_TEXTS = st.text(max_size=8) | st.sampled_from(
    "5m -1 1d automatic manual llama3 llama3:70b a/b:c 0 off q8_0 8192 1GB ollama/ollama:0.6.5 /api/chat /v1/x".split()
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.just(UNKNOWN)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2), max_leaves=4
)
_KEYS = {
    Kind.MODEL: [*PROPERTIES, "other", "provider"],
    Kind.SERVER: [*VARIABLES, *NEVER_VARIABLES, "image", "version", "memory_limit", "gpu_count", "OLLAMA_KEEP_ALIV"],
    Kind.REQUEST: ["endpoint", "model", "keep_alive", "options", "options.num_ctx", "options.num_gpu"],
}


def _subjects(kind: Kind) -> st.SearchStrategy[Subject]:
    return st.builds(
        lambda values, style, unknown: subject(kind, values, style=style, unknown=unknown),
        st.dictionaries(st.sampled_from(_KEYS[kind]), _VALUES, max_size=5),
        st.sampled_from(Style),
        st.none() | st.just(UNKNOWN),
    )


_TARGETS = st.builds(
    Target,
    st.none() | st.tuples(st.just(0), st.integers(0, 40), st.integers(0, 20)),
    st.none() | st.integers(0, 2**40),
    st.none() | st.integers(0, 2**40),
    snapshot=st.none(),
    models=st.none(),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(Kind).flatmap(_subjects), max_size=4), _TARGETS)
def test_rules_survive_and_stay_in_the_file(subjects: list[Subject], target: Target) -> None:
    for rule in RULES:
        for finding in judged(rule, subjects, target):
            assert 0 <= finding.span.start <= finding.span.end <= len(finding.file.data)
            assert finding.message
            assert all(edit.span.end <= len(edit.file.data) for fix in finding.fixes for edit in fix.edits)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_nobody_can_know_is_not_judged(data: Any) -> None:
    kind = data.draw(st.sampled_from(Kind))
    keys = data.draw(st.lists(st.sampled_from(_KEYS[kind]), unique=True))
    one = subject(kind, dict.fromkeys(keys, Unknown("it is set elsewhere")), unknown=UNKNOWN)
    by_name = {"OLL002", "OLL104", "OLL105"}  # about a name, not about its value
    assert not [finding for rule in RULES if rule.id not in by_name for finding in judged(rule, [one])]
