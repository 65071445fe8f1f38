"""What fits, what is evicted by what, and what would still fit: all without a server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_policy.commands.fit.text import Judged, Report, bar, text, verdict_of
from ollama_policy.live.capacity.settings import Found
from ollama_policy.live.capacity.sums import Fit, Model, Settings
from ollama_provider.ollama.versions import Version

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


def of_architecture(name: str) -> dict[str, Any]:
    """The metadata, as if they were of another one."""
    return {key.replace("llama.", f"{name}."): value for key, value in LLAMA_8B.items()} | {
        "general.architecture": name
    }


def model(name: str, *, num_ctx: int = 4096, **changes: Any) -> Model:
    facts: dict[str, Any] = {"weights": name, "metadata": LLAMA_8B, "weights_bytes": WEIGHTS, "num_ctx": num_ctx}
    return Model(name, **(facts | changes))


def held(name: str, size: int, *, is_pinned: bool = False, keep_alive: int = 5) -> Model:
    return Model(name, weights=name, held_bytes=size, is_pinned=is_pinned, keep_alive=keep_alive)


def before_0_30(memory: int, **variables: Any) -> Settings:
    return Settings(memory, version=(0, 17, 4), **variables)


def evicted(fit: Fit) -> dict[str, tuple[str, ...]]:
    return {verdict.need.model.name: verdict.evicts for verdict in fit.verdicts}


def judged(fit: Fit) -> Judged:
    return Judged(
        "http://one:11434", "0.34.3", fit, Found(fit.settings, 4096, "Ollama's default", 5, "--memory", {}, [])
    )


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
    fit = Fit([*models, held("new", 4 * GIB)], before_0_30(13 * GIB, max_loaded=9))
    assert evicted(fit) == {"pin": (), "long": ("short",), "short": ("new",), "new": ("short",)}
    assert fit.fits is True
    assert set(evicted(Fit(models, before_0_30(13 * GIB, max_loaded=9))).values()) == {()}


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
    fit = Fit([held("pin", 6 * GIB, is_pinned=True), held("small", GIB), held("big", 5 * GIB)], before_0_30(10 * GIB))
    assert fitting(fit) == {"pin": True, "small": True, "big": False}
    assert evicted(fit)["big"] == ("small", "pin")
    assert fit.verdicts[2].missing_bytes == GIB


def test_from_0_30_on_a_fifth_of_what_is_free_with_a_gpu_is_left_free() -> None:
    models = [held("one", 5 * GIB), held("two", 9 * GIB // 2)]
    assert evicted(Fit(models, before_0_30(10 * GIB)))["two"] == ()
    assert evicted(Fit(models, Settings(2 * GIB, 8 * GIB, version=(0, 30, 0))))["two"] == ("one",)


@pytest.mark.parametrize("version", [None, (0, 30, 0), (0, 34, 3), (0, 99, 0)])
def test_from_0_30_on_nothing_makes_room_on_a_cpu_and_the_kernel_kills(version: Version | None) -> None:
    models = [held("a", 300 * MIB), held("b", 300 * MIB)]
    fit = Fit(models, Settings(512 * MIB, version=version))
    assert (fit.fits, set(evicted(fit).values())) == (False, {()})
    assert [verdict.missing_bytes for verdict in fit.verdicts] == [88 * MIB] * 2
    assert verdict_of(fit) == "does not fit, the kernel would kill"
    old = Fit(models, before_0_30(512 * MIB))
    assert (old.fits, verdict_of(old)) == (True, "fits, with evictions")
    assert Fit(models, Settings(512 * MIB, max_loaded=1, version=version)).fits is True, "one takes the other's place"


def test_on_a_cpu_the_largest_that_may_be_loaded_at_once_count() -> None:
    models = [held("a", 3 * GIB, keep_alive=1), held("b", GIB), held("c", 2 * GIB), held("d", GIB)]
    assert Fit(models, Settings(6 * GIB)).fits is True
    fit = Fit(models, Settings(6 * GIB - 1))
    assert fitting(fit) == {"a": False, "b": False, "c": False, "d": False}
    assert evicted(fit)["d"] == ("a",), "a fourth takes the place of one"
    pins = Fit([held(name, MIB, is_pinned=True) for name in "abcd"], Settings(GIB))
    assert (pins.fits, evicted(pins)["d"]) == (False, ("a",)), "and of a pin"


def test_what_a_load_takes_and_what_a_runner_may_grow_to_are_two_things() -> None:
    small = model(
        "a", metadata=LLAMA_8B | {"llama.block_count": 1, "general.parameter_count": 0}, weights_bytes=2 * MIB
    )
    fit = Fit([small], Settings(16 * GIB, prompt_cache_bytes=8 * GIB))
    assert (fit.fits, fit.outgrows) == (True, False)
    fit = Fit([small], Settings(8 * GIB, prompt_cache_bytes=8 * GIB))
    assert (fit.fits, fit.outgrows) == (True, True)
    [need] = fit.needs
    assert (need.growth, need.total) == (8 * GIB, fit.together_bytes)
    assert need.parts is not None
    assert need.new_state == need.parts.kv_cache > 0, "made before the oldest is dropped"
    assert fit.grown_bytes == need.total + 8 * GIB + need.new_state
    lines = text(Report([judged(fit)], []))
    assert "fits, and may outgrow the memory" in lines
    assert "may grow by 8 GiB: bound it with LLAMA_ARG_CACHE_RAM" in lines
    bounded = fit.settings._replace(prompt_cache_bytes=fit.largest_prompt_cache // MIB * MIB)
    assert Fit([small], bounded).outgrows is False
    assert Fit([small], Settings(8 * GIB, prompt_cache_bytes=8 * GIB, version=(0, 17, 4))).outgrows is False


def test_a_full_cache_has_room_for_one_more_state_of_a_request() -> None:
    for parallel in (1, 4):
        settings = Settings(16 * GIB, num_parallel=parallel, prompt_cache_bytes=32 * MIB)
        [need] = Fit([model("a")], settings).needs
        assert (need.growth, need.new_state) == (32 * MIB, 512 * MIB), "of one request, however many there are at once"
        for cap in (0, -1):
            [other] = Fit([model("a")], settings._replace(prompt_cache_bytes=cap)).needs
            assert other.new_state == 0


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


def test_a_model_of_which_only_some_contexts_are_known_is_judged() -> None:
    layers = {**LLAMA_8B, "llama.block_count": 1024}
    [verdict] = Fit([model("a", metadata=layers)], Settings(2 * GIB)).verdicts
    assert (verdict.fits, verdict.largest_num_ctx, verdict.largest_parallel) == (False, None, None)


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


def test_before_0_30_a_cache_is_quantised_only_where_flash_attention_is_asked_for() -> None:
    def cache(**variables: Any) -> int:
        [need] = Fit([model("a")], Settings(16 * GIB, **variables)).needs
        assert need.parts is not None
        return need.parts.kv_cache

    old = (0, 17, 4)
    assert cache(kv_cache_type="q8_0", version=old) == cache(version=old)
    assert cache(kv_cache_type="q8_0", flash_attention=True, version=old) == cache() * 34 // 64
    assert cache(kv_cache_type="q8_0") == cache() * 34 // 64, "from 0.30 on it is automatic"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (model("a", metadata=of_architecture("other")), "'other' is not known"),
        (model("a", metadata={}), "architecture"),
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


def test_memory_that_nobody_says() -> None:
    assert Fit([model("a")], Settings(None)).fits is None


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
    lines = text(Report([judged(over)], [("x.tf", "no\x1b[31m")])).splitlines()
    assert lines[0] == "http://one:11434, Ollama 0.34.3: does not fit, the kernel would kill"
    assert "evict" not in "".join(lines)
    assert "\x1b" not in "".join(lines)


def test_one_that_is_there_and_only_embeds_keeps_no_prompts() -> None:
    chat, embed = held("chat", GIB, is_pinned=True), held("embed", GIB, is_pinned=True)._replace(keeps_prompts=False)
    fit = Fit([chat, embed], Settings(16 * GIB, prompt_cache_bytes=GIB))
    assert [need.growth for need in fit.needs] == [GIB, 0]
