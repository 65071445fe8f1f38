"""What calls show: prompts that were cut, answers that were slow or broke off, and settings that are not taken."""

from datetime import datetime
from typing import Any

from ollama_policy.commands.logs.event import Kind, Place
from ollama_policy.commands.logs.events.caches import Caches
from ollama_policy.commands.logs.lines.requests import Request
from ollama_policy.commands.logs.model import Model
from ollama_policy.commands.logs.state import MOST_MODELS, Fields, State
from ollama_provider.ollama.versions import Behavior


class Calls:
    """Lines of a call name no model: it is told where one alone is in memory, or by the context."""

    def __init__(self, state: State, caches: Caches, slow_seconds: float) -> None:
        self.caches = caches
        self._state = state
        self._slow = slow_seconds
        self._failed: tuple[Request, Place] | None = None  # until the next line tells whether its client went away
        self._told: set[tuple[str, str]] = set()  # settings and values that are not taken

    # Settings.

    def ignored(self, place: Place, setting: str, value: str, reason: str) -> None:
        if (setting, value) in self._told or len(self._told) >= MOST_MODELS:
            return  # each load and each runner says it again
        self._told.add((setting, value))
        text = f'{setting} "{value}" is ignored: {reason}' if value else f"{setting} is ignored: {reason}"
        self._state.say(Kind.IGNORED, place, text, cause=setting, value=value)

    def ignored_variable(self, place: Place, line: Fields) -> None:
        reason = f"Ollama uses its default, {line.get('default', '?')}"
        self.ignored(place, line.get("key", "?"), line.get("value", ""), reason)

    def ignored_port(self, place: Place, line: Fields) -> None:
        self.ignored(place, "OLLAMA_HOST", line.get("port", ""), f"Ollama uses port {line.get('default', '?')}")

    def ignored_fit_target(self, place: Place, line: Fields) -> None:
        reason = "it is not a whole number of MiB"
        self.ignored(place, line.get("env", "LLAMA_ARG_FIT_TARGET"), line.get("value", ""), reason)

    # Prompts.

    def truncated(self, place: Place, line: Fields) -> None:
        prompt, limit, kept = line.get("prompt", "?"), line.get("limit", "?"), line.get("new", "")
        kept = kept or limit
        model, context = self._cut(limit, line.get("keep", ""))
        text = f"a prompt of {prompt} tokens was cut to {kept}: "
        if context is None:
            text += "it is longer than the context, about half of which is left free for the answer"
        elif str(context) == kept:
            text += f"the context is {context}"
        else:
            text += f"the context is {context}, and the rest of it is left free for the answer"
        facts: dict[str, Any] = {"prompt": prompt, "limit": limit, "context": context}
        self._state.say(Kind.TRUNCATED, place, text, model, **facts)

    def _cut(self, limit: str, keep: str) -> tuple[Model | None, int | None]:
        """Whose prompt it was, and its context. `limit` is the context, or what is left of it after a first shift.

        The latter as Behavior.TRUNCATES_FOR_ANSWER says: half of what exceeds the tokens to keep is left free.
        """
        state = self._state
        if not (limit.isdecimal() and len(limit) < 13):
            return state.only_resident(), None
        whole = int(limit)
        rest = 2 * whole - int(keep) if keep.isdecimal() and len(keep) < 13 else 0
        fitting = [model for model in state.resident if model.context in (whole, rest, rest - 1) and model.context]
        if len(fitting) == 1:
            return fitting[0], fitting[0].context
        contexts = {model.context for model in fitting}
        if len(contexts) == 1:
            return state.only_resident(), contexts.pop()
        is_left = Behavior.TRUNCATES_FOR_ANSWER.holds(state.version, if_unknown=True)
        return state.only_resident(), None if is_left else whole

    def messages_left_out(self, place: Place, line: Fields) -> None:
        text = "the first messages of a chat were left out: they exceed the context"
        self._state.say(Kind.TRUNCATED, place, text, self._state.only_resident(), "messages")

    def shifted(self, place: Place, line: Fields) -> None:
        limit, discard = line.get("limit", "?"), line.get("discard", "?")
        text = f"the context of {limit} is full: its oldest {discard} tokens are dropped"
        self._state.say(Kind.SHIFTED, place, text, self._state.only_resident())

    def shifted_by(self, place: Place, discarded: int) -> None:
        """As llama-server says it."""
        model = self._state.only_resident()
        of = f" of {model.context}" if model and model.context else ""
        text = f"the context{of} is full: its oldest {discarded} tokens are dropped"
        self._state.say(Kind.SHIFTED, place, text, model)

    # Answers.

    def broken_off(self, place: Place, line: Fields) -> None:
        text = f"an answer was cut off, because its runner stopped: {line.get('error', '?')}"
        self._state.say(Kind.CALL, place, text[:500], self._state.only_resident(), "broken")

    def canceled(self) -> None:
        """llama-server lost the connection of a call: Ollama answers one whose client went away with HTTP 500."""
        failed, self._failed = self._failed, None
        if failed is not None:
            call, place = failed
            text = f"a call of {call.path} broke off after {_seconds(call.seconds)}: its client disconnected"
            self._state.say(Kind.CALL, place, text, None, "client", seconds=call.seconds)

    def settle(self) -> None:
        """A call that failed, and that no line followed which says that its client went away."""
        failed, self._failed = self._failed, None
        if failed is not None:
            call, place = failed
            text = f"a call of {call.path} failed with HTTP {call.status}, after {_seconds(call.seconds)}"
            self._state.say(Kind.CALL, place, text, None, "failed", seconds=call.seconds)

    def ended(self, call: Request, place: Place) -> None:
        self.settle()
        took = _seconds(call.seconds)
        state = self._state
        if call.status == 503:
            text = f"a call of {call.path} was refused: the queue is full, after {took}"
            state.say(Kind.CALL, place, text, None, "queue", seconds=call.seconds)
        elif call.status >= 500:
            self._failed = call, place
        elif call.seconds >= self._slow:
            text = f"a call of {call.path} took {took}"
            load = state.last
            if load and load.ended and _within(load.ended.at, call):
                # GIN's line names no model: another call may be what the load was for.
                took_it = f", in {load.seconds:g} s" if load.seconds is not None else ""
                text += f"; meanwhile {load.model.shown} was loaded{took_it} (line {load.ended.number})"
            state.say(Kind.CALL, place, text, None, "slow", seconds=call.seconds)


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.3g} s" if seconds < 100 else f"{minutes} min {rest} s"


def _within(ended: str, call: Request) -> bool:
    """Whether a load ended during a call. Both are in the server's own local time; GIN's have no zone."""
    try:
        local = datetime.fromisoformat(ended).replace(tzinfo=None)
        end = datetime.fromisoformat(call.at)
    except ValueError:
        return False
    return -1 <= (end - local).total_seconds() <= call.seconds + 1
