"""Whose a model is, on a real Ollama: what an apply brought goes with its resource, and what was there before stays."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.drift import second_name
from ollama_provider.apply.sight import Verdict
from ollama_provider.apply.states import State
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.names import ModelName
from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import call, installed, pinned, resident
from tests.engines.ollama_server import OllamaServer
from tests.engines.one_lifecycle import run_on
from tests.engines.programs import program
from tests.engines.registry import Registry
from tests.engines.terraform_stack import TerraformStack, configuration

pytestmark = pytest.mark.engines
M, OWN = "ollama_model.m", "ollama_model.own"
MANUAL = {"memory_management": "manual"}


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True}


@pytest.fixture
def other(registry: Registry, ggufs: Callable[..., Path]) -> dict[str, Any]:
    """Another model that can be pulled, of other weights."""
    registry.push("other:latest", ggufs(1))
    return {"name": registry.reference("other:latest"), "insecure": True}


def test_a_destroy_deletes_what_the_resource_brought_and_nothing_else(
    ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    brought = {
        "pulled": model,
        "derived": {"name": "derived", "base": model["name"], "system": "s"},
        "uploaded": {"name": "uploaded", "gguf": str(tiny), "system": "u"},
    }
    states: list[State] = [run_on(ollama.url, partial(Lifecycle.create, values=one)) for one in brought.values()]
    assert [state["origin"] for state in states] == list(brought)
    assert run_on(ollama.url, lambda life: life.read(states[0])) == states[0]
    again: State = run_on(ollama.url, lambda life: life.create(model | MANUAL))
    assert (again["origin"], pinned(ollama)) == ("found", [model["name"]])
    run_on(ollama.url, lambda life: life.delete(again))
    assert (set(installed(ollama)) >= {model["name"]}, resident(ollama)) == (True, [])
    for state in reversed(states):
        run_on(ollama.url, partial(Lifecycle.delete, state=state))
    assert installed(ollama) == {}


def test_an_old_state_an_import_and_what_somebody_else_made_under_the_name_are_found(
    ollama: OllamaServer, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    state: State = run_on(ollama.url, lambda life: life.create({"name": "w", "gguf": str(ggufs(1))}))
    without = {name: value for name, value in state.items() if name != "origin"}
    assert run_on(ollama.url, lambda life: life.read(without))["origin"] == "found"
    assert run_on(ollama.url, lambda life: life.adopt("w"))["origin"] == "found"
    ollama.create_from_gguf("w", ggufs(2))
    assert run_on(ollama.url, lambda life: life.read(state))["origin"] == "found"
    for kept in (without, state):  # whether or not somebody has read it since
        run_on(ollama.url, partial(Lifecycle.delete, state=kept))
        assert list(installed(ollama)) == ["w:latest"]
    run_on(ollama.url, lambda life: life.delete(without | {"on_destroy": "delete"}))
    assert installed(ollama) == {}


def test_a_new_name_has_an_origin_of_its_own_and_the_old_one_goes_by_its_own(
    ollama: OllamaServer, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("there", ggufs(1))
    state: State = run_on(ollama.url, lambda life: life.create({"name": "there"}))
    new: State = run_on(ollama.url, lambda life: life.update(state, model))
    assert (new["origin"], set(installed(ollama))) == ("pulled", {"there:latest", model["name"]})
    back: State = run_on(ollama.url, lambda life: life.update(new, {"name": "there"}))
    assert (back["origin"], list(installed(ollama))) == ("found", ["there:latest"])


def test_what_is_left_of_a_resource_of_the_same_run_keeps_its_origin_where_it_is_as_it_was(
    ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("there", ggufs(1))
    other = model | {"name": "derived", "base": model["name"]}
    state, found, own = run_on(
        ollama.url,
        lambda life: asyncio.gather(
            *map(life.create, (model, {"name": "there"}, {"name": "up", "gguf": str(ggufs(2))}))
        ),
    )
    ollama.create_from_gguf("up", ggufs(3))  # by somebody else, and seen by no refresh

    async def taken_over(life: Lifecycle) -> list[str]:
        for one in (state, found, own):
            await life.delete(one, Verdict("is another resource's too", leaves=True))
        taken = [await life.create({"name": one["name"]}) for one in (state, found, own)]
        return [one["origin"] for one in (*taken, await life.create(other))]

    assert run_on(ollama.url, taken_over) == ["pulled", "found", "found", "derived"]


def test_a_base_that_a_run_pulled_is_that_of_the_resource_of_the_run_that_declares_it(
    ollama: OllamaServer, model: dict[str, Any]
) -> None:
    async def both(life: Lifecycle) -> list[str]:
        return [(await life.create(one))["origin"] for one in (model | {"name": "d", "base": model["name"]}, model)]

    assert run_on(ollama.url, both) == ["derived", "pulled"]
    later: State = run_on(ollama.url, lambda life: life.create(model))
    assert later["origin"] == "found"


def test_a_base_is_destroyed_with_its_resource_in_whatever_order_an_apply_comes_to_both(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(a=model | {"name": "derived", "base": model["name"]}, b=model))
    assert stack.apply("-parallelism=1").diagnoses == []
    stack.destroy()
    assert installed(ollama) == {}


@pytest.mark.alone  # a plan listens for a moment to what else is planned
def test_a_base_that_is_renamed_away_stays_as_the_plan_says(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], other: dict[str, Any]
) -> None:
    variant = model | {"name": "derived", "base": model["name"]}
    stack = terraform_of(configuration(a=model, b=variant))
    stack.apply()
    stack.configure(configuration(a=other, b=variant))
    assert "its files stay" in stack.plan().text
    stack.apply()
    assert set(installed(ollama)) == {model["name"], other["name"], "derived:latest"}
    stack.destroy()
    ollama.call("DELETE", "/api/delete", {"model": model["name"]}).raise_for_status()
    stack.configure(configuration(a=model, b=variant))
    stack.apply()
    stack.configure(configuration(a=other, b=variant | {"base": other["name"]}))
    stack.apply()
    assert set(installed(ollama)) == {other["name"], "derived:latest"}, "nothing is made from the old one any more"


def test_what_a_failed_rename_pulled_is_the_resource_s_own(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], other: dict[str, Any]
) -> None:
    other |= MANUAL
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()

    def fail() -> None:
        stack.configure(configuration(m=other | {"timeouts": {"load": "1ms"}}))
        [error] = stack.apply(check=False).errors
        assert f"{other['name']} was pulled, and is in no state" in error.detail
        assert "a destroy deletes it" in error.detail
        assert (set(installed(ollama)), pinned(ollama)) == ({model["name"], other["name"]}, [model["name"]])

    fail()
    stack.configure(configuration(m=other))
    assert "was there before" not in stack.apply().text
    assert (stack.state()[M]["origin"], list(installed(ollama))) == ("pulled", [other["name"]])
    stack.configure(configuration(m=model | MANUAL))
    stack.apply()
    fail()
    stack.configure(configuration(m=model | MANUAL))
    assert stack.apply().applied == {}
    said = [diagnosis.summary for diagnosis in stack.destroy().diagnoses]
    assert [text.partition(" ")[2] for text in said] == ["was pulled by this resource: it is unloaded and deleted"] * 2
    assert installed(ollama) == {}


def test_what_a_failed_rename_pulled_is_left_to_the_resource_that_declares_it_since(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], other: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL))
    stack.apply()
    stack.configure(configuration(m=other | MANUAL | {"timeouts": {"load": "1ms"}}))
    stack.apply(check=False)
    stack.configure(configuration(m=model | MANUAL, own=other))
    stack.apply()
    stack.configure(configuration(own=other))
    stack.apply()
    assert list(installed(ollama)) == [other["name"]]


def test_terraform_says_what_was_there_before_and_what_a_destroy_will_do(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    ollama.create_from_gguf("there", tiny)
    stack = terraform_of(configuration(m={"name": "there", "keep_alive": "5m"}, own=model))
    said = [diagnosis.summary for diagnosis in stack.apply().diagnoses]
    assert said == ["there was there before"]
    assert {address: one["origin"] for address, one in stack.state().items()} == {M: "found", OWN: "pulled"}
    since = ollama.mark()
    assert stack.apply().diagnoses == []
    assert not [one for one in ollama.requests(since) if one.method != "GET"]
    planned = [diagnosis.summary for diagnosis in stack.plan("-destroy").diagnoses]
    assert sorted(planned) == sorted(
        [
            "there:latest was there before: it is unloaded, and its files stay",
            f"{model['name']} was pulled by this resource: it is unloaded and deleted",
        ]
    )
    call(ollama, "there")
    assert stack.destroy().applied == {M: "delete", OWN: "delete"}
    assert (list(installed(ollama)), resident(ollama)) == (["there:latest"], [])
    stack.configure(configuration(m={"name": "there", "on_destroy": "delete"}))
    stack.apply()
    assert [one.summary for one in stack.destroy().diagnoses] == [
        'there:latest has on_destroy = "delete": it is unloaded and deleted'
    ]
    assert installed(ollama) == {}


def test_terraform_says_of_each_way_to_give_a_model_up_what_becomes_of_it(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any], tiny: Path
) -> None:
    def said(*options: str) -> list[str]:
        return [diagnosis.summary for diagnosis in stack.plan(*options).diagnoses]

    registry.push("other:latest", tiny)
    stack = terraform_of(configuration(m=model))
    stack.apply()
    deleted = f"{model['name']} was pulled by this resource: it is unloaded and deleted"
    assert said("-replace=ollama_model.m") == [f"Where -replace names it: {deleted}"]
    stack.run("taint", M)
    assert said() == [f"Where it is tainted: {deleted}"]
    stack.run("untaint", M)
    stack.configure(configuration(m=model | {"name": registry.reference("other:latest")}))
    assert said() == [deleted]
    stack.configure(configuration(m={"name": "there"}))
    ollama.create_from_gguf("there", tiny)
    stack.apply()
    stack.configure(configuration(m=model))
    assert said() == ["there:latest was there before: it is unloaded, and its files stay"]
    stack.apply()
    assert set(installed(ollama)) == {"there:latest", model["name"]}


def of_an_older_version(stack: TerraformStack, **attributes: Any) -> None:
    """Makes the state as the provider wrote it before there was an origin."""
    file = stack.project / "terraform.tfstate"
    state = json.loads(file.read_text())
    for resource in state["resources"]:
        for instance in resource["instances"]:
            instance["schema_version"] = 1
            del instance["attributes"]["origin"]
            instance["attributes"] |= {"on_destroy": "delete", **attributes}
    file.write_text(json.dumps(state))


def test_a_state_of_terraform_from_before_costs_no_model(
    terraform_of: TerraformMaker, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model))
    stack.apply()
    of_an_older_version(stack)
    assert stack.plan().planned == {}, "what was only the default is not a change"
    stack.configure(configuration(m=model | {"on_destroy": "delete"}))
    assert stack.plan().planned == {M: "update"}
    stack.configure(configuration(m=model))
    stack.destroy()
    assert list(installed(ollama)) == [model["name"]]


def test_a_model_that_was_tainted_is_still_the_resource_s_own(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, model: dict[str, Any]
) -> None:
    stack = terraform_of(configuration(m=model | MANUAL | {"timeouts": {"load": "1ms"}}))
    stack.apply(check=False)
    assert (stack.is_tainted(M), stack.state()[M]["origin"]) == (True, "pulled")
    pulls = len(registry.requests)
    stack.configure(configuration(m=model | MANUAL))
    stack.apply()
    assert (stack.state()[M]["origin"], len(registry.requests)) == ("pulled", pulls)


def test_pulumi_says_what_was_there_before_and_leaves_it(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    ollama.create_from_gguf("there", tiny)
    stack = stack_of(program(m={"name": "there"} | MANUAL, own=model))
    assert "there:latest: was there before: a destroy leaves its files" in stack.up().text
    assert stack.up().changes == {"same": 3}
    said = stack.destroy().text
    assert "there:latest: was there before: its files stay" in said
    assert f"{model['name']}: deleted" in said
    assert (list(installed(ollama)), resident(ollama)) == (["there:latest"], [])


def test_a_preview_of_pulumi_s_says_what_becomes_of_the_model_of_an_old_name(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any], tiny: Path
) -> None:
    ollama.create_from_gguf("there", tiny)
    stack = stack_of(program(m=model, n={"name": "there"}))
    stack.up()
    stack.set_program(program(m=model | {"name": "new"}, n=model | {"name": "newer"}))
    said = stack.preview().text
    assert f"{model['name']} was pulled by this resource: it is unloaded and deleted" in said
    assert "there:latest was there before: it is unloaded, and its files stay" in said


@pytest.mark.parametrize(("on_destroy", "stays"), [(None, True), ("delete", False)])
def test_a_state_of_pulumi_from_before_costs_no_model_that_the_program_does_not_give_up(
    stack_of: StackMaker, ollama: OllamaServer, model: dict[str, Any], on_destroy: str | None, stays: bool
) -> None:
    """Pulumi's states never had the default in them: where one says "delete", the program said so."""
    declared = model | ({"on_destroy": on_destroy} if on_destroy else {})
    stack = stack_of(program(m=declared))
    stack.up()
    state = stack.export()
    for resource in state["deployment"]["resources"]:
        resource.get("outputs", {}).pop("origin", None)
        resource.get("inputs", {}).pop("origin", None)
    file = stack.folder / "old.json"
    file.write_text(json.dumps(state))
    stack.run("stack", "import", "--file", str(file))
    assert stack.up().changes == {"same": 2}
    stack.destroy()
    assert bool(installed(ollama)) == stays


