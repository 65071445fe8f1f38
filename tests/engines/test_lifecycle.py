"""The lifecycle without an engine, on a real Ollama: what a table of Pulumi runs would be too slow to show."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.planning import difference
from ollama_provider.apply.server import Servers
from ollama_provider.apply.states import State
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError, UnreachableError
from ollama_provider.ollama.http.api import Ollama as OllamaClient
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.observing import call, count, installed, pinned, resident, seconds_left, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.tiny_models import write_embedding_only, write_llama
from tests.engines.toolchain import Ollama

pytestmark = [pytest.mark.engines, pytest.mark.both_engines]
Run = Callable[..., Any]


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def run(ollama: OllamaServer, reports: list[str]) -> Run:
    """Runs what is asked of a lifecycle to its end: `run(lambda lifecycle: lifecycle.create({...}))`."""

    def run(*work: Callable[[Lifecycle], Awaitable[Any]]) -> Any:
        async def all_of_it() -> Any:
            servers = Servers()
            lifecycle = Lifecycle(ProviderSettings(host=ollama.url), servers, reports.append)
            try:
                return await asyncio.gather(*(one(lifecycle) for one in work), return_exceptions=len(work) > 1)
            finally:
                await servers.close()

        results = asyncio.run(all_of_it())
        return results if len(work) > 1 else results[0]

    return run


@pytest.fixture
def name(registry: Registry) -> str:
    return registry.reference("tiny:latest")


def test_a_model_that_only_embeds_is_pinned_bounded_and_released(
    run: Run, ollama: OllamaServer, tmp_path: Path
) -> None:
    file = tmp_path / "embedding.gguf"
    write_embedding_only(file)
    values = {"name": "embedder", "gguf": str(file), "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    assert state["capabilities"] == ["embedding"]
    assert pinned(ollama) == ["embedder:latest"]
    automatic = {"name": "embedder", "gguf": str(file), "keep_alive": "2m"}
    state = run(lambda lifecycle: lifecycle.update(state, automatic))
    assert 60 < seconds_left(ollama, "embedder:latest") <= 120
    run(lambda lifecycle: lifecycle.delete(state))
    assert (ollama.ps(), ollama.tags(), ollama.runners()) == ([], [], [])


def test_parameters_given_as_texts_are_what_each_call_gets(run: Run, ollama: OllamaServer, tiny: Path) -> None:
    texts = {"num_ctx": "1024", "temperature": "0.5", "use_mmap": "false", "stop": "x", "num_predict": "1"}
    values = {"name": "typed", "gguf": str(tiny), "parameters": texts, "keep_alive": "5m"}
    run(lambda lifecycle: lifecycle.create(values))
    call(ollama, "typed", prompt="a")
    assert [one["context_length"] for one in ollama.ps()] == [1024]
    shown = ollama.call("POST", "/api/show", {"model": "typed"}).json()["parameters"]
    assert {line.split()[0] for line in shown.splitlines()} == texts.keys()


def test_a_parameter_that_this_version_refuses_is_refused_before_anything_is_done(
    run: Run, ollama: OllamaServer, tiny: Path
) -> None:
    values = {"name": "typical", "gguf": str(tiny), "parameters": {"typical_p": "0.7"}, "keep_alive": "5m"}
    version = version_in(ollama.call("GET", "/api/version").json()["version"])
    if not Behavior.REFUSES_TYPICAL_P.holds(version, if_unknown=True):
        run(lambda lifecycle: lifecycle.create(values))
        return call(ollama, "typical")
    since = ollama.mark()
    misfit = run(lambda lifecycle: lifecycle.planning.misfit(values))
    assert "Ollama refuses this from 0.34.1 on: use top_p and min_p" in misfit.problem.expected
    assert misfit.is_error
    with pytest.raises(RefusedError, match="typical_p"):
        run(lambda lifecycle: lifecycle.create(values))
    assert {request.path for request in ollama.requests(since)} <= {"/api/version", "/api/tags", "/api/ps"}
    return None


def test_a_local_file_is_needed_only_where_the_server_has_not_its_content(
    run: Run, engine: Ollama, ollama: OllamaServer, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    values = {"name": "mine", "gguf": str(file)}
    with pytest.raises(InvalidDeclarationError, match="No such file or directory"):
        run(lambda lifecycle: lifecycle.create(values))
    assert ollama.tags() == []
    file.write_bytes(ggufs(1).read_bytes())
    state: State = run(lambda lifecycle: lifecycle.create(values))
    file.unlink()
    for changed in ({"memory_management": "manual"}, {"parameters": {"num_ctx": 512}}, {"name": "yours"}):
        state = run(lambda lifecycle, changed=changed, state=state: lifecycle.update(state, values | changed))
    assert installed(ollama).keys() == {"yours:latest"}
    ollama.call("DELETE", "/api/delete", {"model": "yours"}).raise_for_status()
    changed = values | {"name": "yours", "system": "be brief"}
    if Behavior.REWRITES_GGUF.holds(
        version_in(engine.version), if_unknown=False
    ):  # and keeps what was uploaded beside it
        state = run(lambda lifecycle: lifecycle.update(state, changed))
    else:
        with pytest.raises(InvalidDeclarationError, match="No such file or directory"):
            run(lambda lifecycle: lifecycle.update(state, changed))
    run(lambda lifecycle: lifecycle.delete(state))


def test_a_model_in_several_files_runs_where_the_version_can_and_is_refused_elsewhere(
    run: Run, ollama: OllamaServer, tmp_path: Path
) -> None:
    write_llama(tmp_path / "split.gguf", split_max_tensors=9)
    first, second, third = sorted(map(str, tmp_path.glob("split-*-of-00003.gguf")))
    values = {"name": "split", "gguf": first, "memory_management": "manual"}
    with pytest.raises(InvalidDeclarationError, match="number 2 of 3"):
        run(lambda lifecycle: lifecycle.create(values | {"gguf": second}))
    version = version_in(ollama.call("GET", "/api/version").json()["version"])
    if not Behavior.KEEPS_SPLIT_GGUF.holds(version, if_unknown=True):
        assert run(lambda lifecycle: lifecycle.planning.misfit(values)).is_error
        with pytest.raises(RefusedError, match=r"cannot run one of 3 files, from 0\.34\.1 on it can"):
            run(lambda lifecycle: lifecycle.create(values))
        assert ollama.tags() == []
        return
    state: State = run(lambda lifecycle: lifecycle.create(values))
    assert pinned(ollama) == ["split:latest"]
    call(ollama, "split", prompt="a")
    since = ollama.mark()
    assert not difference(state, values).changed
    smaller = values | {"parameters": {"num_ctx": 512}}
    state = run(lambda lifecycle: lifecycle.update(state, smaller))
    assert {request.method for request in ollama.requests(since) if "/blobs/" in request.path} == {"HEAD"}
    run(lambda lifecycle: lifecycle.delete(state))
    assert ollama.tags() == []
    Path(third).unlink()
    with pytest.raises(InvalidDeclarationError, match=r"split-00003-of-00003\.gguf beside it: No such file"):
        run(lambda lifecycle: lifecycle.create(values))


def test_a_rename_that_fails_leaves_nothing_that_no_state_knows(run: Run, ollama: OllamaServer, tiny: Path) -> None:
    values = {"name": "old", "gguf": str(tiny), "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    before = installed(ollama)
    with pytest.raises(OllamaError, match="not done within 1ms"):
        run(lambda lifecycle: lifecycle.update(state, values | {"name": "new", "timeouts": {"load": "1ms"}}))
    assert (installed(ollama), pinned(ollama), len(ollama.runners())) == (before, ["old:latest"], 1)
    run(lambda lifecycle: lifecycle.delete(state))
    assert (ollama.tags(), ollama.runners()) == ([], [])


def test_what_is_there_is_taken_over_by_create_and_by_import(run: Run, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("there", tiny)
    since = ollama.mark()
    created: State = run(lambda lifecycle: lifecycle.create({"name": "there"}))
    assert count(ollama, since, "/api/pull") == 0
    imported: State = run(lambda lifecycle: lifecycle.adopt("there"))
    assert imported == created
    assert imported["id"] == "there:latest"
    call(ollama, "there", keep_alive=-1)
    assert run(lambda lifecycle: lifecycle.adopt("there"))["memory_management"] == "manual"
    at_host: State = run(lambda lifecycle: lifecycle.adopt(f"there@{ollama.url}"))
    assert (at_host["host"], at_host["id"]) == (ollama.url, f"there:latest@{ollama.url}")
    call(ollama, "there", keep_alive=0)
    told: State = run(lambda lifecycle: lifecycle.adopt("there?keep_alive=5m&on_destroy=unload"))
    assert (told["keep_alive"], told["on_destroy"], told["id"]) == ("5m", "unload", "there:latest")
    with pytest.raises(InvalidDeclarationError, match="expected KEY=VALUE with one of keep_alive, on_destroy"):
        run(lambda lifecycle: lifecycle.adopt("there?resident=true"))
    with pytest.raises(NotFoundError, match="there is no model of that name"):
        run(lambda lifecycle: lifecycle.adopt("nowhere"))


def test_pull_policy_never_gets_nothing(run: Run, ollama: OllamaServer, name: str) -> None:
    since = ollama.mark()
    with pytest.raises(RefusedError, match="does not allow a pull"):
        run(lambda lifecycle: lifecycle.create({"name": name, "pull_policy": "never"}))
    with pytest.raises(RefusedError, match=r"base .* does not allow a pull"):
        run(lambda lifecycle: lifecycle.create({"name": "v", "base": name, "pull_policy": "never"}))
    assert count(ollama, since, "/api/pull") == 0
    assert installed(ollama) == {}


def test_of_a_base_and_a_variant_placed_at_once_one_is_refused(run: Run, ollama: OllamaServer, name: str) -> None:
    base = {"name": name, "insecure": True, "memory_management": "manual"}
    variant = {"name": "v", "base": name, "insecure": True, "memory_management": "manual"}
    results = run(lambda lifecycle: lifecycle.create(base), lambda lifecycle: lifecycle.create(variant))
    refusals = [result for result in results if isinstance(result, RefusedError | UnplacedError)]
    assert len(refusals) == 1
    assert "is pinned on the same weights" in str(refusals[0])
    assert len(pinned(ollama)) == 1
    assert len(ollama.runners()) == 1


def test_a_runner_of_the_same_weights_that_nobody_pinned_makes_room(run: Run, ollama: OllamaServer, name: str) -> None:
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False})
    call(ollama, name)
    assert resident(ollama) == [name]
    values = {"name": "v", "base": name, "parameters": {"num_ctx": 512}, "memory_management": "manual"}
    run(lambda lifecycle: lifecycle.create(values))
    assert pinned(ollama) == resident(ollama) == ["v:latest"]


def test_a_model_that_is_unloaded_as_it_comes_into_memory_is_loaded_again(
    run: Run, ollama: OllamaServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loads = OllamaClient.load, 0

    async def unloaded_once(client: OllamaClient, model: ModelName, *given: Any, **named: Any) -> None:
        nonlocal loads
        await load(client, model, *given, **named)
        loads += 1
        if loads == 1:
            ollama.call("POST", "/api/generate", {"model": name, "keep_alive": 0})
            wait_until(lambda: not resident(ollama), "it is out of memory")

    monkeypatch.setattr(OllamaClient, "load", unloaded_once)
    values = {"name": name, "insecure": True, "memory_management": "manual", "timeouts": {"load": "30s"}}
    run(lambda lifecycle: lifecycle.create(values))
    assert (pinned(ollama), loads) == ([name], 2)


def test_an_unload_waits_for_a_request_in_flight_and_says_so_when_it_is_too_long(
    run: Run, ollama: OllamaServer, registry: Registry, ggufs: Callable[..., Path]
) -> None:
    registry.push("big:latest", ggufs(7, layers=8, width=512))
    name = registry.reference("big:latest")
    values: dict[str, Any] = {"name": name, "insecure": True, "memory_management": "manual"}
    values["timeouts"] = {"unload": "300ms"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    # A random model soon ends its text; this form does not let it.
    long_list = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
    body = {"model": name, "prompt": "hello", "format": long_list, "options": {"num_predict": 100_000}}
    with httpx.stream("POST", f"{ollama.url}/api/generate", json=body, timeout=30) as answer:
        tokens = answer.iter_lines()
        next(tokens)
        with pytest.raises(UnreachableError, match=r"not done within 300ms: still in memory.* a request is in flight"):
            run(lambda lifecycle: lifecycle.delete(state))
        assert name in installed(ollama), "never deleted while it is in memory"
    run(lambda lifecycle: lifecycle.delete(state))
    assert (ollama.tags(), ollama.runners()) == ([], [])


def test_a_model_with_a_digest_is_pulled_where_another_content_is_there(
    run: Run, ollama: OllamaServer, registry: Registry, ggufs: Callable[..., Path]
) -> None:
    name = registry.reference("tiny:latest")
    wanted = registry.push("tiny:latest", ggufs(1))
    registry.push("tiny:latest", ggufs(2))
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False})
    registry.push("tiny:latest", ggufs(1))
    run(lambda lifecycle: lifecycle.create({"name": name, "insecure": True, "digest": wanted}))
    assert installed(ollama) == {name: wanted}


def test_a_wrong_digest_of_a_model_that_was_not_there_leaves_nothing(run: Run, ollama: OllamaServer, name: str) -> None:
    with pytest.raises(RefusedError, match=f"expected digest {'0' * 64}, and "):
        run(lambda lifecycle: lifecycle.create({"name": name, "insecure": True, "digest": "0" * 64}))
    assert installed(ollama) == {}


def test_a_rename_that_does_not_load_leaves_the_old_one_pinned(
    run: Run, ollama: OllamaServer, registry: Registry, name: str, tiny: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("broken:latest", broken)
    values = {"name": name, "insecure": True, "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    with pytest.raises(OllamaError, match="the load of"):
        run(lambda lifecycle: lifecycle.update(state, values | {"name": registry.reference("broken:latest")}))
    assert pinned(ollama) == [name]


def test_a_variant_that_somebody_made_anew_is_drift_and_is_made_as_declared_again(
    run: Run, ollama: OllamaServer, name: str
) -> None:
    values = {"name": "v", "base": name, "insecure": True, "parameters": {"num_ctx": 512}}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    body = {"model": "v", "from": name, "parameters": {"num_ctx": 1024}, "stream": False}
    ollama.call("POST", "/api/create", body).raise_for_status()
    seen: State = run(lambda lifecycle: lifecycle.read(state))
    assert seen["drift"].startswith("its content was replaced")
    assert run(lambda lifecycle: lifecycle.read(seen))["drift"] == seen["drift"], "a second look does not forget it"
    fixed: State = run(lambda lifecycle: lifecycle.update(seen, values))
    assert (fixed["drift"], fixed["digest"]) == ("", state["digest"])


def test_a_long_pull_reports_bytes_rate_and_time_left(
    run: Run, registry: Registry, reports: list[str], ggufs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ollama_provider.apply.content.REPORT_SECONDS", 0.5)
    registry.push("big:latest", ggufs(7, layers=8, width=512))
    registry.bytes_per_second = 10_000_000
    name = registry.reference("big:latest")
    run(lambda lifecycle: lifecycle.create({"name": name, "insecure": True}))
    progress = [line for line in reports if "% of" in line]
    assert progress, reports
    assert "MiB/s, " in progress[-1]
    assert progress[-1].endswith("left")


def test_an_orphan_that_no_name_reaches_is_said_and_holds_nothing_up(
    run: Run, ollama: OllamaServer, ggufs: Callable[..., Path], reports: list[str]
) -> None:
    """What every other tool makes: a name made anew over a pinned model leaves its old runner in memory."""
    ollama.create_from_gguf("w", ggufs(1))
    values = {"name": "w", "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    ollama.create_from_gguf("w", ggufs(2))
    seen: State = run(lambda lifecycle: lifecycle.read(state))
    assert seen["drift"].startswith("an older content of this name is in memory")
    updated: State = run(lambda lifecycle: lifecycle.update(seen, values))
    assert any("stays in memory: see `ollama-policy reclaim`" in line for line in reports)
    assert len(pinned(ollama)) == 2, "the new content is pinned as declared, beside the orphan"
    run(lambda lifecycle: lifecycle.delete(updated))
    assert list(installed(ollama)) == ["w:latest"], "it was there before"
    assert [model["digest"] for model in ollama.ps()] == [state["digest"]]


def test_an_older_content_that_another_name_still_has_is_freed_through_it(
    run: Run, ollama: OllamaServer, ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("w", ggufs(1))
    values = {"name": "w", "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    ollama.call("POST", "/api/copy", {"source": "w", "destination": "kept"}).raise_for_status()
    ollama.create_from_gguf("w", ggufs(2))
    seen: State = run(lambda lifecycle: lifecycle.read(state))
    fixed: State = run(lambda lifecycle: lifecycle.update(seen, values))
    assert fixed["drift"] == ""
    assert [model["digest"] for model in ollama.ps()] == [fixed["digest"]]


def test_a_name_that_was_made_anew_on_the_same_weights_is_pinned_as_it_is_now(
    run: Run, ollama: OllamaServer, tiny: Path
) -> None:
    """As a pull does that brings another template: the old runner would go on under the old digest."""
    ollama.create_from_gguf("w", tiny)
    values = {"name": "w", "memory_management": "manual"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    ollama.create_from_gguf("w", tiny, system="be brief")
    seen: State = run(lambda lifecycle: lifecycle.read(state))
    fixed: State = run(lambda lifecycle: lifecycle.update(seen, values))
    assert fixed["drift"] == ""
    assert (pinned(ollama), len(ollama.runners())) == (["w:latest"], 1)
    assert ollama.ps()[0]["digest"] == fixed["digest"] != state["digest"]


def test_the_runner_of_a_deleted_base_makes_room_for_what_was_derived_from_it(
    run: Run, ollama: OllamaServer, tiny: Path, reports: list[str]
) -> None:
    """It would serve the derived one's calls, shown as the base forever: the load would never be seen to be done."""
    ollama.create_from_gguf("base", tiny)
    derived = {"model": "derived", "from": "base", "system": "be brief", "stream": False}
    ollama.call("POST", "/api/create", derived).raise_for_status()
    call(ollama, "base", keep_alive=-1)
    ollama.call("DELETE", "/api/delete", {"model": "base"}).raise_for_status()
    values = {"name": "derived", "memory_management": "manual", "timeouts": {"load": "10s"}}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    assert state["drift"] == ""
    assert (pinned(ollama), len(ollama.runners())) == (["derived:latest"], 1)
    assert any(line.startswith("derived:latest: base:latest (") for line in reports), reports


def test_an_older_content_is_not_freed_at_the_cost_of_a_model_on_the_same_weights(
    run: Run, ollama: OllamaServer, ggufs: Callable[..., Path]
) -> None:
    ollama.create_from_gguf("w", ggufs(1))
    call(ollama, "w", keep_alive=-1)
    ollama.create_from_gguf("other", ggufs(2))
    call(ollama, "other", keep_alive=-1)
    ollama.create_from_gguf("w", ggufs(2), system="be brief")
    values = {"name": "w", "keep_alive": "5m"}
    state: State = run(lambda lifecycle: lifecycle.create(values))
    assert state["drift"].startswith("an older content")
    assert sorted(pinned(ollama)) == ["other:latest", "w:latest"]
