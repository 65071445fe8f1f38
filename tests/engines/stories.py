"""What must hold under every engine, on a real Ollama: changes, drift and release.

A story is told once: the module of an engine's stories imports all of them, and says in the fixture `driver` what plays
them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.drift import second_name
from ollama_provider.ollama.names import ModelName
from tests.engines.drivers import Driver
from tests.engines.observing import call, count, installed, pinned, resident, seconds_left, wait_until, watching
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.toolchain import Ollama

MANUAL = {"memory_management": "manual"}
NOTHING: dict[str, str] = {}
UPDATE = {"m": "update"}


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


def applied(driver: Driver, **models: dict[str, Any]) -> dict[str, str]:
    driver.declare(**models)
    return driver.apply()


def test_a_second_apply_changes_nothing_pulls_nothing_and_loads_nothing(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    assert applied(driver, m=model | MANUAL) == {"m": "create"}
    assert pinned(ollama) == [model["name"]]
    since = ollama.mark()
    assert driver.apply() == driver.drifted() == driver.plan() == NOTHING
    assert count(ollama, since, "/api/pull") == count(ollama, since, "/api/generate") == 0


def test_every_change_of_memory_is_one_update_and_pulls_nothing(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    applied(driver, m=model | {"memory_management": "automatic"})
    assert resident(ollama) == []
    since = ollama.mark()

    def change_to(**memory: Any) -> None:
        assert applied(driver, m=model | memory) == UPDATE
        assert (driver.outputs("m")["drift"], "warning" in driver.said.lower()) == ("", False)

    change_to(memory_management="manual")
    assert pinned(ollama) == [model["name"]]
    change_to(memory_management="automatic", keep_alive="5m")
    assert resident(ollama) == [model["name"]]
    assert 200 < seconds_left(ollama, model["name"]) <= 300
    change_to(memory_management="manual")
    assert pinned(ollama) == [model["name"]]
    change_to(memory_management="manual", resident=False)
    assert resident(ollama) == []
    assert ollama.runners() == []
    change_to(memory_management="manual")
    assert pinned(ollama) == [model["name"]]
    assert driver.outputs("m").get("resident") is not False, "an attribute that was removed has its default again"
    change_to()
    assert (driver.outputs("m")["pinned"], resident(ollama)) == (False, []), "a pin of ours goes with its declaration"
    assert driver.drifted() == NOTHING
    assert count(ollama, since, "/api/pull") == 0


def test_a_pin_that_nothing_bounds_is_a_warning_with_both_cures_and_never_a_change(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    applied(driver, m=model | {"memory_management": "automatic"})
    assert "never released" not in driver.said
    call(ollama, model["name"], keep_alive=-1)
    for command in (driver.drifted, driver.plan):
        command()
        assert "is never released" in driver.said
        assert all(cure in driver.said for cure in ('keep_alive = "5m"', 'memory_management = "manual"'))
    assert driver.plan() == NOTHING
    outputs = driver.outputs("m")
    assert (outputs["drift"], outputs["pinned"], pinned(ollama)) == ("", True, [model["name"]])
    assert applied(driver, m=model | {"keep_alive": "5m"}) == UPDATE
    assert seconds_left(ollama, model["name"]) <= 300


def test_the_same_in_other_words_is_no_change(driver: Driver, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("tiny", tiny)
    applied(driver, m={"name": "tiny", "keep_alive": "5m", "host": ollama.url})
    assert applied(driver, m={"name": "Tiny:latest", "keep_alive": "300s", "host": f"{ollama.url}/"}) == NOTHING


def test_a_new_name_is_there_before_the_old_one_is_touched_and_then_the_old_one_goes(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    registry.push("other:latest", ggufs(1))
    old, new = model["name"], registry.reference("other:latest")
    applied(driver, m=model | MANUAL)
    since = ollama.mark()
    with watching(ollama) as moments:
        assert applied(driver, m=model | MANUAL | {"name": new}) == UPDATE
    assert all(new in moment.installed for moment in moments if old not in moment.pinned)
    assert all(old in moment.installed for moment in moments if new not in moment.pinned)
    assert all(moment.runners <= 1 for moment in moments), "never both in memory"
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert list(installed(ollama)) == pinned(ollama) == [new]
    assert driver.plan() == NOTHING


def test_destroying_one_of_two_names_on_one_blob_leaves_the_files_and_the_pin_of_the_other(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("twin:latest", tiny)
    applied(driver, m=model | MANUAL, twin=model | {"name": registry.reference("twin:latest")})
    [runner] = ollama.runners()
    assert applied(driver, m=model | MANUAL) == {"twin": "delete"}
    assert list(installed(ollama)) == pinned(ollama) == [model["name"]]
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    call(ollama, model["name"])


@pytest.mark.both_engines
def test_a_tag_that_moved_under_a_pinned_model_takes_its_place_without_an_orphan(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    applied(driver, m=model | MANUAL | {"pull_policy": "always"})
    old = installed(ollama)[model["name"]]
    new = registry.push("tiny:latest", ggufs(1))
    assert old != new
    since = ollama.mark()
    with watching(ollama) as moments:
        assert driver.apply() == UPDATE
    assert [(entry["name"], entry["digest"]) for entry in ollama.ps()] == [(model["name"], new)]
    assert pinned(ollama) == [model["name"]]
    assert installed(ollama) == {model["name"]: new}, "the second name of the old content is gone"
    assert driver.outputs("m")["digest"] == new
    assert len(ollama.runners()) == 1
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert all(moment.digests <= {old} or moment.digests <= {new} for moment in moments)


def test_new_parameters_of_a_pinned_variant_take_the_place_of_the_old_ones_without_an_orphan(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    variant = {"name": "variant", "base": model["name"], "insecure": True} | MANUAL
    parameters = {"num_ctx": 512, "temperature": 0.1, "stop": ["<a>", "b"]}
    applied(driver, v=variant | {"parameters": parameters})
    assert [entry["context_length"] for entry in ollama.ps()] == [512]
    assert driver.plan() == NOTHING
    assert applied(driver, v=variant | {"parameters": parameters | {"num_ctx": 1024}}) == {"v": "update"}
    assert [(entry["name"], entry["context_length"]) for entry in ollama.ps()] == [("variant:latest", 1024)]
    assert pinned(ollama) == ["variant:latest"]
    assert installed(ollama).keys() == {"variant:latest", model["name"]}
    assert driver.plan() == NOTHING


def test_where_the_new_content_does_not_load_the_old_one_is_back_under_its_name_and_pinned(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    applied(driver, m=model | MANUAL | {"pull_policy": "always"})
    old = installed(ollama)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("tiny:latest", broken)
    assert f"he load of {model['name']}" in driver.refused()
    assert installed(ollama) == old
    assert pinned(ollama) == [model["name"]]
    assert driver.plan() == UPDATE, "it is not tainted"
    call(ollama, model["name"])


def test_a_base_and_its_variant_cannot_both_be_resident_and_nothing_is_done(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    variant = {"name": "variant", "base": model["name"], "insecure": True} | MANUAL
    driver.declare(m=model | MANUAL, v=variant)
    assert "one resident model for each weights file" in driver.refused_plan()
    # Where the configuration does not show it, the server does.
    driver.declare(v=variant)
    ollama.call("POST", "/api/pull", {"model": model["name"], "insecure": True, "stream": False})
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": -1, "stream": False})
    assert f"{model['name']} is pinned on the same weights" in driver.refused()
    assert installed(ollama).keys() == {model["name"]}
    assert pinned(ollama) == [model["name"]]


def test_another_digest_than_the_declared_one_is_an_error_and_the_old_model_stays(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    old = registry.push("tiny:latest", ggufs(0))
    applied(driver, m=model | MANUAL | {"digest": f"sha256:{old}"})
    assert driver.plan() == NOTHING
    other = registry.push("tiny:latest", ggufs(1))
    expected = "0" * 64
    driver.declare(m=model | MANUAL | {"digest": expected})
    assert f"expected digest {expected}, and {other} came" in driver.refused()
    assert installed(ollama) == {model["name"]: old}
    assert pinned(ollama) == [model["name"]]
    assert applied(driver, m=model | MANUAL | {"digest": other}) == UPDATE
    assert installed(ollama) == {model["name"]: other}


def test_a_plan_shows_exactly_what_drifted_and_an_apply_fixes_exactly_that(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("other:latest", tiny)
    applied(driver, m=model | MANUAL, other={"name": registry.reference("other:latest"), "insecure": True})

    def shows_and_fixes(words: str) -> None:
        assert driver.drifted() == driver.plan() == UPDATE
        assert words in driver.outputs("m")["drift"]
        since = ollama.mark()
        assert driver.apply() == UPDATE
        assert (driver.outputs("m")["drift"], pinned(ollama)) == ("", [model["name"]])
        assert count(ollama, since, "/api/pull") == 0

    call(ollama, model["name"], keep_alive="10m")
    shows_and_fixes("pin lost")
    call(ollama, model["name"], options={"num_ctx": 1024, "num_predict": 2})
    shows_and_fixes("pin lost")
    call(ollama, model["name"], keep_alive=0)
    wait_until(lambda: not ollama.ps(), "the model is unloaded")
    shows_and_fixes("not in memory")
    ollama.restart()
    shows_and_fixes("not in memory")
    assert driver.plan() == NOTHING


def test_a_pin_by_a_client_is_drift_of_an_automatic_model_and_an_apply_sets_its_timer_without_a_reload(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    options = {"num_ctx": 512, "num_predict": 2}
    applied(driver, m=model | {"keep_alive": "5m"})
    call(ollama, model["name"], keep_alive="5m")
    assert driver.drifted() == NOTHING, "a model that comes and goes is not drift"
    call(ollama, model["name"], keep_alive=-1, options=options)
    [runner] = ollama.runners()
    assert driver.drifted() == UPDATE
    assert driver.outputs("m")["drift"].startswith("pinned by a client")
    assert driver.apply() == UPDATE
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    assert 200 < seconds_left(ollama, model["name"]) <= 300
    call(ollama, model["name"], keep_alive="24h", options=options)
    assert driver.drifted() == UPDATE
    assert driver.outputs("m")["drift"].startswith("held in memory for longer")


def test_a_model_deleted_behind_our_back_is_gone_after_a_refresh_and_back_after_an_apply(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    applied(driver, m=model | MANUAL)
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    assert driver.drifted() == {"m": "delete"}
    assert driver.apply() == {"m": "create"}
    assert list(installed(ollama)) == pinned(ollama) == [model["name"]]
    assert len(ollama.runners()) == 1


@pytest.mark.both_engines
def test_destroy_gives_the_memory_back_before_it_deletes_and_gone_is_success(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    applied(driver, m=model | MANUAL)
    with watching(ollama) as moments:
        driver.destroy()
    assert all(model["name"] in moment.installed for moment in moments if moment.runners)
    assert (ollama.ps(), ollama.tags(), ollama.runners()) == ([], [], [])
    driver.apply()
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": 0, "stream": False})
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    driver.destroy()


@pytest.mark.parametrize(("on_destroy", "stays_in_memory"), [("unload", False), ("keep", True)])
def test_destroy_leaves_what_on_destroy_says(
    driver: Driver, ollama: OllamaServer, model: dict[str, Any], on_destroy: str, stays_in_memory: bool
) -> None:
    applied(driver, m=model | MANUAL | {"on_destroy": on_destroy})
    driver.destroy()
    assert list(installed(ollama)) == [model["name"]]
    assert pinned(ollama) == ([model["name"]] if stays_in_memory else [])


def test_a_plan_of_fifty_models_asks_the_server_at_most_four_times(
    driver: Driver, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    names = [f"tiny{number}" for number in range(50)]
    for name in names:
        ollama.call("POST", "/api/copy", {"source": "tiny", "destination": name}).raise_for_status()
    digest = installed(ollama)["tiny:latest"]
    models = {name: {"name": name, "digest": f"sha256:{digest}"} for name in names}
    assert applied(driver, **models) == dict.fromkeys(names, "create")
    since = ollama.mark()
    assert driver.plan() == NOTHING
    assert len(ollama.requests(since)) <= 4


def test_a_new_content_that_was_cut_off_is_gone_on_with(
    driver: Driver, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    """As after kill -9 between the pull and the load: the second name is there, the old runner is still pinned."""
    name = model["name"]
    applied(driver, m=model | MANUAL)
    second = str(second_name(ModelName.parse(name)))
    ollama.call("POST", "/api/copy", {"source": name, "destination": second}).raise_for_status()
    new = registry.push("tiny:latest", ggufs(1))
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False}).raise_for_status()
    assert driver.drifted() == UPDATE
    assert driver.outputs("m")["drift"].startswith("an apply was cut off")
    assert driver.apply() == UPDATE
    assert [(entry["name"], entry["digest"]) for entry in ollama.ps()] == [(name, new)]
    assert (installed(ollama), pinned(ollama)) == ({name: new}, [name])
    assert second not in json.dumps(driver.outputs("m"))


def test_another_host_means_another_model_and_the_old_one_goes_when_the_new_one_is_there(
    driver: Driver, ollama: OllamaServer, engine: Ollama, model: dict[str, Any], tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path / "other") as other:
        applied(driver, m=model | MANUAL | {"host": ollama.url})
        assert driver.plan() == NOTHING
        driver.declare(m=model | MANUAL | {"host": other.url})
        assert driver.plan() == {"m": "replace"}
        driver.apply()
        assert pinned(other) == [model["name"]]
        assert (ollama.tags(), ollama.runners()) == ([], [])


def test_a_local_file_that_is_gone_stops_no_change_and_no_destroy(
    driver: Driver, ollama: OllamaServer, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(tiny.read_bytes())
    local = {"name": "mine", "gguf": str(file)}
    applied(driver, m=local)
    file.unlink()
    assert driver.plan() == NOTHING
    assert applied(driver, m=local | MANUAL) == UPDATE
    assert pinned(ollama) == ["mine:latest"]
    driver.destroy()
    assert (ollama.tags(), resident(ollama)) == ([], [])
    assert "gguf" in driver.refused_plan(), "a file that is to be uploaded has to be there"