def test_what_is_there_after_a_kill_in_the_middle_of_a_create_is_found_and_stays(
    ollama: OllamaServer, model: dict[str, Any]
) -> None:
    """Nothing is left of a create that was killed but what the server has: no state, and perhaps a second name."""
    ollama.call("POST", "/api/pull", {"model": model["name"], "insecure": True, "stream": False})
    second = str(second_name(ModelName.parse(model["name"])))
    ollama.call("POST", "/api/copy", {"source": model["name"], "destination": second})
    state: State = run_on(ollama.url, lambda life: life.create(model))
    assert (state["origin"], list(installed(ollama))) == ("found", [model["name"]])
    run_on(ollama.url, lambda life: life.delete(state))
    assert list(installed(ollama)) == [model["name"]]


@pytest.fixture
def unloadable(tiny: Path, tmp_path: Path) -> Path:
    """A model that Ollama takes, and that no runner loads."""
    file = tmp_path / "broken.gguf"
    file.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    return file


@pytest.mark.parametrize("is_pinned", [False, True])
def test_a_create_over_a_model_that_does_not_load_leaves_what_was_there(
    ollama: OllamaServer, ggufs: Callable[..., Path], unloadable: Path, is_pinned: bool
) -> None:
    ollama.create_from_gguf("mine", ggufs(3), system="precious")
    before = installed(ollama)
    if is_pinned:
        call(ollama, "mine", keep_alive=-1)
    with pytest.raises(OllamaError, match="the load of"):
        run_on(ollama.url, lambda life: life.create({"name": "mine", "gguf": str(unloadable)} | MANUAL))
    assert (installed(ollama), pinned(ollama)) == (before, ["mine:latest"] if is_pinned else [])


