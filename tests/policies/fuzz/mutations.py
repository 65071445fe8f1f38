"""Changes of a file's bytes: small ones anywhere, and those that have broken parsers before."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

LONGEST = 60_000
_WORDS = (
    b"${ } %{ ~} <<: <<EOT &a *a {{ }} {% %} {# ' \" ` \\ \0 \r \r\n \t # // /* */ - : = , [ ] ( ) | > |- >2 ? ! @ $ "
    b"--- ... !!int !!binary %YAML null ~ yes 0x1f 1e999 -0 .inf \"\"\" ''' ; && || $( ${x:-y} ${x} $x \\u0000 \\ud800 "
    b"true false count for_each dynamic each.key var.x local.y module.z <<-EOT EOT EOF FROM ENV RUN ARG export "
    b"automatic manual keep_alive memory_management ollama OLLAMA_KEEP_ALIVE -1 5m 24h OLLAMA_HOST ollama/ollama"
)
_BYTES = (
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\xf0\x9f\xa6\x99",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\x1b[31m",
)
_SPACES = (b"\n", b" ", b"  ", b"\n\n")
_TOKENS = [*_WORDS.split(b" "), *_BYTES, *_SPACES, b"# ollama-policy: ignore[OLL001] because\n", b"9" * 400]


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """The data after one to eight changes; `others` are what is spliced in."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4, 8))):
        data = random.choice(_CHANGES)(data, others, random)
    return data[:LONGEST]


def _place(data: bytes, random: Random) -> int:
    return random.randint(0, len(data))


def _range(data: bytes, random: Random) -> tuple[int, int]:
    start = _place(data, random)
    return start, min(len(data), start + random.choice((1, 2, 4, 16, 64, 256)))


def _flip(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _byte(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.randbytes(random.choice((1, 1, 3))) + data[at + random.randint(0, 1) :]


def _insert(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(_TOKENS) + data[at:]


def _replace(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _range(data, random)
    return data[:start] + random.choice(_TOKENS) + data[end:]


def _remove(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _range(data, random)
    return data[:start] + data[end:]


def _truncate(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return data[: _place(data, random)]


def _behead(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return data[_place(data, random) :]


def _repeat(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _range(data, random)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 5, 40)) + data[end:]


def _move(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _range(data, random)
    rest = data[:start] + data[end:]
    at = _place(rest, random)
    return rest[:at] + data[start:end] + rest[at:]


def _splice(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = random.choice(others) if others else data
    start, end = sorted((_place(other, random), _place(other, random)))
    at, until = _range(data, random)
    return data[:at] + other[start:end] + data[random.choice((at, until)) :]


def _line(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """A line is removed, doubled, or put in another place."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines.insert(random.randint(0, len(lines)), lines.pop(at))
        case _:
            lines[at] = random.choice((b" ", b"  ", b"\t")) + lines[at]
    return b"\n".join(lines)


def _nest(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    opening, closing = random.choice(
        ((b"[", b"]"), (b"{", b"}"), (b"(", b")"), (b'"${', b'}"'), (b"{a: ", b"}"), (b"- ", b""), (b"$(", b")"))
    )
    times = random.choice((1, 2, 10, 200, 3000))
    start, end = _range(data, random)
    return data[:start] + opening * times + data[start:end] + closing * random.choice((times, 0)) + data[end:]


def _line_ends(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    ending = random.choice((b"\r\n", b"\r", b"\n\n"))
    return data.replace(b"\n", ending, random.choice((-1, 1, 3)))


def _mark(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return b"\xef\xbb\xbf" + data


def _long(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    at = _place(data, random)
    return (
        data[:at] + random.choice((b"a", b" ", b"\\", b'"', b"*", b"${", b"#")) * random.choice((500, 8000)) + data[at:]
    )


_CHANGES = (
    *[_insert, _replace, _line, _splice] * 3,
    *[_flip, _byte, _remove, _repeat, _move] * 2,
    _truncate, _behead, _nest, _line_ends, _mark, _long,
)  # fmt: skip
