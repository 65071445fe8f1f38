"""Lines come out the same from whatever kept them, whole, in halves, and from what is not a log."""

import json
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.commands.logs.lines.reading import LONGEST, Line, Reading
from tests.policies.logs.told import REAL, told

TEXTS = [line.encode() for line in (REAL / "debug.log").read_text(encoding="utf-8").splitlines()]
TIME = "2026-01-01T12:00:00.123456789Z"


def read(*chunks: bytes) -> list[Line]:
    reading = Reading()
    lines = [line for chunk in chunks for line in reading.feed(chunk)]
    return lines + list(reading.finish())


def _json_file(text: bytes) -> bytes:
    """As docker writes it: a line of more than 16 KiB in parts."""
    parts = [text[at : at + 64] for at in range(0, len(text), 64)]
    ends = [""] * (len(parts) - 1) + ["\n"]
    entries = zip(parts, ends, strict=True)
    return b"\n".join(
        json.dumps({"log": part.decode() + end, "stream": "stderr", "time": TIME}).encode() for part, end in entries
    )


def _cri(text: bytes) -> bytes:
    head, tail = text[:30], text[30:]
    return f"{TIME} stderr P ".encode() + head + f"\n{TIME} stderr F ".encode() + tail


def _journal_json(text: bytes) -> bytes:
    entry = {"__REALTIME_TIMESTAMP": "1767268800123456", "_COMM": "ollama", "MESSAGE": text.decode()}
    return json.dumps(entry).encode()


