"""How models leave memory: put out for others, expired, unloaded, or dead."""

from typing import Final

from ollama_policy.commands.logs.event import Kind, Place
from ollama_policy.commands.logs.events.caches import Caches
from ollama_policy.commands.logs.model import Load, Model
from ollama_policy.commands.logs.state import FOR_EVER, Fields, Handler, State


class Leaving:
    """Knows why models are on their way out, and who is dead."""

    def __init__(self, state: State, caches: Caches) -> None:
        self._state = state
        self._caches = caches
        self._cause = ""  # why the next runner that is put out is
        self._short: Place | None = None  # a line by which some model has to go, before the one that says which
        self._wanted: Model | None = None  # the one that all others have to go for
        self._dead: set[str] = set()  # those whose death was said; "" for one that is not known
        self._missing = 0, ""  # how many of which models left, as it was said last
        self._death: tuple[Place, str, str] | None = None  # one that is not known yet whose it is

    # Put out.

    def caused(self, cause: str) -> Handler:
        def handle(place: Place, line: Fields) -> None:
            self._cause = cause

        return handle

    def is_short(self, place: Place, line: Fields) -> None:
        self.put_out_unnamed(self._state.load.model if self._state.load else None)
        self._short, self._cause = place, "memory"

    def put_out(self, place: Place, line: Fields) -> None:
        state = self._state
        model, cause = state.runner(line), self._cause
        self._cause, self._short = "", None
        if model is None:
            return
        model.leaving = cause
        if model.digest in self._dead or self._death is not None:
            self.settle(model)
            model.leaving = "died"
            return
        if cause == "options":
            state.say(Kind.RELOAD, place, "unloaded to be loaded again: a client asked for other options", model, cause)
            return
        for_whom = f" for {state.load.model.shown}" if state.load else ""
        text = f"evicted to make room{for_whom}: {WHY.get(cause, WHY[''])}"
        state.say(Kind.EVICTED, place, text, model, cause)

    def put_out_unnamed(self, wanted: Model | None) -> None:
        """One that had to go and that no line names: at the usual level there is none."""
        place, self._short = self._short, None
        if place is None:
            return
        others = [model for model in self._state.resident if model is not wanted]
        model = others[0] if len(others) == 1 else None
        if model:
            self._gone(model)
        for_whom = f" for {wanted.shown}" if wanted else ""
        self._cause = ""
        self._state.say(Kind.EVICTED, place, f"evicted to make room{for_whom}: {WHY['memory']}", model, "memory")

    def makes_room_for(self, model: Model | None) -> None:
        """A load that failed for lack of memory is tried once more, for which others may have to go."""
        self._wanted = model

    def all_put_out(self, place: Place, line: Fields) -> None:
        """All but the one that is loaded, for its second try."""
        wanted, self._wanted = self._wanted, None
        for_whom = f" for {wanted.shown}" if wanted else ""
        for model in self._state.resident:
            if model is not wanted:
                text = f"evicted to make room{for_whom}: {WHY['oom']}{_pin(model)}"
                self._state.say(Kind.EVICTED, place, text, model, "oom")
                self._gone(model, "oom")

    def ran_out(self, place: Place, line: Fields) -> None:
        """A runner ran out of memory during an answer: Ollama puts out all that is loaded, and no pin holds."""
        state = self._state
        path = line.get("model", "")
        model = state.model(path) if path else None
        resident = state.resident
        others = sorted(one.shown + _pin(one) for one in resident if one is not model)
        text = "memory ran out during an answer: every model is unloaded, pinned ones too, before the next call"
        text += _pin(model) if model else ""
        text += f" ({'with it: ' if model else ''}{', '.join(others)})" if others else ""
        text += f": {line.get('error', '?')}"
        state.say(Kind.OOM, place, text[:500], model, models=[one.digest for one in resident])
        for one in resident:
            state.say(Kind.EVICTED, place, f"unloaded: {WHY['answer']}{_pin(one)}", one, "answer")
            self._gone(one, "answer")

    # Left by itself, or by a call.

    def expired(self, place: Place, line: Fields) -> None:
        model = self._state.runner(line)
        if model:
            model.leaving = "expired"
            self._state.say(Kind.EXPIRED, place, "its keep_alive ended", model)

    def not_kept(self, place: Place, line: Fields) -> None:
        model = self._state.runner(line)
        if model:
            model.leaving = model.leaving or "zero"

    def failed_leaves(self, place: Place, line: Fields) -> None:
        model = self._state.runner(line)
        if model:
            model.leaving = "failed"

    def idle(self, place: Place, line: Fields) -> None:
        model = self._state.runner(line)
        if model is None:
            return
        is_pinned = line.get("duration") == FOR_EVER
        if is_pinned and not model.is_pinned and self._state.settings.get("OLLAMA_KEEP_ALIVE") != FOR_EVER:
            self._state.say(Kind.PINNED, place, "a client's keep_alive keeps it forever", model, "client")
        model.is_pinned = is_pinned

    def unloaded(self, place: Place, line: Fields) -> None:
        model = self._state.runner(line)
        if model is None:
            return
        cause = model.leaving or "asked"
        self._gone(model)
        given_back = line.get("runner.size", "")
        text = f"unloaded, {given_back} given back: {WHY[cause]}"
        self._state.say(Kind.UNLOADED, place, text, model, cause, size=given_back)

    def stopped(self, place: Place, line: Fields) -> None:
        """MLX's runner is ended, for whatever cause: at the usual level, and without a name."""
        state = self._state
        of_mlx = [model for model in state.resident if model.is_mlx]
        if (state.load and state.load.model.is_mlx) or not of_mlx:
            return  # of a load that failed, which has lines of its own; or one that left before
        model = of_mlx[0] if len(of_mlx) == 1 else None
        cause = model.leaving if model else ""
        if model:
            self._gone(model)
        state.say(Kind.UNLOADED, place, f"MLX's runner is stopped: {WHY[cause]}", model, cause, size="")

    def shut_down(self, place: Place, line: Fields) -> None:
        path = line.get("model", "")
        model = (self._state.named(path) or self._state.model(path)) if path else None
        if model:
            self._gone(model)
            self._state.say(Kind.UNLOADED, place, "unloaded: the server stops", model, "server")

    def kept(self, place: Place, line: Fields) -> None:
        text = f"the GPU's memory did not come back: {line.get('free_before', '?')} were free before the unload"
        text += f", {line.get('free_now', '?')} after {line.get('seconds', '?')[:5]} s"
        self._state.say(Kind.KEPT, place, text, self._state.runner(line), "gpu")

    def still_loaded(self, place: Place, line: Fields) -> None:
        model = self._state.model(line.get("new_runner.model", ""))
        self._state.say(
            Kind.KEPT, place, "a second runner of the same model was started beside the first", model, "twice"
        )

    def missing(self, load: Load) -> None:
        """Who has left without a word, by the number of runners that Ollama counts."""
        state = self._state
        others = [model for model in state.resident if model is not load.model]
        assert load.counted is not None
        if load.count is None or len(others) + 1 <= load.count:
            return
        gone = len(others) + 1 - load.count
        words = f"Ollama counts only {load.count} in memory"
        limit = state.settings.get("OLLAMA_MAX_LOADED_MODELS", "0")
        words += f", and OLLAMA_MAX_LOADED_MODELS is {limit}" if limit == str(load.count) else ""
        if gone < len(others):
            names = ", ".join(sorted(model.shown for model in others))
            if (gone, names) == self._missing:
                return
            self._missing = gone, names
            state.say(Kind.GONE, load.counted, f"{words}: {gone} of {names} left memory before", cause="count")
            return
        for model in others:
            self._gone(model)
            state.say(Kind.GONE, load.counted, f"left memory before: {words}", model, cause="count")

    # Dead.

    def died(self, place: Place, line: Fields) -> None:
        how = line.get("string") or line.get("error") or "no reason is given"
        self.dies(place, how, "killed" if "killed" in how else "crash")

    def terminated(self, place: Place, line: Fields) -> None:
        """The end of a llama-server that had written an error before; Ollama itself kills one that it unloads.

        One that somebody else killed is found at the model's next call.
        """
        if self._state.load or "killed" not in line.get("error", ""):
            self.died(place, line)

    def dies(self, place: Place, how: str, cause: str) -> None:
        """A runner ended. Whose it was is known where one alone is there, or by the model that is loaded next."""
        state = self._state
        if state.load:
            state.load.end = state.load.end or (place, how, cause)
            return  # a line about the load that failed follows
        model = state.only_resident()
        if model is None and state.resident:
            if self._death is None and "" not in self._dead:
                self._death = place, how, cause
            return
        self._say_death(place, how, cause, model)

    def settle(self, model: Model | None = None) -> None:
        """Whose an open death is: that of the model that is loaded now, if it was in memory; else it is not known."""
        death, self._death = self._death, None
        if death is not None:
            self._say_death(*death, model if model and model.is_resident else None)

    def _say_death(self, place: Place, how: str, cause: str, model: Model | None) -> None:
        key = model.digest if model else ""
        if key in self._dead or (self._dead and not model):
            return  # each call that finds it dead says it again
        self._dead.add(key)
        if model:
            self._gone(model)
        names = ", ".join(sorted(one.shown for one in self._state.resident)[:5])
        whose = f"one of {names}: the line does not say which" if names else "the log does not show of which model"
        of_whom = "" if model else f" ({whose})"
        self._state.say(Kind.DIED, place, f"the runner ended: {how}{of_whom}", model, cause)

    def has_loaded(self, model: Model) -> None:
        self._dead.clear()

    def has_failed(self) -> None:
        """A load came to nothing: what ended it was said with it."""
        self._cause = ""

    def forget(self) -> None:
        """The server starts: nothing is in memory."""
        self.settle()
        for model in self._state.models.values():
            model.is_resident, model.leaving = False, ""
        self._short, self._wanted, self._cause, self._missing = None, None, "", (0, "")
        self._dead.clear()

    def _gone(self, model: Model, leaving: str = "") -> None:
        model.is_resident = model.is_pinned = False
        model.leaving = leaving
        self._caches.end(model)


WHY: Final = {
    "": "Ollama logs no cause",
    "memory": "memory is short",
    "oom": "a load that had failed for lack of memory is tried once more without them",
    "answer": "memory had run out during an answer",
    "count": "OLLAMA_MAX_LOADED_MODELS allows no more",
    "options": "it comes back with other options",
    "expired": "its keep_alive had ended",
    "zero": "its keep_alive was 0",
    "asked": "somebody asked for it, as `ollama stop` does",
    "failed": "its load had failed",
    "died": "the runner had ended by itself",
}


def _pin(model: Model) -> str:
    return " (it was kept forever)" if model.is_pinned else ""
