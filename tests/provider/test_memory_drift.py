"""What in memory counts as drift, over the whole table of modes and of what a server can show."""

from datetime import UTC, datetime, timedelta

import pytest

from ollama_provider.apply.drift import (
    AS_DECLARED,
    HELD_TOO_LONG,
    IN_MEMORY,
    NOT_IN_MEMORY,
    OLD_CONTENT,
    PIN_LOST,
    PINNED_BY_CLIENT,
    drift_of,
    is_pinned_unbounded,
)
from ollama_provider.model import declare
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.names import ModelName

HERE = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOR_EVER = timedelta(seconds=9223372036)
NOW_CONTENT, OLD = "aa" * 32, "bb" * 32

MANUAL = {"memory_management": "manual"}
ABSENT = {"memory_management": "manual", "resident": False}
UNBOUND: dict[str, object] = {}
FIVE_MINUTES = {"keep_alive": "5m"}
AT_ONCE = {"keep_alive": "0s"}

Shown = tuple[str, str, timedelta]
PINNED: Shown = ("llama3:latest", NOW_CONTENT, FOR_EVER)
TIMED: Shown = ("llama3:latest", NOW_CONTENT, timedelta(minutes=5))
OLD_PINNED: Shown = ("llama3:latest", OLD, FOR_EVER)
OLD_TIMED: Shown = ("llama3:latest", OLD, timedelta(minutes=1))
OTHER_PINNED: Shown = ("other:latest", NOW_CONTENT, FOR_EVER)


def running(shown: list[Shown], server_time: datetime) -> Running:
    models = tuple(
        RunningModel(
            name=ModelName.parse(name),
            digest=digest,
            expires_at=server_time + left,
            size=1,
            size_vram=0,
            context_length=2048,
        )
        for name, digest, left in shown
    )
    return Running(models, server_time)


@pytest.mark.parametrize(
    "server_time",
    [HERE, HERE + timedelta(hours=1), HERE - timedelta(hours=1), datetime(1970, 1, 1, tzinfo=UTC)],
    ids=["right clock", "an hour ahead", "an hour behind", "a clock without battery"],
)
@pytest.mark.parametrize(
    ("declared", "shown", "drift"),
    [
        (MANUAL, [], NOT_IN_MEMORY),
        (MANUAL, [PINNED], AS_DECLARED),
        (MANUAL, [TIMED], PIN_LOST),
        (MANUAL, [OTHER_PINNED], NOT_IN_MEMORY),
        (MANUAL, [OTHER_PINNED, PINNED], AS_DECLARED),
        (MANUAL, [OLD_PINNED], OLD_CONTENT),
        (MANUAL, [OLD_TIMED], OLD_CONTENT),
        (MANUAL, [PINNED, OLD_PINNED], OLD_CONTENT),
        (MANUAL, [TIMED, OLD_PINNED], OLD_CONTENT),
        (MANUAL, [("LLAMA3:latest", NOW_CONTENT, FOR_EVER)], AS_DECLARED),
        (MANUAL, [("llama3:8b", NOW_CONTENT, FOR_EVER)], NOT_IN_MEMORY),
        (MANUAL, [("llama3:latest", NOW_CONTENT, timedelta(seconds=-3))], PIN_LOST),
        (ABSENT, [], AS_DECLARED),
        (ABSENT, [PINNED], IN_MEMORY),
        (ABSENT, [TIMED], IN_MEMORY),
        (ABSENT, [OLD_PINNED], IN_MEMORY),
        (ABSENT, [OTHER_PINNED], AS_DECLARED),
        (UNBOUND, [], AS_DECLARED),
        (UNBOUND, [TIMED], AS_DECLARED),
        (UNBOUND, [PINNED], AS_DECLARED),
        (UNBOUND, [OLD_PINNED], OLD_CONTENT),
        (FIVE_MINUTES, [], AS_DECLARED),
        (FIVE_MINUTES, [TIMED], AS_DECLARED),
        (FIVE_MINUTES, [PINNED], PINNED_BY_CLIENT),
        (FIVE_MINUTES, [OTHER_PINNED], AS_DECLARED),
        (FIVE_MINUTES, [OLD_TIMED], OLD_CONTENT),
        (FIVE_MINUTES, [("llama3:latest", NOW_CONTENT, timedelta(minutes=5, seconds=1.9))], AS_DECLARED),
        (FIVE_MINUTES, [("llama3:latest", NOW_CONTENT, timedelta(minutes=5, seconds=2.1))], HELD_TOO_LONG),
        (FIVE_MINUTES, [("llama3:latest", NOW_CONTENT, timedelta(hours=24))], HELD_TOO_LONG),
        (FIVE_MINUTES, [("llama3:latest", NOW_CONTENT, timedelta(seconds=-1))], AS_DECLARED),
        (AT_ONCE, [("llama3:latest", NOW_CONTENT, timedelta(seconds=1))], AS_DECLARED),
        (AT_ONCE, [TIMED], HELD_TOO_LONG),
    ],
)
def test_drift_is_told_by_the_server_s_own_clock(
    declared: dict[str, object], shown: list[Shown], drift: str, server_time: datetime
) -> None:
    declaration = declare({"name": "llama3", **declared})
    assert drift_of(declaration, NOW_CONTENT, running(shown, server_time)) == drift


def test_the_words_of_drift_do_not_change_by_themselves() -> None:
    declaration = declare({"name": "llama3", **FIVE_MINUTES})
    shown = running([("llama3:latest", NOW_CONTENT, timedelta(hours=1))], HERE)
    later = Running(shown.models, HERE + timedelta(minutes=10))
    assert drift_of(declaration, NOW_CONTENT, shown) == drift_of(declaration, NOW_CONTENT, later)


@pytest.mark.parametrize(
    ("declared", "shown", "is_told"),
    [
        (UNBOUND, [PINNED], True),
        (UNBOUND, [TIMED], False),
        (UNBOUND, [OTHER_PINNED], False),
        (UNBOUND, [OLD_PINNED], False),
        (UNBOUND, [], False),
        (FIVE_MINUTES, [PINNED], False),
        (MANUAL, [PINNED], False),
        (ABSENT, [PINNED], False),
    ],
)
def test_a_pin_of_what_is_left_to_the_server_is_told_apart_from_drift(
    declared: dict[str, object], shown: list[Shown], is_told: bool
) -> None:
    declaration = declare({"name": "llama3", **declared})
    assert is_pinned_unbounded(declaration, NOW_CONTENT, running(shown, datetime.now(UTC))) is is_told
