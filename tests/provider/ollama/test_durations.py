"""Durations and instants, as Go reads and writes them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_provider.ollama import durations
from ollama_provider.ollama.durations import LONGEST, NANOSECONDS, InvalidDurationError, is_for_ever, parse_time

MS, S, M, H = (NANOSECONDS[unit] for unit in ("ms", "s", "m", "h"))


# Go's own table, time/time_test.go, and what was seen of Ollama.
@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5 * S),
        ("30s", 30 * S),
        ("300s", 300 * S),
        ("5m", 300 * S),
        ("+5m", 300 * S),
        ("-1m", -60 * S),
        ("24h", 24 * H),
        ("1478s", 1478 * S),
        ("-5s", -5 * S),
        ("+5s", 5 * S),
        ("5.0s", 5 * S),
        ("5.6s", 5 * S + 600 * MS),
        ("5.s", 5 * S),
        (".5s", 500 * MS),
        ("1.0s", 1 * S),
        ("1.00s", 1 * S),
        ("1.004s", 1 * S + 4 * MS),
        ("1.0040s", 1 * S + 4 * MS),
        ("100.00100s", 100 * S + 1 * MS),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13 * MS),
        ("14s", 14 * S),
        ("15m", 15 * M),
        ("16h", 16 * H),
        ("3h30m", 3 * H + 30 * M),
        ("10.5s4m", 4 * M + 10 * S + 500 * MS),
        ("-2m3.4s", -(2 * M + 3 * S + 400 * MS)),
        ("1h2m3s4ms5us6ns", H + 2 * M + 3 * S + 4 * MS + 5006),
        ("39h9m14.425s", 39 * H + 9 * M + 14 * S + 425 * MS),
        ("52763797000ns", 52763797000),
        ("0.3333333333333333333h", 20 * M),
        ("9007199254740993ns", 2**53 + 1),
        ("9223372036854775807ns", LONGEST),
        ("9223372036854775.807us", LONGEST),
        ("9223372036s854ms775us807ns", LONGEST),
        ("-9223372036854775807ns", -LONGEST),
        ("0.100000000000000000000h", 6 * M),
        ("0.830103483285477580700h", 49 * M + 48 * S + 372539827),
        ("1.5h", 90 * M),
        ("90m", 90 * M),
        ("0" * 5000 + "1s", S),
        ("1." + "0" * 5000 + "s", S),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    assert durations.parse(text) == nanoseconds
    if not text.startswith("-") and text != "+0":
        assert re.fullmatch(durations.PATTERN, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "300", "-1", "1_000s", "++5m", "--5m", "+-5m", "1h-5m"),
        *("10 minutes", "5 m", " 5m", "5m ", "5M", "5m\n", "forever", "inf", "1e3s", "0x10s", "24h # comment"),
        *("٣s", "5min", "5 s", "0.0", "5m0", "0 ", "5m,3s", "5\x00m", "5\uff4d"),
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidDurationError):
        durations.parse(text)


@pytest.mark.parametrize(
    "text",
    ["9223372036854775808ns", "9223372036854775.808us", "3000000h", "9223372036854ms775us808ns", "9" * 5000 + "s"],
)
def test_a_duration_that_go_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidDurationError, match="292 years"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1d", "no days: write hours, such as 24h"),
        ("1.5 days", "no days: write hours, such as 24h"),
        ("7D", "no days"),
        ("1w", "no weeks: write hours, such as 168h"),
        ("2 weeks", "no weeks"),
        ("300", "write 300s"),
        ("-1", "a unit is missing"),
        ("10 minutes", "300s, 5m, 1h30m"),
        ("", "300s, 5m, 1h30m"),
        ("forever", "300s, 5m, 1h30m"),
    ],
)
def test_a_refusal_says_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(InvalidDurationError, match=re.escape(hint)):
        durations.parse(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (300 * S, "5m"),
        (90 * M, "1h30m"),
        (24 * H, "24h"),
        (1, "1ns"),
        (1_001, "1us1ns"),
        (1500 * MS, "1s500ms"),
        (-60 * S, "-1m"),
        (H + 2 * M + 3 * S + 4 * MS + 5006, "1h2m3s4ms5us6ns"),
    ],
)
def test_the_text_of_a_duration_is_short_and_exact(nanoseconds: int, text: str) -> None:
    assert durations.text(nanoseconds) == text


@settings(max_examples=200, deadline=None)
@given(st.integers(-LONGEST, LONGEST))
def test_every_duration_survives_being_written_and_read(nanoseconds: int) -> None:
    assert durations.parse(durations.text(nanoseconds)) == nanoseconds


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.+-hmsunµ d_", max_size=12) | st.text(max_size=12))
def test_any_text_is_a_duration_or_refused_in_one_line(text: str) -> None:
    try:
        assert abs(durations.parse(text)) <= LONGEST
    except InvalidDurationError as error:
        assert str(error).isprintable()


def test_seconds_are_a_float() -> None:
    assert durations.seconds("1.5s") == 1.5
    with pytest.raises(InvalidDurationError):
        durations.seconds("1.5")


@pytest.mark.parametrize(
    ("ahead", "for_ever"),
    [
        (timedelta(seconds=9223372036), True),
        (timedelta(days=200 * 365), True),
        (timedelta(days=99 * 365), False),
        (timedelta(minutes=5), False),
        (timedelta(0), False),
        (timedelta(minutes=-5), False),
    ],
)
def test_for_ever_is_centuries_ahead_of_the_given_clock(ahead: timedelta, for_ever: bool) -> None:
    for now in (datetime(2026, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)):
        assert is_for_ever(now + ahead, now) is for_ever
    assert is_for_ever(datetime.now(UTC) + ahead) is for_ever


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)),
        ("2026-01-02T05:04:05.123456789+02:00", datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)),
        ("2318-04-14T02:51:21.12345678-07:00", datetime(2318, 4, 14, 9, 51, 21, 123_456, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_go_s_nanoseconds_and_zone(text: str, time: datetime) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize("text", ["", "None", "soon", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
