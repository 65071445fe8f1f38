"""What must hold with the real Pulumi on a real Ollama: changes, drift and release. One row of the table a test."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.drift import second_name
from ollama_provider.ollama.names import ModelName
from tests.conftest import StackMaker
from tests.engines.observing import call, count, installed, pinned, resident, seconds_left, wait_until, watching
from tests.engines.ollama_server import OllamaServer
from tests.engines.programs import program, steps
from tests.engines.pulumi_stack import PulumiStack
from tests.engines.registry import Registry
from tests.engines.toolchain import Engines

pytestmark = pytest.mark.engines


def drift(stack: PulumiStack, resource_name: str) -> str:
    return str(outputs_of(stack, resource_name)["drift"])


def outputs_of(stack: PulumiStack, resource_name: str) -> dict[str, Any]:
    resources = stack.export()["deployment"]["resources"]
    [outputs] = [resource["outputs"] for resource in resources if resource["urn"].endswith(f"::{resource_name}")]
    return dict(outputs)


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


def test_a_second_up_changes_nothing_pulls_nothing_and_loads_nothing(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    assert steps(stack.up()) == {"m": "create"}
    assert pinned(ollama) == [model["name"]]
    since = ollama.mark()
    assert stack.up().changes == {"same": 2}
    assert count(ollama, since, "/api/pull") == count(ollama, since, "/api/generate") == 0


def test_every_change_of_memory_is_one_update_and_pulls_nothing(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "automatic"}))
    stack.up()
    assert resident(ollama) == []
    since = ollama.mark()

    def change_to(**memory: Any) -> None:
        stack.set_program(program(m=model | memory))
        assert steps(stack.up()) == {"m": "update"}
        assert drift(stack, "m") == ""

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
    change_to(memory_management="manual", resident=True)
    assert pinned(ollama) == [model["name"]]
    assert count(ollama, since, "/api/pull") == 0


def test_a_new_name_is_there_before_the_old_one_is_touched_and_then_the_old_one_goes(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    registry.push("other:latest", ggufs(1))
    old, new = model["name"], registry.reference("other:latest")
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    stack.up()
    stack.set_program(program(m=model | {"memory_management": "manual", "name": new}))
    since = ollama.mark()
    with watching(ollama) as moments:
        assert steps(stack.up()) == {"m": "update"}
    assert all(new in moment.installed for moment in moments if old not in moment.pinned)
    assert all(old in moment.installed for moment in moments if new not in moment.pinned)
    assert all(moment.runners <= 1 for moment in moments), "never both in memory"
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert list(installed(ollama)) == pinned(ollama) == [new]
    assert stack.up().changes == {"same": 2}


def test_destroying_one_of_two_names_on_one_blob_leaves_the_files_and_the_pin_of_the_other(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    registry.push("twin:latest", tiny)
    twin = model | {"name": registry.reference("twin:latest")}
    stack = stack_of(program(m=model | {"memory_management": "manual"}, twin=twin))
    stack.up()
    [runner] = ollama.runners()
    stack.set_program(program(m=model | {"memory_management": "manual"}))
    assert steps(stack.up()) == {"twin": "delete"}
    assert list(installed(ollama)) == pinned(ollama) == [model["name"]]
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    call(ollama, model["name"])


@pytest.mark.both_engines
def test_a_tag_that_moved_under_a_pinned_model_takes_its_place_without_an_orphan(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual", "pull_policy": "always"}))
    stack.up()
    old = installed(ollama)[model["name"]]
    new = registry.push("tiny:latest", ggufs(1))
    since = ollama.mark()
    with watching(ollama) as moments:
        assert steps(stack.up()) == {"m": "update"}
    assert old != new
    assert [(entry["name"], entry["digest"]) for entry in ollama.ps()] == [(model["name"], new)]
    assert pinned(ollama) == [model["name"]]
    assert installed(ollama) == {model["name"]: new}, "the second name of the old content is gone"
    assert len(ollama.runners()) == 1
    assert count(ollama, since, "/api/generate") == 2, "one unload, one load"
    assert all(moment.digests <= {old} or moment.digests <= {new} for moment in moments)


def test_new_parameters_of_a_pinned_variant_take_the_place_of_the_old_ones_without_an_orphan(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    variant = {"name": "variant", "base": model["name"], "insecure": True, "memory_management": "manual"}
    stack = stack_of(program(v=variant | {"parameters": {"num_ctx": 512}}))
    stack.up()
    assert [entry["context_length"] for entry in ollama.ps()] == [512]
    stack.set_program(program(v=variant | {"parameters": {"num_ctx": 1024}}))
    assert steps(stack.up()) == {"v": "update"}
    assert [(entry["name"], entry["context_length"]) for entry in ollama.ps()] == [("variant:latest", 1024)]
    assert pinned(ollama) == ["variant:latest"]
    assert installed(ollama).keys() == {"variant:latest", model["name"]}
    assert stack.up().changes == {"same": 2}


def test_where_the_new_content_does_not_load_the_old_one_is_back_under_its_name_and_pinned(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual", "pull_policy": "always"}))
    stack.up()
    old = installed(ollama)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("tiny:latest", broken)
    failed = stack.up(check=False)
    assert failed.returncode != 0
    assert f"the load of {model['name']} at {ollama.url}" in failed.text
    assert "Traceback" not in failed.text
    assert installed(ollama) == old
    assert pinned(ollama) == [model["name"]]
    call(ollama, model["name"])


def test_a_base_and_its_variant_cannot_both_be_resident_and_nothing_is_done(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    base = model | {"memory_management": "manual"}
    variant = {"name": "variant", "base": model["name"], "insecure": True, "memory_management": "manual"}
    stack = stack_of(program(m=base, v=variant))
    preview = stack.preview(check=False)
    assert preview.returncode != 0
    assert "one resident model for each weights file" in preview.text
    # Where the program does not show it, the server does.
    stack.set_program(program(v=variant))
    ollama.call("POST", "/api/pull", {"model": model["name"], "insecure": True, "stream": False})
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": -1, "stream": False})
    failed = stack.up(check=False)
    assert f"{model['name']} is pinned on the same weights" in failed.text
    assert installed(ollama).keys() == {model["name"]}
    assert pinned(ollama) == [model["name"]]


def test_another_digest_than_the_declared_one_is_an_error_and_the_old_model_stays(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    old = registry.push("tiny:latest", ggufs(0))
    stack = stack_of(program(m=model | {"memory_management": "manual", "digest": f"sha256:{old}"}))
    stack.up()
    assert stack.up().changes == {"same": 2}
    other = registry.push("tiny:latest", ggufs(1))
    expected = "0" * 64
    stack.set_program(program(m=model | {"memory_management": "manual", "digest": expected}))
    failed = stack.up(check=False)
    assert f"expected digest {expected}, and {other} came" in failed.text
    assert installed(ollama) == {model["name"]: old}
    assert pinned(ollama) == [model["name"]]
    stack.set_program(program(m=model | {"memory_management": "manual", "digest": other}))
    assert steps(stack.up()) == {"m": "update"}
    assert installed(ollama) == {model["name"]: other}


def test_refresh_shows_exactly_what_drifted_and_up_fixes_exactly_that(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    name = model["name"]
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    stack.up()

    def drifts_to(expected: str) -> None:
        assert steps(stack.refresh()) == {"m": "update"}
        assert drift(stack, "m").startswith(expected)
        assert expected in stack.preview().text
        since = ollama.mark()
        assert steps(stack.up()) == {"m": "update"}
        assert (pinned(ollama), drift(stack, "m")) == ([name], "")
        assert count(ollama, since, "/api/pull") == 0

    call(ollama, name, keep_alive="5m")
    drifts_to("pin lost")
    call(ollama, name, options={"num_ctx": 512, "num_predict": 2})
    drifts_to("pin lost")
    call(ollama, name, keep_alive=0)
    wait_until(lambda: not ollama.ps(), "the unload of a client")
    drifts_to("not in memory")
    ollama.restart()
    drifts_to("not in memory")
    assert stack.refresh().changes.get("update", 0) == 0


def test_a_pin_by_a_client_is_drift_of_an_automatic_model_and_up_arms_its_timer_without_a_reload(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    name = model["name"]
    stack = stack_of(program(m=model | {"memory_management": "automatic", "keep_alive": "1m"}))
    stack.up()
    call(ollama, name, keep_alive="1m")
    assert "update" not in stack.refresh().changes, "a model that comes and goes is not drift"
    call(ollama, name, keep_alive=-1, options={"num_ctx": 512, "num_predict": 2})
    [runner] = ollama.runners()
    stack.refresh()
    assert drift(stack, "m").startswith("pinned by a client")
    stack.up()
    assert 30 < seconds_left(ollama, name) <= 60
    assert [process.pid for process in ollama.runners()] == [runner.pid]
    call(ollama, name, keep_alive="24h", options={"num_ctx": 512, "num_predict": 2})
    stack.refresh()
    assert drift(stack, "m").startswith("held in memory for longer")


def test_a_pin_that_nothing_bounds_is_a_warning_with_both_cures_and_never_a_change(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "automatic"}))
    assert "never released" not in stack.up().text
    call(ollama, model["name"], keep_alive=-1)
    for outcome in (stack.refresh(), stack.preview()):
        # Some commands of Pulumi show a provider's line twice: while it works, and at the end.
        [warning] = set(re.findall(r"warning: (.* is never released: .*)", outcome.text))
        assert all(cure in warning for cure in ('keep_alive = "5m"', 'memory_management = "manual"'))
        assert "update" not in outcome.changes
    stack.set_program(program(m=model | {"keep_alive": "5m"}))
    assert steps(stack.up()) == {"m": "update"}
    assert seconds_left(ollama, model["name"]) <= 300


def test_a_model_deleted_behind_our_back_is_gone_after_a_refresh_and_back_after_up(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    stack.up()
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    assert steps(stack.refresh()) == {"m": "delete"}
    assert steps(stack.up()) == {"m": "create"}
    assert pinned(ollama) == [model["name"]]
    assert len(ollama.runners()) == 1


@pytest.mark.both_engines
def test_destroy_gives_the_memory_back_before_it_deletes_and_gone_is_success(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    stack.up()
    with watching(ollama) as moments:
        stack.destroy()
    assert all(model["name"] in moment.installed for moment in moments if moment.runners)
    assert (ollama.ps(), ollama.tags(), ollama.runners()) == ([], [], [])
    stack.up()
    ollama.call("POST", "/api/generate", {"model": model["name"], "keep_alive": 0, "stream": False})
    ollama.call("DELETE", "/api/delete", {"model": model["name"]})
    stack.destroy()


@pytest.mark.parametrize(("on_destroy", "left_in_memory"), [("unload", False), ("keep", True)])
def test_destroy_leaves_what_on_destroy_says(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any], on_destroy: str, left_in_memory: bool
) -> None:
    stack = stack_of(program(m=model | {"memory_management": "manual", "on_destroy": on_destroy}))
    stack.up()
    stack.destroy()
    assert list(installed(ollama)) == [model["name"]]
    assert bool(ollama.runners()) == left_in_memory


def test_a_refresh_of_fifty_models_asks_the_server_at_most_four_times(
    stack_of: StackMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("model-0", tiny)
    for number in range(1, 50):
        ollama.call("POST", "/api/copy", {"source": "model-0", "destination": f"model-{number}"}).raise_for_status()
    digest = installed(ollama)["model-0:latest"]
    models = {f"m{number}": {"name": f"model-{number}", "digest": f"sha256:{digest}"} for number in range(50)}
    stack = stack_of(program(**models))
    assert stack.up().changes == {"create": 51}
    since = ollama.mark()
    assert stack.refresh().changes == {"same": 51}
    assert len(ollama.requests(since)) <= 4


def test_a_new_content_that_was_cut_off_is_gone_on_with(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    """As after kill -9 between the pull and the load: the second name is there, the old runner is still pinned."""
    name = model["name"]
    stack = stack_of(program(m=model | {"memory_management": "manual"}))
    stack.up()
    second = str(second_name(ModelName.parse(name)))
    ollama.call("POST", "/api/copy", {"source": name, "destination": second}).raise_for_status()
    new = registry.push("tiny:latest", ggufs(1))
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False}).raise_for_status()
    stack.refresh()
    assert drift(stack, "m").startswith("an apply was cut off")
    stack.up()
    assert [(entry["name"], entry["digest"]) for entry in ollama.ps()] == [(name, new)]
    assert installed(ollama) == {name: new}
    assert json.dumps(stack.export()).count(second) == 0


def test_another_host_means_another_model_and_the_old_one_goes_when_the_new_one_is_there(
    stack_of: StackMaker, ollama: OllamaServer, engines: Engines, model: dict[str, Any], tmp_path: Path
) -> None:
    with OllamaServer(engines.ollama, tmp_path / "second") as second:
        stack = stack_of(program(m=model | {"memory_management": "manual", "host": ollama.url}))
        stack.up()
        assert stack.up().changes == {"same": 2}
        stack.set_program(program(m=model | {"memory_management": "manual", "host": second.url}))
        assert [step.op for step in stack.up().steps if ":Model::" in step.urn] == [
            "create-replacement",
            "replace",
            "delete-replaced",
        ]
        assert pinned(second) == [model["name"]]
        assert (ollama.tags(), ollama.runners()) == ([], [])


def test_a_local_file_that_is_gone_stops_no_change_and_no_destroy(
    stack_of: StackMaker, ollama: OllamaServer, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(tiny.read_bytes())
    local = {"name": "mine", "gguf": str(file)}
    stack = stack_of(program(m=local))
    stack.up()
    file.unlink()
    assert stack.up().changes == {"same": 2}
    stack.set_program(program(m=local | {"memory_management": "manual"}))
    assert steps(stack.up()) == {"m": "update"}
    assert pinned(ollama) == ["mine:latest"]
    stack.destroy()
    assert (ollama.tags(), resident(ollama)) == ([], [])
