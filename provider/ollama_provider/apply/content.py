"""Making a model present on a server: pulled, derived or uploaded, verified, and with a way back.

While a name's content is exchanged, the old content keeps a second name. It is what lets the old runner be unloaded,
what is gone back to, and what a next run finds where this one was cut off.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

from ollama_provider.apply.drift import second_name
from ollama_provider.apply.ownership import Origin
from ollama_provider.apply.placement import Report
from ollama_provider.apply.server import Server
from ollama_provider.files.gguf import is_missing, parts
from ollama_provider.model import InvalidDeclarationError, ModelDeclaration, PullPolicy, missing_file
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import InstalledModel, TransferProgress
from ollama_provider.ollama.errors import (
    LateError,
    NotFoundError,
    OllamaError,
    RefusedError,
    TransientError,
    UnreachableError,
)
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import text_of

REPORT_SECONDS = 5.0
RETRY_SECONDS = (1.0, 3.0, 9.0)
TIDY_SECONDS = 5.0
_HASH_CHUNK = 2**22
_ONE_FILE = "model.gguf"


class GgufFile(TypedDict):
    """What a local file was when it was uploaded; size and mtime_ns save reading it again to see that it still is.

    Of a model in several files: the digest of their digests, all bytes, and the latest time.
    """

    digest: str
    size: int
    mtime_ns: int


class UnseenError(UnreachableError):
    """A model was made, and the server did not answer what it is."""


@dataclass(frozen=True)
class Presence:
    """A model that is there now. `previous` is the second name of what the name held before, where that differs."""

    model: InstalledModel
    previous: InstalledModel | None


def look_at(path: Path, seen: GgufFile | None = None) -> GgufFile:
    """What a local file is now, with those that it is split into; reads all, unless size and time are as `seen`.

    One that was `seen` and is gone counts as it was: it is needed again only where the server has lost its content.
    Raises InvalidDeclarationError where one that was never seen is missing.
    """
    files = parts(path)
    if seen and any(map(is_missing, files)):
        return seen
    for file in files:
        _refuse_missing(file)
    stats = [file.stat() for file in files]
    size, mtime_ns = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
    if seen and (size, mtime_ns) == (seen["size"], seen["mtime_ns"]):
        return seen
    digests = _digests_of(files)
    whole = digests[0] if len(digests) == 1 else f"sha256:{hashlib.sha256(''.join(digests).encode()).hexdigest()}"
    return GgufFile(digest=whole, size=size, mtime_ns=mtime_ns)


def _digests_of(files: Iterable[Path]) -> list[str]:
    return [_digest_of(file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]


@lru_cache(maxsize=4096)
def _digest_of(path: Path, size: int, mtime_ns: int) -> str:
    """Of a file as it is: it is read once, though it is looked at before it is uploaded."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _refuse_missing(file: Path) -> None:
    if problem := missing_file({"gguf": str(file)}):
        raise InvalidDeclarationError([problem])


async def make_present(
    server: Server, declared: ModelDeclaration, gguf: GgufFile | None, report: Report, *, must_make: bool
) -> Presence:
    """Brings the declared content under the declared name, or raises with what was there as it was.

    `must_make` says that a derived or uploaded model is not known to have its declared content already.
    """
    name, second = declared.model_name, second_name(declared.model_name)
    installed = (await server.view()).installed
    before = installed.get(name)
    if _has_content(declared, before, must_make):
        assert before is not None
        return Presence(before, await _previous(server, installed, before))
    if declared.pull_policy is PullPolicy.NEVER and not declared.is_made_here:
        found = f"its digest there is {before.digest}" if before else "it is not there"
        words = f'{found}, and pull_policy = "never" does not allow a pull'
        raise RefusedError(f"the presence of {name}", server.client.url, words)
    with server.changing():
        try:
            if before and second not in installed:
                await server.client.copy(name, second)
            await _fetch(server, declared, gguf, report)
            installed = await _installed_after(server, name)
            after = installed.get(name)
            if after is None:
                raise NotFoundError(f"the presence of {name}", server.client.url, "it was made, and is not there")
            if declared.expected_digest not in (None, after.digest):
                await _undo(server, name, before)
                words = f"expected digest {declared.expected_digest}, and {after.digest} came"
                raise RefusedError(f"the content of {name}", server.client.url, words)
        except BaseException:
            await _tidy(server, name)
            raise
    return Presence(after, await _previous(server, installed, after))


async def _installed_after(server: Server, name: ModelName) -> dict[ModelName, InstalledModel]:
    try:
        return await server.client.installed()
    except OllamaError as error:
        raise UnseenError(f"the look at {name}, which was made,", error.server, error.words) from error


async def restore_previous(server: Server, name: ModelName) -> None:
    """Gives a name its old content back. The second name goes only when that has been done."""
    await server.client.copy(second_name(name), name)
    await forget_second(server, second_name(name))


async def forget_second(server: Server, second: ModelName) -> None:
    """`forget` of a second name, out of memory before: nothing would reach the runner of a client that called it."""
    if any(model.name == second for model in (await server.client.running()).models):
        await server.client.unload(second)
    await forget(server, second)


async def forget(server: Server, name: ModelName) -> None:
    """Removes a name; the files of its content go with it where no other name has them. Gone already is success."""
    with server.changing():
        try:
            await server.client.delete(name)
        except NotFoundError:
            pass
        except RefusedError:
            # HTTP 500 where another client deletes in that moment: the name is gone all the same (Ollama's
            # manifest/paths.go, PruneDirectory; seen on 0.34.3).
            if name in await server.client.installed():
                raise