def test_an_update_that_does_not_load_leaves_what_was_there(
    ollama: OllamaServer, ggufs: Callable[..., Path], unloadable: Path
) -> None:
    ollama.create_from_gguf("mine", ggufs(3), system="precious")
    before = installed(ollama)
    state: State = run_on(ollama.url, lambda life: life.create({"name": "mine"}))
    with pytest.raises(OllamaError, match="the load of"):
        run_on(ollama.url, lambda life: life.update(state, {"name": "mine", "gguf": str(unloadable)} | MANUAL))
    assert installed(ollama) == before
    run_on(ollama.url, lambda life: life.delete(state))
    assert installed(ollama) == before


def test_a_destroy_after_an_update_that_was_cut_off_gives_the_content_of_before_back(
    ollama: OllamaServer, ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("mine", ggufs(3), system="precious")
    before = installed(ollama)
    state: State = run_on(ollama.url, lambda life: life.create({"name": "mine"}))
    ollama.call("POST", "/api/copy", {"source": "mine", "destination": str(second_name(ModelName.parse("mine")))})
    ollama.create_from_gguf("mine", ggufs(2))  # as an apply that is killed here leaves it
    run_on(ollama.url, lambda life: life.delete(state))
    assert installed(ollama) == before


def test_what_somebody_made_under_the_name_is_found_by_an_update_too(
    ollama: OllamaServer, model: dict[str, Any]
) -> None:
    state: State = run_on(ollama.url, lambda life: life.create(model | {"keep_alive": "5m"}))
    body = {"model": model["name"], "from": model["name"], "system": "precious by a person", "stream": False}
    ollama.call("POST", "/api/create", body).raise_for_status()
    updated: State = run_on(ollama.url, lambda life: life.update(state, model | {"keep_alive": "6m"}))
    assert updated["origin"] == "found"
    run_on(ollama.url, lambda life: life.delete(updated))
    assert list(installed(ollama)) == [model["name"]]


def test_a_plan_says_whose_content_an_apply_would_replace(
    terraform_of: TerraformMaker, stack_of: StackMaker, ollama: OllamaServer, ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("mine", ggufs(3), system="precious")
    made = {"name": "mine", "gguf": str(ggufs(2))}
    words = "mine:latest already exists on the server. The apply creates it again from "
    [said] = terraform_of(configuration(m=made)).plan().diagnoses
    assert (said.summary, said.detail.startswith(words)) == ("mine will have another content", True)
    assert words in stack_of(program(m=made)).preview().text
    assert terraform_of(configuration(m=made | {"name": "free"})).plan().diagnoses == []
