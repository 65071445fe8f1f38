"""What must hold with the real Terraform on a real Ollama: changes, drift and release. One row of the table a test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.drift import second_name
from ollama_provider.ollama.names import ModelName
from tests.conftest import TerraformMaker
from tests.engines.observing import call, count, installed, pinned, resident, seconds_left, wait_until, watching
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack, configuration
from tests.engines.toolchain import Ollama

pytestmark = pytest.mark.engines
M = "ollama_model.m"
MANUAL = {"memory_management": "manual"}


def drift(stack: TerraformStack) -> str:
    return str(stack.state()[M]["drift"])


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


def test_a_second_apply_changes_nothing_pulls_nothing_and_loads_nothing(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    assert stack.apply().applied == {M: "create"}
    assert pinned(ollama) == [model["name"]]
    since = ollama.mark()
    outcome = stack.apply()
    assert (outcome.planned, outcome.applied, outcome.drifted) == ({}, {}, {})
    assert count(ollama, since, "/api/pull") == count(ollama, since, "/api/generate") == 0


def test_every_change_of_memory_is_one_update_and_pulls_nothing(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | {"memory_management": "automatic"}))
    stack.apply()
    assert resident(ollama) == []
    since = ollama.mark()

    def change_to(**memory: Any) -> None:
        stack.configure(configuration(m=model | memory))
        outcome = stack.apply()
        assert outcome.applied == {M: "update"}
        assert (drift(stack), outcome.diagnoses) == ("", [])

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
    assert stack.state()[M]["resident"] is True, "an attribute that was removed has its default again"
    change_to()
    assert stack.state()[M]["memory_management"] == "automatic"
    assert (stack.state()[M]["pinned"], resident(ollama)) == (False, []), "a pin of ours goes with its declaration"
    assert stack.plan().drifted == {}
    assert count(ollama, since, "/api/pull") == 0


def test_a_pin_that_nothing_bounds_is_a_warning_with_both_cures_and_never_a_change(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | {"memory_management": "automatic"}))
    assert stack.apply().diagnoses == []
    call(ollama, model["name"], keep_alive=-1)
    for command in (stack.plan, stack.refresh, stack.apply):
        outcome = command()
        [warning] = outcome.diagnoses
        assert (warning.severity, outcome.planned) == ("warning", {})
        assert all(cure in warning.detail for cure in ('keep_alive = "5m"', 'memory_management = "manual"'))
    assert (drift(stack), stack.state()[M]["pinned"], pinned(ollama)) == ("", True, [model["name"]])
    stack.configure(configuration(m=model | {"keep_alive": "5m"}))
    assert stack.apply().applied == {M: "update"}
    assert seconds_left(ollama, model["name"]) <= 300
    assert stack.plan().diagnoses == []


def test_the_same_in_other_words_is_no_change(terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("tiny", tiny)
    stack = terraform_of(configuration(m={"name": "tiny", "keep_alive": "5m", "host": ollama.url}))
    stack.apply()
    other = {"name": "Tiny:latest", "keep_alive": "300s", "host": f"{ollama.url}/"}
    stack.configure(configuration(m=other))
    assert stack.plan().planned == {}


def test_a_new_name_is_there_before_the_old_one_is_touched_and_then_the_old_one_goes(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    ggufs: Callable[..., Path],
) -> None:
    registry.push("other:latest", ggufs(1))
    old, new = model["name"], registry.reference("other:latest")
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    stack.configure(configuration(m=model | MANUAL | {"name": new}))
    since = ollama.mark()
    with watching(ollama) as moments:
        assert stack.apply().applied == {M: "update"}
    assert all(new in moment.installed for moment in moments if old not in moment.pinned)
    assert all(old in moment.installed for moment in moments if new not in moment.pinned)
    assert all(moment.runners <= 1 for moment in moments), "never both in memory"
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert list(installed(ollama)) == pinned(ollama) == [new]
    assert stack.plan().planned == {}


def test_destroying_one_of_two_names_on_one_blob_leaves_the_files_and_the_pin_of_the_other(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("twin:latest", tiny)
    twin = model | {"name": registry.reference("twin:latest")}
    stack = terraform_of(configuration(m=model | MANUAL, twin=twin))
    stack.apply()
    [runner] = ollama.runners()
    stack.configure(configuration(m=model | MANUAL))
    assert stack.apply().applied == {"ollama_model.twin": "delete"}
    assert list(installed(ollama)) == pinned(ollama) == [model["name"]]
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    call(ollama, model["name"])


@pytest.mark.both_engines
def test_a_tag_that_moved_under_a_pinned_model_takes_its_place_without_an_orphan(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    ggufs: Callable[..., Path],
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL | {"pull_policy": "always"}))
    stack.apply()
    old = installed(ollama)[model["name"]]
    new = registry.push("tiny:latest", ggufs(1))
    since = ollama.mark()
    with watching(ollama) as moments:
        assert stack.apply().applied == {M: "update"}
    assert [(entry["name"], entry["digest"]) for entry in ollama.ps()] == [(model["name"], new)]
    assert pinned(ollama) == [model["name"]]
    assert installed(ollama) == {model["name"]: new}, "the second name of the old content is gone"
    assert stack.state()[M]["digest"] == new
    assert len(ollama.runners()) == 1
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert all(moment.digests <= {old} or moment.digests <= {new} for moment in moments)


def test_new_parameters_of_a_pinned_variant_take_the_place_of_the_old_ones_without_an_orphan(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    variant = {"name": "variant", "base": model["name"], "insecure": True} | MANUAL
    parameters = {"num_ctx": 512, "temperature": 0.1, "stop": ["<a>", "b"], "seed": None}
    stack = terraform_of(configuration(v=variant | {"parameters": parameters}))
    stack.apply()
    assert [entry["context_length"] for entry in ollama.ps()] == [512]
    assert stack.plan().planned == {}
    stack.configure(configuration(v=variant | {"parameters": parameters | {"num_ctx": 1024}}))
    assert stack.apply().applied == {"ollama_model.v": "update"}
    assert [(entry["name"], entry["context_length"]) for entry in ollama.ps()] == [("variant:latest", 1024)]
    assert pinned(ollama) == ["variant:latest"]
    assert installed(ollama).keys() == {"variant:latest", model["name"]}
    assert stack.plan().planned == {}


def test_where_the_new_content_does_not_load_the_old_one_is_back_under_its_name_and_pinned(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    tiny: Path,
    tmp_path: Path,
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL | {"pull_policy": "always"}))
    stack.apply()
    old = installed(ollama)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("tiny:latest", broken)
    failed = stack.apply(check=False)
    assert [error.summary for error in failed.errors] == [f"The load of {model['name']} failed"]
    assert installed(ollama) == old
    assert pinned(ollama) == [model["name"]]
    assert not stack.is_tainted(M)
    call(ollama, model["name"])


def test_a_base_and_its_variant_cannot_both_be_resident_and_nothing_is_done(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    variant = {"name": "variant", "base": model["name"], "insecure": True} | MANUAL
    stack = terraform_of(configuration(m=model | MANUAL, v=variant))
    [error] = stack.plan(check=False).errors
    assert "one resident model for each weights file" in error.detail
    # Where the configuration does not show it, the server does.
    stack.configure(configuration(v=variant))
    ollama.call("POST", "/api/pull", {"model": model["name"], "insecure": True, "stream": False})
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": -1, "stream": False})
    [error] = stack.apply(check=False).errors
    assert f"{model['name']} is pinned on the same weights" in error.detail
    assert installed(ollama).keys() == {model["name"]}
    assert pinned(ollama) == [model["name"]]


def test_a_pin_goes_from_one_name_of_a_blob_to_the_other(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("twin:latest", tiny)
    twin = model | {"name": registry.reference("twin:latest")}
    stack = terraform_of(configuration(m=model | MANUAL, twin=twin))
    stack.apply()
    stack.configure(configuration(m=model, twin=twin | MANUAL))
    # Terraform does both at once: where the twin comes first, it is refused, and the next apply goes on.
    outcome = stack.apply(check=False)
    if outcome.returncode:
        assert "release it in an earlier apply" in outcome.errors[0].detail
        stack.apply()
    assert pinned(ollama) == [twin["name"]]
    assert stack.plan().planned == {}


def test_another_digest_than_the_declared_one_is_an_error_and_the_old_model_stays(
    terraform_of: TerraformMaker,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    ggufs: Callable[..., Path],
) -> None:
    old = registry.push("tiny:latest", ggufs(0))
    stack = terraform_of(configuration(m=model | MANUAL | {"digest": f"sha256:{old}"}))
    stack.apply()
    assert stack.plan().planned == {}
    other = registry.push("tiny:latest", ggufs(1))
    expected = "0" * 64
    stack.configure(configuration(m=model | MANUAL | {"digest": expected}))
    [error] = stack.apply(check=False).errors
    assert f"expected digest {expected}, and {other} came" in error.detail
    assert installed(ollama) == {model["name"]: old}
    assert pinned(ollama) == [model["name"]]
    stack.configure(configuration(m=model | MANUAL | {"digest": other}))
    assert stack.apply().applied == {M: "update"}
    assert installed(ollama) == {model["name"]: other}


def test_a_plan_shows_exactly_what_drifted_and_an_apply_fixes_exactly_that(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("other:latest", tiny)
    other = {"name": registry.reference("other:latest"), "insecure": True}
    stack = terraform_of(configuration(m=model | MANUAL, other=other))
    stack.apply()

    def shows_and_fixes(words: str) -> None:
        outcome = stack.plan()
        assert outcome.drifted == {M: "update"}
        assert outcome.planned == {M: "update"}
        stack.refresh()
        assert words in drift(stack)
        assert stack.apply().applied == {M: "update"}
        assert (drift(stack), pinned(ollama)) == ("", [model["name"]])
        assert stack.plan().planned == {}

    call(ollama, model["name"], keep_alive="10m")
    shows_and_fixes("pin lost")
    call(ollama, model["name"], options={"num_ctx": 1024})
    shows_and_fixes("pin lost")
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": 0})
    wait_until(lambda: not ollama.ps(), "the model is unloaded")
    shows_and_fixes("not in memory")
    ollama.restart()
    shows_and_fixes("not in memory")


def test_a_pin_by_a_client_is_drift_of_an_automatic_model_and_an_apply_arms_its_timer_without_a_reload(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | {"keep_alive": "5m"}))
    stack.apply()
    call(ollama, model["name"], keep_alive=-1)
    [runner] = ollama.runners()
    assert stack.plan().planned == {M: "update"}
    assert stack.apply().applied == {M: "update"}
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    assert 200 < seconds_left(ollama, model["name"]) <= 300


def test_a_model_deleted_behind_our_back_is_gone_after_a_refresh_and_back_after_an_apply(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model))
    stack.apply()
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    outcome = stack.plan()
    assert (outcome.drifted, outcome.planned) == ({M: "delete"}, {M: "create"})
    assert stack.apply().applied == {M: "create"}
    assert list(installed(ollama)) == [model["name"]]


@pytest.mark.both_engines
def test_destroy_gives_the_memory_back_before_it_deletes_and_gone_is_success(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    with watching(ollama) as moments:
        assert stack.destroy().applied == {M: "delete"}
    assert all(model["name"] in moment.installed for moment in moments if moment.runners)
    assert (installed(ollama), ollama.runners()) == ({}, [])
    stack.apply()
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    assert stack.destroy("-refresh=false").returncode == 0


@pytest.mark.parametrize(("on_destroy", "stays_in_memory"), [("unload", False), ("keep", True)])
def test_destroy_leaves_what_on_destroy_says(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], on_destroy: str, stays_in_memory: bool
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL | {"on_destroy": on_destroy}))
    stack.apply()
    stack.destroy()
    assert list(installed(ollama)) == [model["name"]]
    assert pinned(ollama) == ([model["name"]] if stays_in_memory else [])


def test_a_plan_of_fifty_models_asks_the_server_at_most_four_times(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    names = [f"tiny{number}" for number in range(50)]
    for name in names:
        ollama.call("POST", "/api/copy", {"source": "tiny", "destination": name})
    stack = terraform_of(configuration(**{name: {"name": name} for name in names}))
    stack.apply()
    since = ollama.mark()
    assert stack.plan().planned == {}
    assert len(ollama.requests(since)) <= 4


def test_a_new_content_that_was_cut_off_is_gone_on_with(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    second = str(second_name(ModelName.parse(model["name"])))
    ollama.call("POST", "/api/copy", {"source": model["name"], "destination": second})
    assert stack.plan().planned == {M: "update"}
    assert stack.apply().applied == {M: "update"}
    assert list(installed(ollama)) == pinned(ollama) == [model["name"]]


def test_another_host_means_another_model_and_the_old_one_goes(
    terraform_of: TerraformMaker, ollama: OllamaServer, engine: Ollama, tiny: Path, tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path / "other") as other:
        for server in (ollama, other):
            server.create_from_gguf("tiny", tiny)
        model = {"name": "tiny", "on_destroy": "delete"} | MANUAL
        stack = terraform_of(configuration(m=model | {"host": ollama.url}))
        stack.apply()
        stack.configure(configuration(m=model | {"host": other.url}))
        outcome = stack.apply()
        assert outcome.planned == {M: "replace"}
        assert pinned(other) == ["tiny:latest"]
        assert (installed(ollama), resident(ollama)) == ({}, [])
        assert stack.state()[M]["id"] == f"tiny:latest@{other.url}"


def test_a_local_file_that_is_gone_stops_no_change_and_no_destroy(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(tiny.read_bytes())
    local = {"name": "mine", "gguf": str(file)}
    stack = terraform_of(configuration(m=local))
    stack.apply()
    file.unlink()
    assert stack.plan().planned == {}
    stack.configure(configuration(m=local | MANUAL))
    assert stack.apply().applied == {M: "update"}
    assert pinned(ollama) == ["mine:latest"]
    assert stack.destroy().applied == {M: "delete"}
    assert (ollama.tags(), resident(ollama)) == ([], [])
    outcome = stack.plan(check=False)
    assert [(error.summary, error.snippet.split()[0]) for error in outcome.errors] == [("Wrong gguf", "gguf")]
