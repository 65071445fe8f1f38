"""A server's variables, and what Ollama makes of their texts and of a request's keep_alive."""

import subprocess
import sys

import pytest

from ollama_provider.ollama import durations
from ollama_provider.ollama.durations import NANOSECONDS
from ollama_provider.ollama.settings import variables
from ollama_provider.ollama.settings.variables import FOR_EVER, NEVER_VARIABLES, VARIABLES, RefusedKeepAliveError

NS, S, M, H = (NANOSECONDS[unit] for unit in ("ns", "s", "m", "h"))

# text, OLLAMA_KEEP_ALIVE, OLLAMA_LOAD_TIMEOUT; None: the default. Seen in a run of Ollama's own parsers (0.17.4).
DURATIONS: list[tuple[str, int | None, int | None]] = [
    ("5m", 5 * M, 5 * M),
    ("1h30m", 90 * M, 90 * M),
    ("+5m", 5 * M, 5 * M),
    ("300", 300 * S, 300 * S),
    ("+300", 300 * S, 300 * S),
    ("000000000000000000000000300", 300 * S, 300 * S),
    ("0", 0, FOR_EVER),
    ("0s", 0, FOR_EVER),
    ("-0", 0, FOR_EVER),
    (" 5m ", 5 * M, 5 * M),
    ("\u00a05m\u3000", 5 * M, 5 * M),
    ("'24h'", 24 * H, 24 * H),
    ('"24h"', 24 * H, 24 * H),
    ("\"'24h", 24 * H, 24 * H),
    ('  "5m"  ', 5 * M, 5 * M),
    ('" 5m "', None, None),
    ("\x1c5m", None, None),
    ("-1", FOR_EVER, FOR_EVER),
    ("-1m", FOR_EVER, FOR_EVER),
    ("-1s", FOR_EVER, FOR_EVER),
    ("9999999999", FOR_EVER, FOR_EVER),
    ("18446744074", 290448384 * NS, 290448384 * NS),  # around once, and a little above nothing
    ("9223372036854775807", FOR_EVER, FOR_EVER),
    ("9223372036854775808", None, None),
    ("-9223372036854775808", 0, FOR_EVER),
    ("9" * 5000, None, None),
    ("10 minutes", None, None),
    ("1d", None, None),
    ("1w", None, None),
    ("forever", None, None),
    ("inf", None, None),
    ("1.5", None, None),
    ("5M", None, None),
    ("5 m", None, None),
    ("1_000", None, None),
    ("24h # comment", None, None),
    ("٣٠٠", None, None),
    ("", None, None),
    ('""', None, None),
]


@pytest.mark.parametrize(("text", "keep_alive", "load_timeout"), DURATIONS)
def test_durations(text: str, keep_alive: int | None, load_timeout: int | None) -> None:
    assert (variables.env_keep_alive(text), variables.env_load_timeout(text)) == (keep_alive, load_timeout)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *((text, True) for text in ("1", "t", "T", "TRUE", "true", "True", "'true'", " 1 ")),
        *((text, False) for text in ("0", "f", "F", "FALSE", "false", "False", '"0"')),
        *((text, True) for text in ("off", "no", "disabled", "on", "2", "fAlse", "auto", "n", "0.0", "false # no")),
        ("", None),
        (" ' ' ", True),
        ("''", None),
    ],
)
def test_booleans(text: str, read: bool | None) -> None:
    assert variables.env_bool(text) is read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0", 0),
        ("4", 4),
        ("007", 7),
        (" '4' ", 4),
        (str(2**64 - 1), 2**64 - 1),
        (str(2**64), None),
        ("9" * 5000, None),
        *((text, None) for text in ("-1", "+1", "auto", "1GB", "1.0", "0x10", "1e3", "1_000", "4 2", "٤", "", '""')),
    ],
)
def test_numbers(text: str, read: int | None) -> None:
    assert variables.env_uint(text) == read


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [
        (None, None),
        (-1, FOR_EVER),
        (-0.5, FOR_EVER),
        (0, 0),
        (0.0, 0),
        (300, 300 * S),
        (1.5, 1500 * NANOSECONDS["ms"]),
        (9223372036, 9223372036 * S),
        (9223372037, 0),
        (10**400, 0),
        ("5m", 5 * M),
        ("1h30m", 90 * M),
        ("0", 0),
        ("-0", 0),
        ("-1m", FOR_EVER),
        ("-1s", FOR_EVER),
        ("+5m", 5 * M),
    ],
)
def test_a_requests_keep_alive(value: object, nanoseconds: int | None) -> None:
    assert variables.request_keep_alive(value) == nanoseconds


@pytest.mark.parametrize(
    "value",
    ["-1", "300", "", "10 minutes", "1d", " 5m", "'5m'", "forever", True, {}, ["5m"], float("nan"), float("-inf")],
)
def test_a_refused_keep_alive(value: object) -> None:
    with pytest.raises(RefusedKeepAliveError):
        variables.request_keep_alive(value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10 minutes", "10m"),
        ("1 hour", "1h"),
        ("30 sec", "30s"),
        ("1d", "24h"),
        ("1w", "168h"),
        ("2 Days", "48h"),
        ("5M", "5m"),
        ("5 m", "5m"),
        ('" 5m "', "5m"),
        ("300", "300s"),
        ("-1", "-1m"),
        ("24h # comment", "24h"),
        ("forever", "-1m"),
        ("1.5", None),
        ("1_000", None),
        ("0 minutes", None),
        ("1h 30m", None),
        ("${X}", None),
        ("", None),
        ("9" * 5000, None),
        ("9999999h", None),
    ],
)
def test_what_was_meant(text: str, meant: str | None) -> None:
    assert variables.meant_duration(text) == meant
    if meant is not None:
        durations.parse(meant)


def test_the_table_is_sound() -> None:
    assert not VARIABLES.keys() & NEVER_VARIABLES.keys() - {"OLLAMA_PORT"}
    for name, variable in VARIABLES.items():
        assert name.startswith(("OLLAMA_", "LLAMA_ARG_"))
        assert variable.removed is None or (variable.removed > variable.since and variable.note), name


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (-1, "-1"), ("5m", "5m"), (1.5, "1.5")])
def test_values_of_typed_formats(value: object, text: str) -> None:
    assert variables.text_of(value) == text


def test_it_is_cheap_to_import() -> None:
    program = (
        "import sys, ollama_provider.ollama.settings.variables\n"
        "print([m for m in ('pydantic', 'httpx', 'asyncio', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
