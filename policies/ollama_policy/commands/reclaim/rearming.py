"""Gives a model back the pin, or the timer, that an unload took, where its reload does not come to its end.

An unload is a keep_alive of 0, which a server keeps in place of a pin until another one comes: the model then goes
when its last call ends.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from shlex import quote
from typing import TYPE_CHECKING, Final, NamedTuple

from ollama_policy.live.restore import CUT_OFF_SECONDS, load_again
from ollama_policy.text.escaping import shown
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import FOR_EVER, Running, RunningModel
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.versions import Behavior, version_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ollama_provider.ollama.http.api import Ollama

_SHOWN_LATER: Final = "; /api/ps shows it when the call in flight ends"


class AsItWas(NamedTuple):
    """A model in memory as it was found: `left` is the rest of its timer, None where it was pinned."""

    model: RunningModel
    left: timedelta | None
    only_embeds: bool
    as_clients_do: bool  # without options, where its context as a number would load it anew

    @property
    def held_by(self) -> str:
        """What keeps it in memory, as a person calls it."""
        return "pin" if self.left is None else "timer"


async def as_it_was(client: "Ollama", model: RunningModel, before: Running) -> AsItWas:
    """What is to be armed again. Raises OllamaErrors."""
    left = None if before.is_pinned(model) else max(timedelta(seconds=1), before.left_of(model))
    details = await client.show(model.name)
    is_told = Behavior.CONTEXT_IN_FORCE_COUNTS.holds(version_in(await client.version()), if_unknown=True)
    is_cut = model.context_length >= details.context_length  # what was asked for can have been more
    return AsItWas(model, left, details.only_embeds, as_clients_do=is_cut and not is_told)


async def arm_again(client: "Ollama", was: AsItWas) -> str:
    """Arms it as it was, in CUT_OFF_SECONDS or not at all, and says what became of its pin or timer. Raises nothing."""
    try:
        async with asyncio.timeout(CUT_OFF_SECONDS):
            await load_again(client, was.model, was.left, as_clients_do=was.as_clients_do)
            now = await client.running()
    except OllamaError as error:
        return _lost(client, was, str(error))
    except TimeoutError:
        return _lost(client, was, f"the server did not take it within {CUT_OFF_SECONDS:g} s")
    found = next((one for one in now.models if (one.name, one.digest) == (was.model.name, was.model.digest)), None)
    if found is None:
        return _lost(client, was, "the model is not in memory")
    if was.left is not None:
        return f"its timer is armed again, for {_keep_alive(was.left)}"
    return "it is pinned again" + ("" if now.is_pinned(found) else _SHOWN_LATER)


@asynccontextmanager
async def armed_if_cut_off(client: "Ollama", was: AsItWas) -> "AsyncIterator[None]":
    """Arms it again where Ctrl-C or SIGTERM ends the block, and says so on standard error."""
    try:
        with _sigterm_as_ctrl_c():
            yield
    except asyncio.CancelledError:
        _say(f"{was.model.name}: cut off; its {was.held_by} is armed again, within {CUT_OFF_SECONDS:g} s")
        with _sigterm_as_ctrl_c():
            _say(f"{was.model.name}: {await arm_again(client, was)}")
        raise


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Within it SIGTERM cancels what runs, as Ctrl-C does: by itself it ends a process without a word."""
    on_ctrl_c = signal.getsignal(signal.SIGINT)  # asyncio's
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL or not callable(on_ctrl_c):
        yield
        return
    signal.signal(signal.SIGTERM, on_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _lost(client: "Ollama", was: AsItWas, why: str) -> str:
    path = "/api/embed" if was.only_embeds else "/api/generate"
    keep_alive = FOR_EVER if was.left is None else _keep_alive(was.left)
    body = json.dumps({"model": str(was.model.name), "keep_alive": keep_alive})
    command = f"curl -fsS {quote(client.url + path)} -d {quote(body)}"
    does = "pins it" if was.left is None else "arms it"
    return f"its {was.held_by} is lost: {why}; this {does}: {command}"


def _keep_alive(left: timedelta) -> str:
    return durations.text(max(round(left.total_seconds()), 1) * 10**9)


def _say(line: str) -> None:
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()
