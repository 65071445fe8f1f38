"""Whatever a file declares and whatever a server says, it is judged, and never a defect of ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_policy.commands.drift.judge import judge
from ollama_policy.live.declared import Declared
from ollama_policy.live.snapshot import OnDisk, ServerState, from_json, to_json
from ollama_policy.model.settings import Unknown
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.names import ModelName
from tests.policies.rules.subjects import model

NAMES = st.sampled_from(["chat", "CHAT:latest", "a/b", "r.example:5000/a/b:c"]).map(ModelName.parse)
DIGESTS = st.sampled_from(["aa" * 32, "bb" * 32, "", "\x1b[2J"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(Unknown("elsewhere"))
VALUES = (
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["num_ctx", "x"]), SCALARS, max_size=2)
)
DECLARATIONS = st.fixed_dictionaries(
    {},
    optional={
        "memory_management": st.sampled_from(["automatic", "manual"]) | VALUES,
        "keep_alive": st.sampled_from(["5m", "0", "2562047h47m16s", "-1"]) | VALUES,
        "resident": st.booleans() | VALUES,
        "digest": DIGESTS | VALUES,
        "base": st.just("base") | VALUES,
        "parameters": VALUES,
        "host": VALUES,
        "insecure": VALUES,
    },
)
TIMES = st.datetimes(timezones=st.just(UTC))
RUNNING = st.builds(RunningModel, NAMES, DIGESTS, TIMES, st.integers(), st.integers(), st.integers())


@pytest.mark.slow
@given(
    DECLARATIONS,
    st.dictionaries(NAMES, st.builds(OnDisk, DIGESTS, st.integers()), max_size=3),
    st.lists(RUNNING, max_size=3),
    TIMES,
    st.text(max_size=8),
)
def test_anything_is_judged_and_recorded(
    declared: dict[str, object],
    installed: dict[ModelName, OnDisk],
    running: list[RunningModel],
    time: datetime,
    version: str,
) -> None:
    seen = ServerState("http://one:1", True, version, installed, Running(tuple(running), time))
    one = Declared(model(declared), ModelName.parse("chat"))
    for finding in judge(seen, [one], (), True):
        assert finding.message
        assert finding.advice
        assert finding.file.position(finding.span.start)
    assert from_json(to_json([seen]).encode()) == [seen]
