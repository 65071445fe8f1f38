"""Two residents that exchange their names are both in memory afterwards, under either engine."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.sight import Verdict
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.ollama.errors import OllamaError
from tests.conftest import StackMaker, TerraformMaker
from tests.engines.observing import count, installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.one_lifecycle import run_on
from tests.engines.programs import program, steps
from tests.engines.registry import Registry
from tests.engines.terraform_stack import configuration
from tests.engines.toolchain import Ollama

pytestmark = pytest.mark.engines
_LEFT = Verdict("is another resource's too", leaves=True)


@pytest.fixture
def files(ggufs: Callable[..., Path]) -> list[dict[str, Any]]:
    return [{"gguf": str(ggufs(seed)), "memory_management": "manual"} for seed in range(2)]


@pytest.fixture
def pulled(registry: Registry, ggufs: Callable[..., Path]) -> list[dict[str, Any]]:
    registry.push("other:latest", ggufs(1))
    names = map(registry.reference, ("tiny:latest", "other:latest"))
    return [{"name": name, "insecure": True, "memory_management": "manual"} for name in names]


def contents(ollama: OllamaServer) -> list[str]:
    assert sorted(pinned(ollama)) == sorted(installed(ollama))
    assert {one["name"]: one["digest"] for one in ollama.ps()} == installed(ollama), "each with its own content"
    return [digest for _, digest in sorted(installed(ollama).items())]


@pytest.mark.parametrize("parallelism", ["10", "1"])
def test_terraform_exchanges_two_names_of_local_files(
    terraform_of: TerraformMaker, ollama: OllamaServer, files: list[dict[str, Any]], parallelism: str
) -> None:
    a, b = files
    stack = terraform_of(configuration(a=a | {"name": "x"}, b=b | {"name": "y"}))
    stack.apply()
    before = contents(ollama)
    for first, second in (("y", "x"), ("x", "y")):
        stack.configure(configuration(a=a | {"name": first}, b=b | {"name": second}))
        assert stack.apply(f"-parallelism={parallelism}").applied == {
            "ollama_model.a": "update",
            "ollama_model.b": "update",
        }
        before.reverse()
        assert contents(ollama) == before
        assert stack.plan().planned == {}
    assert sorted(installed(ollama)) == ["x:latest", "y:latest"]


def test_terraform_exchanges_two_labels_without_a_download_or_a_load(
    terraform_of: TerraformMaker, ollama: OllamaServer, registry: Registry, pulled: list[dict[str, Any]]
) -> None:
    a, b = pulled
    stack = terraform_of(configuration(a=a, b=b))
    stack.apply()
    before, since, pulls = contents(ollama), ollama.mark(), len(registry.requests)
    stack.configure(configuration(a=b, b=a))
    stack.apply()
    assert (contents(ollama), len(registry.requests)) == (before, pulls)
    assert count(ollama, since, "/api/generate") == count(ollama, since, "/api/delete") == 0
    assert stack.plan().planned == {}
    assert {one["origin"] for one in stack.state().values()} == {"pulled"}
    stack.destroy()
    assert installed(ollama) == {}


def test_three_names_that_move_on_by_one(
    terraform_of: TerraformMaker, ollama: OllamaServer, files: list[dict[str, Any]], ggufs: Callable[..., Path]
) -> None:
    three = dict(zip("abc", [*files, {"gguf": str(ggufs(2)), "memory_management": "manual"}], strict=True))
    stack = terraform_of(configuration(**{label: one | {"name": f"m-{label}"} for label, one in three.items()}))
    stack.apply()
    before = contents(ollama)
    moved = {label: one | {"name": f"m-{'bca'['abc'.index(label)]}"} for label, one in three.items()}
    stack.configure(configuration(**moved))
    stack.apply()
    assert contents(ollama) == [before[2], before[0], before[1]]
    assert stack.plan().planned == {}


def test_a_resident_that_another_one_of_the_same_run_displaces_is_an_error(
    terraform_of: TerraformMaker, engine: Ollama, files: list[dict[str, Any]], tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path / "one", {"OLLAMA_MAX_LOADED_MODELS": "1"}) as small:
        a, b = files
        stack = terraform_of(configuration(a=a | {"name": "x"}, b=b | {"name": "y"}), OLLAMA_HOST=small.url)
        [error] = stack.apply(check=False).errors
        assert error.summary == "The model is there, and memory is not as declared"
        [held] = pinned(small)
        [lost] = {"x:latest", "y:latest"} - {held}
        assert f"{held} is in memory, and {lost}, pinned before it, no longer is" in error.detail


def test_a_resident_that_displaces_what_somebody_else_has_pinned_is_an_error_that_says_so_once(
    terraform_of: TerraformMaker, engine: Ollama, files: list[dict[str, Any]], tmp_path: Path
) -> None:
    with OllamaServer(engine.program, tmp_path / "one", {"OLLAMA_MAX_LOADED_MODELS": "1"}) as small:
        small.create_from_gguf("theirs", Path(files[1]["gguf"]))
        small.call("POST", "/api/generate", {"model": "theirs", "keep_alive": -1})
        stack = terraform_of(configuration(a=files[0] | {"name": "x"}), OLLAMA_HOST=small.url)
        [error] = stack.apply(check=False).errors
        assert "x:latest is in memory, and theirs:latest, pinned before it, no longer is" in error.detail
        stack.apply()
        assert pinned(small) == ["x:latest"]


@pytest.mark.parametrize("takes_first", [False, True])
def test_a_pin_that_is_left_to_a_resource_which_cannot_take_the_name_does_not_stay_without_an_owner(
    ollama: OllamaServer, files: list[dict[str, Any]], ggufs: Callable[..., Path], takes_first: bool
) -> None:
    ollama.create_from_gguf("x", ggufs(2))
    theirs = installed(ollama)["x:latest"]
    found = {"name": "x", "memory_management": "manual"}
    taker = {"name": "x", "base": "not-there", "memory_management": "manual"}

    a, b = [run_on(ollama.url, partial(Lifecycle.create, values=one)) for one in (found, files[1] | {"name": "y"})]

    async def exchanged(life: Lifecycle) -> None:
        async def gives() -> None:
            await life.update(a, found | {"name": "y"}, _LEFT)

        async def takes() -> None:
            with pytest.raises(OllamaError, match="not-there"):
                await life.update(b, taker, _LEFT)

        for step in (takes, gives) if takes_first else (gives, takes):
            await step()

    run_on(ollama.url, exchanged)
    assert pinned(ollama) == ["y:latest"]
    assert installed(ollama)["x:latest"] == theirs


def test_a_pulumi_preview_does_not_say_that_an_exchanged_model_is_deleted(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, pulled: list[dict[str, Any]]
) -> None:
    a, b = pulled
    stack = stack_of(program(a=a, b=b))
    stack.up()
    before, pulls = contents(ollama), len(registry.requests)
    stack.set_program(program(a=b, b=a))
    said = stack.preview().text
    assert all(f"{one['name']} is another resource's too: it stays as it is" in said for one in (a, b))
    assert "deleted" not in said
    stack.up()
    assert (contents(ollama), len(registry.requests)) == (before, pulls)
    stack.destroy()
    assert installed(ollama) == {}


def test_pulumi_exchanges_two_names_of_which_one_resource_depends_on_the_other(
    stack_of: StackMaker, ollama: OllamaServer, registry: Registry, pulled: list[dict[str, Any]]
) -> None:
    def depending(a: dict[str, Any], b: dict[str, Any]) -> str:
        return program(a=a, b=b).rstrip(")\n") + ", opts=pulumi.ResourceOptions(depends_on=[a]))\n"

    a, b = pulled
    stack = stack_of(depending(a, b))
    stack.up()
    before, pulls = contents(ollama), len(registry.requests)
    stack.set_program(depending(b | {"pull_policy": "never"}, a | {"pull_policy": "never"}))
    stack.up()
    assert (contents(ollama), len(registry.requests)) == (before, pulls)
    states = [one for one in stack.export()["deployment"]["resources"] if one["type"].endswith("Model")]
    assert len(states) == 2
    assert not any("declared_beside" in one["inputs"] or "declared_beside" in one["outputs"] for one in states)


def test_a_rename_onto_a_model_that_is_there_says_that_its_content_is_lost(
    terraform_of: TerraformMaker,
    stack_of: StackMaker,
    ollama: OllamaServer,
    files: list[dict[str, Any]],
    ggufs: Callable[..., Path],
) -> None:
    ollama.create_from_gguf("theirs", ggufs(2))
    lost = "theirs:latest already exists on the server. The apply creates it again from"
    stack = stack_of(program(a=files[0] | {"name": "x"}))
    stack.up()
    stack.set_program(program(a=files[0] | {"name": "theirs"}))
    assert lost in stack.preview().text
    stack.destroy()
    terraform = terraform_of(configuration(a=files[0] | {"name": "x"}))
    terraform.apply()
    terraform.configure(configuration(a=files[0] | {"name": "theirs"}))
    assert any(lost in one.detail for one in terraform.plan().diagnoses)


def test_pulumi_exchanges_two_names(
    stack_of: StackMaker, ollama: OllamaServer, files: list[dict[str, Any]], pulled: list[dict[str, Any]]
) -> None:
    a, b = files
    stack = stack_of(program(a=a | {"name": "x"}, b=b | {"name": "y"}))
    stack.up()
    before = contents(ollama)
    stack.set_program(program(a=a | {"name": "y"}, b=b | {"name": "x"}))
    assert steps(stack.up()) == {"a": "update", "b": "update"}
    assert contents(ollama) == before[::-1]
    assert "update" not in stack.refresh().changes
    stack.destroy()
    assert installed(ollama) == {}