def _has_content(declared: ModelDeclaration, present: InstalledModel | None, must_make: bool) -> bool:
    if present is None or declared.expected_digest not in (None, present.digest):
        return False
    if declared.is_made_here:
        return not must_make
    return declared.pull_policy is not PullPolicy.ALWAYS


async def _previous(
    server: Server, installed: Mapping[ModelName, InstalledModel], current: InstalledModel
) -> InstalledModel | None:
    """The second name where it keeps another content; one that keeps the same is needed no more, and goes."""
    previous = installed.get(second_name(current.name))
    if previous is None or previous.digest != current.digest:
        return previous
    await forget_second(server, previous.name)
    return None


async def _undo(server: Server, name: ModelName, before: InstalledModel | None) -> None:
    if before:
        await restore_previous(server, name)
    else:
        await server.client.delete(name)


async def _tidy(server: Server, name: ModelName) -> None:
    """After a failure, and after Ctrl-C: drops a second name that is not needed, if the server still answers."""
    try:
        async with asyncio.timeout(TIDY_SECONDS):
            installed = await server.client.installed()
            now, second = installed.get(name), installed.get(second_name(name))
            if now and second and now.digest == second.digest:
                await forget_second(server, second_name(name))
    except (OllamaError, TimeoutError):
        return  # the second name stays, and the next run finds it


async def _fetch(server: Server, declared: ModelDeclaration, gguf: GgufFile | None, report: Report) -> None:
    name = declared.model_name
    try:
        async with asyncio.timeout(durations.seconds(declared.timeouts.pull)) as waiting:
            if declared.base_name:
                await _have_base(server, declared, report)
                await _make(server, declared, {"from": str(declared.base_name)}, report)
            elif gguf:
                assert declared.gguf is not None
                files = await _upload(server, Path(declared.gguf), gguf, report)
                await _make(server, declared, {"files": files}, report)
            else:
                await _pull(server, name, declared.insecure, report)
    except TimeoutError:
        if not waiting.expired():
            raise
        words = f"not done within {declared.timeouts.pull}; what was downloaded stays for the next try"
        raise LateError(f"the making of {name}", server.client.url, words) from None


async def _have_base(server: Server, declared: ModelDeclaration, report: Report) -> None:
    base = declared.base_name
    assert base is not None
    is_there = base in await server.client.installed()
    if is_there and declared.pull_policy is not PullPolicy.ALWAYS:
        return
    if declared.pull_policy is PullPolicy.NEVER:
        words = 'it is not there, and pull_policy = "never" does not allow a pull'
        raise RefusedError(f"the presence of base {base}", server.client.url, words)
    await _pull(server, base, declared.insecure, report)
    if not is_there:
        if pulled := (await server.client.installed()).get(base):
            server.handover.give_up(base, Origin.PULLED, pulled.digest)
        report(f"{base}: pulled as the base of {declared.model_name}; it stays when that model is destroyed")


async def _make(server: Server, declared: ModelDeclaration, source: dict[str, Any], report: Report) -> None:
    fields = {"parameters": declared.parameters, "system": declared.system, "template": declared.template}
    await server.client.create(declared.model_name, source | {key: value for key, value in fields.items() if value})
    report(f"{declared.model_name}: made from {declared.base or declared.gguf}")


async def _upload(server: Server, file: Path, gguf: GgufFile, report: Report) -> dict[str, str]:
    """Sends what the server has not got. The files by name and digest, as a create takes them."""
    files = await asyncio.to_thread(parts, file)
    if len(files) == 1:
        digests = {_ONE_FILE: gguf["digest"]}
    else:
        read = await asyncio.to_thread(_digests_of, files)
        digests = {part.name: digest for part, digest in zip(files, read, strict=True)}
    for part, digest in zip(files, digests.values(), strict=True):
        if not await server.client.has_blob(digest):
            _refuse_missing(part)
            await server.client.upload_blob(digest, part, _Reporter(f"{part.name}: uploading", report))
    return digests


async def _pull(server: Server, name: ModelName, insecure: bool, report: Report) -> None:
    report(f"{name}: pulling")
    for wait in (*RETRY_SECONDS, None):
        try:
            await server.client.pull(name, insecure=insecure, progress=_Reporter(f"{name}: pulling", report))
        except (TransientError, UnreachableError) as error:
            if wait is None:
                raise
            report(f"{error}; trying again in {wait:g} s, going on from what was downloaded")
            await asyncio.sleep(wait)
        else:
            report(f"{name}: pulled and verified")
            return


class _Reporter:
    """Turns a transfer's many lines into few: what is under way, bytes, rate and time left, every five seconds."""

    def __init__(self, what: str, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._report, self._clock = what, report, clock
        self._started = self._reported = clock()
        self._completed_at_start: int | None = None

    def __call__(self, progress: TransferProgress) -> None:
        now = self._clock()
        if self._completed_at_start is None and progress.total:
            self._completed_at_start, self._started = progress.completed, now
        if now - self._reported < REPORT_SECONDS or not progress.total:
            return
        self._reported = now
        rate = (progress.completed - (self._completed_at_start or 0)) / max(now - self._started, 1e-9)
        left = (
            f", {durations.text(round((progress.total - progress.completed) / rate) * 10**9)} left" if rate > 0 else ""
        )
        done = progress.completed / progress.total
        self._report(f"{self._what} {done:.0%} of {text_of(progress.total)}, {text_of(rate)}/s{left}")