WRAPPED = {
    "docker logs -t": lambda text: f"{TIME} ".encode() + text,
    "docker json-file": _json_file,
    "cri": _cri,
    "compose that colours the bar, too": lambda text: b"\x1b[36mollama-1  |\x1b[0m " + text,
    "kubectl --prefix": lambda text: b"[pod/ollama-7c9/ollama] " + text,
    "journalctl -o short-monotonic": lambda text: b"[  512.034512] box ollama[812]: " + text,
    "compose": lambda text: b"ollama-1  | " + text,
    "compose with colour and time": lambda text: f"\x1b[36mollama-1  | \x1b[0m{TIME} ".encode() + text,
    "journal short": lambda text: b"Jan 01 12:00:00 gpu-box.lan ollama[17]: " + text,
    "journal short-precise": lambda text: b"Jan 01 12:00:00.123456 host ollama[17]: " + text,
    "journal short-iso": lambda text: b"2026-01-01T12:00:00+0100 host ollama[17]: " + text,
    "journal short-full": lambda text: b"Thu 2026-01-01 12:00:00 UTC host ollama[17]: " + text,
    "journal json": _journal_json,
    "journal json of bytes": lambda text: json.dumps({"MESSAGE": list(text)}).encode(),
    "a terminal's ends": lambda text: text + b"\r",
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_a_wrapped_log_is_told_the_same(wrap: object) -> None:
    assert callable(wrap)
    plain = told(b"\n".join(TEXTS) + b"\n")
    wrapped = told(b"\n".join(map(wrap, TEXTS)) + b"\n")
    assert [(one.kind, one.model, one.cause) for one in wrapped.events] == [
        (one.kind, one.model, one.cause) for one in plain.events
    ]
    assert wrapped.story.known == plain.story.known
    assert sorted(wrapped.ids()) == sorted(plain.ids())


def _exported(texts: list[bytes], *, counted: bool) -> bytes:
    entries = []
    for number, text in enumerate(texts):
        value = b"MESSAGE\n" + struct.pack("<Q", len(text)) + text if counted else b"MESSAGE=" + text
        entries.append(
            b"__CURSOR=s=%d\n__REALTIME_TIMESTAMP=1767268800123456\n_COMM=ollama\n%b\n_PID=17\n\n" % (number, value)
        )
    return b"".join(entries)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("size", [1, 7, 4096, 10**9])
def test_a_journals_export(counted: bool, size: int) -> None:
    content = _exported(TEXTS, counted=counted)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    lines = read(*chunks)
    assert [line[2] for line in lines] == [text for text in TEXTS if text]
    assert lines[0][3] == "2026-01-01T12:00:00.123+00:00"
    assert all(b"MESSAGE" in content.split(b"\n")[number - 1] for number, *_ in lines)


def test_a_long_field_of_an_export_is_cut_and_the_next_entry_is_read() -> None:
    reading = Reading()
    content = _exported([b"x" * (3 * LONGEST), b"time=1 msg=a"], counted=True)
    lines = [line for at in range(0, len(content), 1000) for line in reading.feed(content[at : at + 1000])]
    assert [len(line[2]) for line in lines] == [LONGEST + 1, 12]
    assert reading.cut == 1


@given(st.lists(st.binary(max_size=40).filter(lambda text: b"\n" not in text)), st.integers(1, 50))
def test_chunks_do_not_matter(texts: list[bytes], size: int) -> None:
    content = b"\n".join(texts)
    whole = read(content)
    assert read(*(content[at : at + size] for at in range(0, len(content), size))) == whole


def test_a_half_line_waits_for_its_rest() -> None:
    reading = Reading()
    assert list(reading.feed(b'time=1 level=INFO msg="loaded')) == []
    assert [line[2] for line in reading.feed(b' runners" count=1\n')] == [
        b'time=1 level=INFO msg="loaded runners" count=1'
    ]
    assert list(reading.finish()) == []


def test_a_line_of_a_hundred_megabytes_is_cut_and_the_next_is_read() -> None:
    reading = Reading()
    chunk = b"x" * 2**20
    lines = [line for _ in range(100) for line in reading.feed(chunk)]
    lines += reading.feed(b"\ntime=1 msg=a\n")
    assert [(line[0], len(line[2])) for line in lines] == [(1, LONGEST), (2, 12)]
    assert reading.cut == 1


_SPICE = [
    b"time=2026-01-01T12:00:00.000Z level=INFO source=x.go:1 msg=",
    b"[GIN] 2026/01/01 - 12:00:29 | ",
    b'{"log":"',
    b'{"MESSAGE":',
    b"__CURSOR=",
    b"MESSAGE\n",
    b"\x1b[2J\x1b]0;x\x07",
    b"Memory usage exceeds threshold. ",
    b"Current memory usage: 999999999999%",
    b"\xff\xfe\x00",
    b'"loaded runners" count=' + b"9" * 5000,
    b'"loaded runners" count=\xc2\xb2',
    b'msg="starting runner" cmd="ollama runner --model /m/sha256-',
    b'"llama runner started in ...... seconds"',
    b"llama_context: CPU compute buffer size = 1.2.3 MiB",
    b"Out of memory: Killed process " + b"1" * 5000 + b" (ollama)",
    b'"total memory" size="1.1.1 GiB"',
    b'load request="{Parallel:0 KvSize:0}"',
    b'"server config" env="map[OLLAMA_KEEP_ALIVE:\\ud800 \\UFFFFFFFF \\xff]"',
    b"\n",
    b"\r\n",
    b" ",
]


@settings(max_examples=400)
@given(st.lists(st.one_of(st.sampled_from(_SPICE), st.sampled_from(TEXTS), st.binary(max_size=30)), max_size=30))
def test_nothing_that_stands_in_a_log_ends_the_run(parts: list[bytes]) -> None:
    told(b"".join(parts))
    told(*parts)


@settings(max_examples=100)
@given(st.data())
def test_a_real_log_with_bytes_changed_is_still_told(data: st.DataObject) -> None:
    content = bytearray((REAL / "usual.log").read_bytes())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    told(bytes(content))


@pytest.mark.parametrize(
    "part",
    [
        b"1",
        b'"',
        b' "',
        b" a=",
        b'a="',
        b"\\",
        b" --model ",
        b"Parallel:1 ",
        b"running `ollama pull ",
        b"OLLAMA_A",
        b"ollama",
        b"Killed process 1 (ollama",
        b"Current memory usage: ",
        b" +",
        b"sha256-",
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        b'time=1 msg="starting runner" cmd=',
        b'time=1 msg=load request="',
        b'time=1 msg="Load failed" error="',
        b'time=1 msg="server config" env="',
        b"llama_kv_cache: CPU KV buffer size = ",
        b"OOM killer Memory usage exceeds threshold Out of memory: Killed process 1 (ollama",
        b"[GIN] 2026/01/01 - 12:00:29 | 200 | ",
        b"2026/01/01 12:00:00 WARN invalid environment variable, using default ",
    ],
)
def test_no_line_takes_long(head: bytes, part: bytes) -> None:
    line = head + part * (LONGEST // len(part))
    began = time.process_time()
    told(b'time=1 msg="starting runner" cmd="ollama runner --model /m/x --port 1"\n' + line + b"\n")
    assert time.process_time() - began < 2
