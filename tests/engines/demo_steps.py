"""The demo's steps, in order: each shows what was run, and fails where what it claims is not so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ollama_provider.ollama.sizes import MIB
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.demo_story import Story, changes_shown, provider_lines, what_is_held

CALLS = 30
LEAST_GROWTH = 1.5  # MiB a call, without a bound: a prompt of 300 tokens of 8 KiB each is 2.4 MiB
MOST_GROWTH = 0.1  # of the runner's memory, over the second half of the calls, where it is bounded
CACHE_MIB = 16
STILL_SECONDS = 3

UNIT = """[Service]
ExecStart=/usr/bin/ollama serve
Environment=OLLAMA_KEEP_ALIVE=5m
MemoryMax=16G
"""


def automatic(story: Story) -> None:
    outcome = story.pulumi("up")
    story.claim("pulled and verified" in outcome.text, "the model was not pulled")
    story.memory_is("nothing")
    story.client_calls()
    story.memory_is("in 5m 0s", "good")


def never_released(story: Story) -> None:
    story.client_calls(keep_alive=-1)
    story.memory_is("forever", "bad")
    time.sleep(STILL_SECONDS)
    story.client_calls()
    story.memory_is("forever", "bad")
    story.note(f"{STILL_SECONDS} s and a call later: no timer runs any more, and no later call gives it one.")


def grows(story: Story) -> None:
    growth = story.grows_by(CALLS)
    each = sum(growth) / CALLS
    story.note(
        f"M = sum(m_i - r_i) = {sum(growth) / MIB:+.0f} MiB over {CALLS} calls: {each / MIB:+.1f} MiB each", "bad"
    )
    story.note("The runner keeps the state of each prompt, up to 8 GiB, and only an unload frees it.")
    story.claim(each >= LEAST_GROWTH, f"expected {LEAST_GROWTH} MiB a call or more: {each:.1f} MiB")


def cause_found(story: Story) -> None:
    (story.folder / "ollama.service").write_text(UNIT, encoding="utf-8")
    said = check(story)
    story.claim("OLL202" in said, "check did not find the prompt cache")


def capped(story: Story) -> None:
    added = f"Environment=LLAMA_ARG_CACHE_RAM={CACHE_MIB}"
    story.screen.line(f"+ {added}", "good")
    (story.folder / "ollama.service").write_text(UNIT + added + "\n", encoding="utf-8")
    said = check(story)
    story.claim("OLL202" not in said, "check still finds the prompt cache")
    story.note("The private Ollama restarts with it.", "quiet")
    story.server.environment["LLAMA_ARG_CACHE_RAM"] = str(CACHE_MIB)
    story.server.restart()
    story.memory_is("nothing")


def manual(story: Story) -> None:
    story.screen.line('- memory_management: "automatic"', "bad")
    story.screen.line('+ memory_management: "manual"', "good")
    story.pulumi("config", "set", "memory_management", "manual")
    outcome = story.pulumi("up")
    change = '~ memory_management: "automatic" => "manual"'
    story.claim(change in changes_shown(outcome.text), f"Pulumi did not show {change}")
    story.memory_is("forever", "good")
    pinned = story.stack.outputs()["pinned"]
    story.claim(pinned is True, f"the state says pinned: {pinned}")
    story.note("Now it is declared who releases: a refresh watches it, a destroy gives the memory back.")


def steady(story: Story) -> None:
    growth = story.grows_by(CALLS)
    half = sum(growth[CALLS // 2 :])
    share = half / story.server.runner_resident_bytes()
    story.note(f"M = {half / MIB:+.1f} MiB over the last {CALLS // 2} calls: {share:+.1%}", "good")
    story.claim(share <= MOST_GROWTH, f"expected the runner to grow by at most {MOST_GROWTH:.0%}: {share:.1%}")
    story.memory_is("forever", "good")


def pin_dropped(story: Story) -> None:
    story.client_calls(options={"num_ctx": 512})
    story.memory_is("in 5m 0s", "bad")
    story.note("Ollama reloaded the model for it, and the operator's pin is gone. Nobody was told.")


def drift_shown(story: Story) -> None:
    outcome = story.pulumi("refresh")
    has_drift = any(line.startswith('+ drift: "pin lost') for line in changes_shown(outcome.text))
    story.claim(has_drift, "no drift was found")


def fixed(story: Story) -> None:
    story.pulumi("up")
    story.memory_is("forever", "good")


def destroyed(story: Story) -> None:
    before = what_is_held(story.server)
    outcome = story.pulumi("destroy")
    order = provider_lines(outcome.text, story.model)
    story.claim(order == ["unloading", "out of memory", "deleted"], f"expected to unload, then to delete: {order}")
    story.memory_is("nothing")
    after = what_is_held(story.server)
    rows = [(what, before[what], after[what]) for what in before]
    story.screen.table([("WHAT IS HELD", "BEFORE", "AFTER"), *rows], "good")
    left = [after[what] for what in ("runner processes", "their RSS", "models on disk")]
    story.claim(left == ["0", "0 MiB", "0"], f"something is left: {after}")


@dataclass(frozen=True)
class Step:
    headline: str
    show: Callable[[Story], None]


_BEFORE = (
    Step('memory_management = "automatic": whoever calls decides when the memory returns', automatic),
    Step("A client pins the model with keep_alive -1: the memory is not released", never_released),
)
_PROMPT_CACHE = (
    Step("Memory grows with every call, and /api/ps says nothing of it", grows),
    Step("ollama-policy check finds the cause in the server's configuration", cause_found),
    Step("The cap bounds it", capped),
)
_AFTER = (
    Step('memory_management = "manual": the operator holds the memory, by declaration', manual),
    Step("Different prompts again: the runner's memory is flat", steady),
    Step("A client calls with another num_ctx: the pin is silently lost", pin_dropped),
    Step("pulumi refresh shows it as drift", drift_shown),
    Step("pulumi up fixes it", fixed),
    Step("pulumi destroy: out of memory first, then deleted", destroyed),
)


def steps_of(version_text: str) -> Sequence[Step]:
    """The story of one version of Ollama: before 0.30 there is no prompt cache that grows."""
    grows_with_calls = Behavior.PROMPT_CACHE.holds(version_in(version_text), if_unknown=True)
    return (*_BEFORE, *(_PROMPT_CACHE if grows_with_calls else ()), *_AFTER)


def check(story: Story) -> str:
    return story.policy("check", "ollama.service")
