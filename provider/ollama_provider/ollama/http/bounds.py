"""What a server may answer, bounded: bytes as they are unpacked, digits of a number, how deep and how much JSON is.

Whatever asks a server or a registry reads its answer here, and nowhere else.
"""

import asyncio
import json
import re
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import httpx

ASKED_FOR: Final[Mapping[str, str]] = {"Accept-Encoding": "identity"}  # Ollama packs nothing; a proxy before it may
LONGEST_NUMBER: Final = 20  # digits: what 64 bits hold
DEEPEST: Final = 64  # Ollama's own answers are 5 deep
MOST_MEMORY: Final = 256 * 2**20  # bytes that an answer takes as values, beside the characters of its texts
# Bytes of CPython that each of these stands for at most: an object has one table, a member a key and its place in that.
_COSTS: Final = {b"{": 192, b":": 160, b"[": 128, b",": 64}
_PIECE: Final = 2**16
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_PACKED: Final = ("gzip", "x-gzip", "deflate")


class UnboundedError(ValueError):
    """An answer that goes beyond what is read of one; the message goes on after "an answer"."""


async def pieces(response: "httpx.Response") -> AsyncGenerator[bytes]:
    """The body of an answer, in pieces of at most 64 KiB, whatever it is packed to. Raises UnboundedError.

    What was packed twice is refused: 4 KB of it unpack to gigabytes.
    """
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing in ("", "identity"):
        async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_bytes())) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    if packing not in _PACKED:
        raise UnboundedError(f"compressed as {packing[:60]!r}, expected one that is not compressed")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as chunks:
            async for chunk in chunks:
                rest, piece = chunk, b""
                while rest or len(piece) == _PIECE:
                    piece = unpacking.decompress(rest, _PIECE)
                    rest = unpacking.unconsumed_tail
                    yield piece
                    await asyncio.sleep(0)  # a deadline may pass while one chunk is unpacked
    except zlib.error:
        raise UnboundedError(f"that claims to be compressed as {packing}, and is not") from None


async def body(response: "httpx.Response", most: int) -> bytes:
    """All of an answer of at most so many bytes. Raises UnboundedError."""
    found = bytearray()
    async with aclosing(pieces(response)) as all_of_it:
        async for piece in all_of_it:
            found += piece
            if len(found) > most:
                raise UnboundedError(f"of more than {most // 2**20} MiB")
    return bytes(found)


def json_value(content: bytes) -> Any:
    """The value of a JSON text. Raises UnboundedError, and any other ValueError for what is not JSON."""
    counts = {mark: content.count(mark) for mark in _COSTS}
    if sum(_COSTS[mark] * count for mark, count in counts.items()) > MOST_MEMORY:
        raise UnboundedError(f"with more values than fit into {MOST_MEMORY // 2**20} MiB of memory")
    text = content.decode("utf-8-sig")
    try:
        found = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise _too_deep() from None
    if counts[b"["] + counts[b"{"] > DEEPEST and _is_deep(found):
        raise _too_deep()
    if _SURROGATE.search(text):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UnboundedError("with a text that is not Unicode: half of a surrogate pair") from None
    return found


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise UnboundedError(f"with a number of {len(digits.lstrip('-')):,} digits, expected at most {LONGEST_NUMBER}")
    return int(digits)


def _is_deep(found: object) -> bool:
    level = [found]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _too_deep() -> UnboundedError:
    return UnboundedError(f"that is not a JSON object, it is nested more than {DEEPEST} deep")
