"""What fits, what is evicted by what, and what would still fit: all without a server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_policy.fit.settings import Found
from ollama_policy.fit.sums import Fit, Model, Settings
from ollama_policy.fit.text import Judged, Report, bar, text

MIB, GIB = 2**20, 2**30
LLAMA_8B: dict[str, Any] = {
    "general.architecture": "llama",
    "general.parameter_count": 8_030_000_000,
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 14336,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.context_length": 131072,
    "llama.vocab_size": 128256,
}
WEIGHTS = 4_661_211_808


def model(name: str, *, num_ctx: int = 4096, **changes: Any) -> Model:
    facts: dict[str, Any] = {"weights": name, "metadata": LLAMA_8B, "weights_bytes": WEIGHTS, "num_ctx": num_ctx}
    return Model(name, **(facts | changes))


def held(name: str, size: int, *, is_pinned: bool = False, keep_alive: int = 5) -> Model:
    return Model(name, weights=name, held_bytes=size, is_pinned=is_pinned, keep_alive=keep_alive)


def evicted(fit: Fit) -> dict[str, tuple[str, ...]]:
    return {verdict.need.model.name: verdict.evicts for verdict in fit.verdicts}


def fitting(fit: Fit) -> dict[str, bool]:
    return {verdict.need.model.name: verdict.fits for verdict in fit.verdicts}


def test_an_8b_takes_what_is_known_of_it() -> None:
    [need] = Fit([model("a")], Settings(16 * GIB)).needs
    assert need.parts is not None
    assert need.parts.kv_cache == 512 * MIB
    assert 5 * GIB < need.total < 6 * GIB


def test_pins_stay_and_the_one_that_comes_last_does_not_fit() -> None:
    fit = Fit([model("a", is_pinned=True), model("b", is_pinned=True), model("c", is_pinned=True)], Settings(12 * GIB))
    assert fitting(fit) == {"a": True, "b": True, "c": False}
    assert fit.fits is False
    assert fit.verdicts[2].missing_bytes == fit.pinned_bytes - 12 * GIB


def test_the_shortest_keep_alive_is_evicted_first_and_pins_stay() -> None:
    models = [
        held("pin", 4 * GIB, is_pinned=True),
        held("long", 4 * GIB, keep_alive=60),
        held("short", 4 * GIB, keep_alive=1),
    ]
    fit = Fit([*models, held("new", 4 * GIB)], Settings(13 * GIB, max_loaded=9))
    assert evicted(fit) == {"pin": (), "long": ("short",), "short": ("new",), "new": ("short",)}
    assert fit.fits is True
    assert set(evicted(Fit(models, Settings(13 * GIB, max_loaded=9))).values()) == {()}


def test_one_more_than_may_be_loaded_evicts_whatever_the_memory() -> None:
    models = [held("pin", MIB, is_pinned=True), held("one", MIB), held("two", MIB)]
    assert set(evicted(Fit(models, Settings(GIB, max_loaded=3))).values()) == {()}
    fit = Fit(models, Settings(GIB, max_loaded=2))
    assert evicted(fit) == {"pin": (), "one": ("two",), "two": ("one",)}
    assert fit.fits is True
    full = Fit(models, Settings(GIB, max_loaded=1))
    assert evicted(full)["one"] == ("pin",)
    assert full.fits is False


def test_one_that_does_not_fit_beside_the_pins_evicts_one() -> None:
    fit = Fit([held("pin", 6 * GIB, is_pinned=True), held("small", GIB), held("big", 5 * GIB)], Settings(10 * GIB))
    assert fitting(fit) == {"pin": True, "small": True, "big": False}
    assert evicted(fit)["big"] == ("small", "pin")
    assert fit.verdicts[2].missing_bytes == GIB


def test_from_0_30_on_a_fifth_of_what_is_free_is_left_free() -> None:
    models = [held("one", 5 * GIB), held("two", 9 * GIB // 2)]
    assert evicted(Fit(models, Settings(10 * GIB)))["two"] == ()
    assert evicted(Fit(models, Settings(10 * GIB, version=(0, 30, 0))))["two"] == ("one",)


def test_what_would_still_fit_does_and_more_does_not() -> None:
    settings = Settings(16 * GIB)
    fit = Fit([model("a", is_pinned=True), model("b", is_pinned=True)], settings)
    largest = fit.verdicts[0].largest_num_ctx
    assert largest is not None
    assert 4096 < largest < 131072
    for num_ctx, fits in ((largest, True), (largest + 256, False)):
        changed = [model("a", num_ctx=num_ctx, is_pinned=True), model("b", is_pinned=True)]
        assert (Fit(changed, settings).pinned_bytes <= 16 * GIB) is fits
    parallel = fit.largest_parallel
    assert parallel is not None
    for count, fits in ((parallel, True), (parallel + 1, False)):
        assert (Fit([one.model for one in fit.needs], settings._replace(num_parallel=count)).fits is True) is fits


def test_names_of_the_same_weights_have_one_runner() -> None:
    fit = Fit([model("a", is_pinned=True), model("b", weights="a", num_ctx=8192)], Settings(16 * GIB))
    assert fit.shared == {"a": "b"}
    assert [(need.model.name, need.model.is_pinned) for need in fit.needs] == [("b", True)]
    assert (fit.rivals, fit.fits) == ([("a", "b")], False), "a call of b reloads the runner, and the pin of a is lost"
    alike = Fit([model("a", is_pinned=True), model("b", weights="a")], Settings(16 * GIB))
    assert (alike.shared, alike.rivals, alike.fits) == ({"b": "a"}, [], True)
    both = Fit([model("a", is_pinned=True), model("b", weights="a", is_pinned=True)], Settings(16 * GIB))
    assert both.fits is False
    assert Fit([model("a"), model("b", weights="a", num_ctx=8192)], Settings(16 * GIB)).fits is True


def test_a_cache_is_quantised_only_where_flash_attention_is_asked_for() -> None:
    def cache(**variables: Any) -> int:
        [need] = Fit([model("a")], Settings(16 * GIB, **variables)).needs
        assert need.parts is not None
        return need.parts.kv_cache

    assert cache(kv_cache_type="q8_0") == cache()
    assert cache(kv_cache_type="q8_0", flash_attention=True) == cache() * 34 // 64


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (model("a", metadata={"general.architecture": "mamba"}), "mamba"),
        (model("a", metadata={}), "architecture"),
        (model("a", metadata={"general.architecture": "granite", "granite.expert_count": 8}), "with experts"),
        (model("a", metadata=LLAMA_8B | {"clip.has_vision_encoder": True}), "with a projector"),
        (model("a", problem="it is not on the server"), "it is not on the server"),
    ],
)
def test_what_is_not_known_is_said(one: Model, words: str) -> None:
    fit = Fit([one], Settings(16 * GIB))
    [(_, why)] = fit.unknown
    assert words in why
    assert fit.fits is None
    misfit = Fit([one, held("pin", 17 * GIB, is_pinned=True)], Settings(16 * GIB))
    assert misfit.fits is False, "what does not fit does not, whatever else there is"


def test_memory_that_nobody_says_and_a_prompt_cache_without_a_bound() -> None:
    assert Fit([model("a")], Settings(None)).fits is None
    [(_, why)] = Fit([model("a")], Settings(16 * GIB, prompt_cache_bytes=None)).unknown
    assert "LLAMA_ARG_CACHE_RAM" in why


@given(
    st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 9)), max_size=6),
    st.integers(1, 20),
    st.integers(1, 5),
)
def test_what_is_said_to_fit_is_never_more_than_there_is(
    sizes: list[tuple[int, bool, int]], memory: int, max_loaded: int
) -> None:
    models = [
        held(f"m{index}", size * GIB, is_pinned=is_pinned, keep_alive=keep_alive)
        for index, (size, is_pinned, keep_alive) in enumerate(sizes)
    ]
    fit = Fit(models, Settings(memory * GIB, max_loaded=max_loaded))
    pins = {need.model.name for need in fit.pinned}
    if fit.fits:
        assert fit.pinned_bytes <= memory * GIB
        assert all(fit.pinned_bytes + need.total <= memory * GIB for need in fit.automatic)
    for verdict in fit.verdicts:
        assert verdict.need.model.name not in verdict.evicts
        assert not (verdict.fits and pins & set(verdict.evicts))
    assert len(bar(fit)) == 42


def test_the_bar_and_the_lines() -> None:
    fit = Fit([held("a", 4 * GIB, is_pinned=True), held("b", 4 * GIB)], Settings(16 * GIB))
    assert bar(fit) == f"[{'#' * 10}{'=' * 10}{'.' * 20}]"
    over = Fit([held("a", 20 * GIB, is_pinned=True)], Settings(10 * GIB))
    assert bar(over) == f"[{'#' * 20}{'!' * 20}]"
    found = Found(over.settings, 4096, "Ollama's default", 5, "--memory", {}, [])
    lines = text(Report([Judged("http://one:11434", "0.17.4", over, found)], [("x.tf", "no\x1b[31m")])).splitlines()
    assert lines[0] == "http://one:11434, Ollama 0.17.4: does not fit"
    assert "\x1b" not in "".join(lines)
