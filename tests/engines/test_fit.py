"""`ollama-policy fit` on a real Ollama: its sums are those of the real runners, and it changes nothing."""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from ollama_policy.cli import cli
from ollama_policy.live.capacity.sums import Model
from ollama_provider.ollama.memory import Estimate, UnknownArchitectureError
from ollama_provider.ollama.sizes import MIB
from tests.engines.cgroups import memory_limited
from tests.engines.observing import call, resident, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.toolchain import Engines, Ollama
from tests.schemas import valid

pytestmark = [pytest.mark.engines, pytest.mark.alone]
PINNED = 'resource "ollama_model" "{0}" {{\n  name = "{0}"\n  memory_management = "manual"\n}}\n'
LOOSE = 'resource "ollama_model" "{0}" {{\n  name = "{0}"\n  keep_alive = "{1}"\n}}\n'
COMPOSE = "services:\n  ollama:\n    image: ollama/ollama:0.34.3\n    mem_limit: 8g\n    environment:\n"


def fit(server: OllamaServer, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["fit", "--host", server.url, *map(str, arguments)])


def fitted(server: OllamaServer, *arguments: str | Path) -> dict[str, Any]:
    report = valid("fit", fit(server, "--format", "json", *arguments).stdout)
    assert report["problems"] == []
    return dict(report["servers"][0])


@pytest.fixture
def large(ggufs: Callable[..., Path]) -> Path:
    return ggufs(1, layers=8, width=512, heads=8, context_length=16384)


def test_the_sums_are_those_of_the_runners_and_of_ps_with_the_variables_of_compose(
    engines: Engines, tiny: Path, large: Path, tmp_path: Path
) -> None:
    variables = {"OLLAMA_NUM_PARALLEL": "2", "OLLAMA_CONTEXT_LENGTH": "8192"}
    (tmp_path / "compose.yaml").write_text(
        COMPOSE + "".join(f"      {name}: {value}\n" for name, value in variables.items())
    )
    (tmp_path / "m.tf").write_text(PINNED.format("large") + PINNED.format("tiny"))
    with OllamaServer(engines.ollama, tmp_path / "server", variables) as server:
        server.create_from_gguf("large", large)
        server.create_from_gguf("tiny", tiny)
        mark = server.mark()
        before = fitted(server, tmp_path)
        asked = {(one.method, one.path.partition("?")[0]) for one in server.requests(mark)}
        assert asked == {("GET", "/api/version"), ("GET", "/api/tags"), ("GET", "/api/ps"), ("POST", "/api/show")}
        assert server.ps() == []
        for name in ("large", "tiny"):
            call(server, name, keep_alive=-1)
        real = server.runner_resident_bytes()
        listed = {model["name"]: model["size"] for model in server.ps()}
        assert fitted(server, tmp_path) == before, "what is declared and there is not counted twice"
    assert (before["fits"], before["memory_bytes"]) == (True, 8 * 2**30)
    assert before["memory_from"] == f"the limit at {tmp_path}/compose.yaml:2:3"
    assert before["settings"]["num_parallel"] == 2
    assert [model["num_ctx"] for model in before["models"]] == [8192, 8192]
    at_load = sum(model["at_load_bytes"] for model in before["models"])
    untouched = sum(model["parts"]["compute"] for model in before["models"])
    assert real - 2 * 16 * MIB < at_load < real + 2 * 16 * MIB + untouched, "an upper bound"
    for model in before["models"]:
        assert model["listed_by_ollama_bytes"] == pytest.approx(listed[model["name"]], rel=0.05, abs=MIB)


@pytest.mark.parametrize(
    "variables",
    [
        {"OLLAMA_NUM_PARALLEL": "4", "OLLAMA_CONTEXT_LENGTH": "2048"},
        {"LLAMA_ARG_CACHE_TYPE_K": "q8_0", "LLAMA_ARG_CACHE_TYPE_V": "q8_0"},
    ],
    ids=" ".join,
)
def test_the_kv_cache_is_that_of_the_variables_that_the_server_runs_with(
    engines: Engines, large: Path, tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "m.tf").write_text(PINNED.format("large"))
    with OllamaServer(engines.ollama, tmp_path / "server", variables) as server:
        server.create_from_gguf("large", large)
        (model,) = fitted(server, tmp_path, "--memory", "16GiB")["models"]
        call(server, "large", keep_alive=-1)
        (real,) = re.findall(r"KV buffer size = +([0-9.]+) MiB", server.log.read_text(errors="replace"))
    assert model["parts"]["kv_cache"] == pytest.approx(float(real) * MIB, abs=MIB / 50)


def test_two_models_that_a_cpu_server_cannot_hold_are_said_to_be_killed_and_are(
    engine: Ollama, ggufs: Callable[..., Path], tmp_path: Path
) -> None:
    """300 MiB each, on a server limited to 512: nothing makes room for the second, and the kernel ends a runner."""
    (tmp_path / "m.tf").write_text(PINNED.format("a") + LOOSE.format("b", "5m"))
    limit = ("--memory", "512MiB")
    with (
        memory_limited(512 * MIB) as group,
        OllamaServer(engine.program, tmp_path / "server", {"LLAMA_ARG_CACHE_RAM": "0"}) as server,
    ):
        for seed, name in enumerate("ab"):
            gguf = ggufs(seed, layers=8, width=512, heads=8, kv_heads=8, context_length=16384)
            server.create_from_gguf(name, gguf, parameters={"num_ctx": 16384})
        result = fit(server, tmp_path, *limit)
        assert (result.exit_code, "does not fit, the kernel would kill" in result.stdout) == (1, True), result.output
        assert "evict" not in result.stdout
        told = fitted(server, tmp_path, *limit)
        assert all(256 * MIB < model["bytes"] < 512 * MIB for model in told["models"])
        (tmp_path / "one.tf").write_text(PINNED.format("a"))
        assert fitted(server, tmp_path / "one.tf", *limit)["fits"], "one alone fits"
        if group is None:
            pytest.skip("nobody may make a cgroup here: what fit says was looked at, what the kernel does was not")
        assert server.process
        group.add(server.process.pid)
        call(server, "a", keep_alive=-1)
        assert (group.killed(), resident(server)) == (0, ["a:latest"])
        with contextlib.suppress(httpx.HTTPError):  # it is the second's runner that dies, or the first's
            call(server, "b", keep_alive="5m")
        wait_until(lambda: group.killed() > 0, "the kernel ends a process")
        assert "predicted to exceed available memory, evicting" not in server.log.read_text()


def test_what_fits_is_told_by_bars_and_exit_codes(
    ollama: OllamaServer, tiny: Path, large: Path, tmp_path: Path
) -> None:
    ollama.create_from_gguf("large", large, parameters={"num_ctx": 16384})
    ollama.create_from_gguf("tiny", tiny)
    (tmp_path / "m.tf").write_text(PINNED.format("large") + LOOSE.format("tiny", "1m"))
    roomy = fit(ollama, tmp_path, "--memory", "16GiB")
    assert roomy.exit_code == 0, roomy.output
    assert "num_ctx 16384 (the model's own)" in roomy.stdout
    [large_one, _] = fitted(ollama, tmp_path, "--memory", "16GiB")["models"]
    tight = fit(ollama, tmp_path, "--memory", str(large_one["bytes"] - MIB))
    assert (tight.exit_code, "does not fit" in tight.stdout) == (1, True)
    [told, _] = fitted(ollama, tmp_path, "--memory", str(large_one["bytes"] - MIB))["models"]
    assert told["missing_bytes"] == MIB
    assert 8192 < told["largest_num_ctx"] < 16384
    here = fit(ollama, tmp_path)
    assert "(this machine's)" in here.stdout


def test_a_pin_that_nobody_declared_counts(ollama: OllamaServer, tiny: Path, large: Path, tmp_path: Path) -> None:
    (tmp_path / "m.tf").write_text(PINNED.format("tiny"))
    ollama.create_from_gguf("tiny", tiny)
    ollama.create_from_gguf("stray", large)
    assert len(fitted(ollama, tmp_path)["models"]) == 1
    call(ollama, "stray", keep_alive=-1)
    [stray, _] = fitted(ollama, tmp_path)["models"]
    assert (stray["name"], stray["bytes"]) == ("stray:latest", ollama.ps()[0]["size"])


def test_a_gguf_that_is_not_there_yet_and_two_names_of_one_blob(
    ollama: OllamaServer, tiny: Path, large: Path, tmp_path: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    derived = 'resource "ollama_model" "d" {\n  name = "d"\n  base = "tiny"\n  parameters = { num_ctx = 512 }\n}\n'
    file = tmp_path / "u.gguf"
    file.write_bytes(large.read_bytes())
    upload = 'resource "ollama_model" "u" {\n  name = "u"\n  gguf = "u.gguf"\n}\n'
    (tmp_path / "m.tf").write_text(PINNED.format("tiny") + derived + upload)
    told = fitted(ollama, tmp_path)
    assert told["shared"] == {"d:latest": "tiny:latest"}
    assert told["rivals"] == [["tiny:latest", "d:latest"]]
    file.unlink()
    missing = fit(ollama, tmp_path)
    assert (missing.exit_code, "its GGUF u.gguf is not here" in missing.stdout) == (2, True)
    ollama.create_from_gguf("u", large)
    on_server = fitted(ollama, tmp_path)
    by_name = [{model["name"]: model["bytes"] for model in one["models"]} for one in (told, on_server)]
    assert by_name[0].keys() == {"tiny:latest", "u:latest"}
    assert by_name[0] == pytest.approx(by_name[1], rel=0.05)


def test_a_snapshot_gives_the_same_later(ollama: OllamaServer, tiny: Path, tmp_path: Path) -> None:
    ollama.create_from_gguf("tiny", tiny)
    (tmp_path / "m.tf").write_text(PINNED.format("tiny"))
    file = tmp_path / "seen.json"
    now = fit(ollama, tmp_path, "--memory", "1GiB", "--record", file)
    later = CliRunner().invoke(cli, ["fit", str(tmp_path / "m.tf"), "--memory", "1GiB", "--from", str(file)])
    assert (later.exit_code, later.stdout) == (0, now.stdout)
    unknown = CliRunner().invoke(cli, ["fit", str(tmp_path / "m.tf"), "--from", str(file)])
    assert (unknown.exit_code, "give --memory" in unknown.stdout) == (2, True)


@pytest.mark.both_engines
@pytest.mark.parametrize(("max_loaded", "victim", "code"), [(3, None, 0), (2, "a", 0), (1, "pin", 1)])
def test_what_is_said_to_be_evicted_is(
    engines: Engines, ggufs: Callable[..., Path], tmp_path: Path, max_loaded: int, victim: str | None, code: int
) -> None:
    variables = {"OLLAMA_MAX_LOADED_MODELS": str(max_loaded)}
    (tmp_path / "compose.yaml").write_text(f"{COMPOSE}      OLLAMA_MAX_LOADED_MODELS: {max_loaded}\n")
    (tmp_path / "m.tf").write_text(PINNED.format("pin") + LOOSE.format("a", "5m") + LOOSE.format("b", "10m"))
    with OllamaServer(engines.ollama, tmp_path / "server", variables) as server:
        for seed, name in enumerate(("pin", "a", "b")):
            server.create_from_gguf(name, ggufs(seed))
        assert fit(server, tmp_path).exit_code == code
        [_, _, last] = fitted(server, tmp_path)["models"]
        assert last["evicts"] == ([f"{victim}:latest"] if victim else [])
        call(server, "pin", keep_alive=-1)
        if max_loaded > 1:
            call(server, "a", keep_alive="5m")
        before = set(resident(server))
        call(server, "b", keep_alive="10m")
        wait_until(lambda: len(resident(server)) == max_loaded, "the eviction")
        assert before - set(resident(server)) == set(last["evicts"])


def test_what_is_not_pulled_yet_is_known_from_its_registry(
    ollama: OllamaServer, registry: Registry, large: Path, tmp_path: Path
) -> None:
    """The sums of a model before it is pulled are those after it; of its blob only the beginning was asked for."""
    registry.push("large", large)
    name = registry.reference("large:latest")
    (tmp_path / "m.tf").write_text(PINNED.format("m").replace('"m"\n', f'"{name}"\n  insecure = true\n', 1))
    arguments = (tmp_path / "m.tf", "--memory", "8GiB")
    served = registry.blob_bytes_served()
    before = fitted(ollama, *arguments)
    assert registry.blob_bytes_served() - served <= 2**20 < large.stat().st_size
    assert (before["fits"], before["unknown"]) == (True, [])
    unasked = fit(ollama, "--no-registry", *arguments)
    assert (unasked.exit_code, "not known: it is not on the server: pull it there" in unasked.stdout) == (2, True)
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False}).raise_for_status()
    after = fitted(ollama, *arguments)
    [early], [late] = before["models"], after["models"]
    assert abs(early["bytes"] - late["bytes"]) < 2**20  # the file's header and vocabulary
    assert early["predicted_by_ollama_bytes"] is not None


def test_a_registry_that_does_not_say_is_told(ollama: OllamaServer, registry: Registry, tmp_path: Path) -> None:
    nobody = "127.0.0.1:1/library/chat:latest"
    for name, why in ((registry.reference("none:latest"), "HTTP 404"), (nobody, "127.0.0.1:1: ")):
        (tmp_path / "m.tf").write_text(PINNED.format("m").replace('"m"\n', f'"{name}"\n  insecure = true\n', 1))
        result = fit(ollama, tmp_path, "--memory", "8GiB")
        assert result.exit_code == 2
        assert f"({name.partition('/')[0]}: " in result.stdout, result.stdout
        assert why in result.stdout


@pytest.fixture
def no_architecture_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(model: Model, *_: object) -> Estimate:
        raise UnknownArchitectureError(f"the memory of the architecture of {model.name} is not known")

    monkeypatch.setattr(Model, "estimated", unknown)


@pytest.mark.usefixtures("no_architecture_is_known")
def test_what_the_estimate_does_not_know_llama_fit_params_is_asked(
    ollama: OllamaServer, registry: Registry, fit_params: Path, large: Path, tmp_path: Path
) -> None:
    """Of a file, of a blob of the server, and of the first MiB of what is not pulled yet: three times the same."""
    registry.push("large", large)
    (tmp_path / "large.gguf").write_bytes(large.read_bytes())
    remote = f'"{registry.reference("large:latest")}"\n  insecure = true\n'
    file = '"new"\n  gguf = "large.gguf"\n'
    ollama.create_from_gguf("here", large)
    told = []
    for form in ('"here"\n', file, remote):
        (tmp_path / "m.tf").write_text(PINNED.format("m").replace('"m"\n', form, 1))
        arguments = (tmp_path / "m.tf", "--memory", "8GiB")
        unasked = fit(ollama, *arguments)
        assert (unasked.exit_code, "llama-fit-params on PATH, or named by --fit-params" in unasked.stdout) == (2, True)
        [one] = fitted(ollama, *arguments, "--fit-params", fit_params)["models"]
        assert one["dry_run_by"] == str(fit_params)
        told.append(one["parts"])
    assert told[0] == told[1] == told[2]
    assert told[0]["context"] == 17 * MIB, "8 layers of 4096 tokens, and the MiB that it may have cut"
    result = fit(ollama, tmp_path / "m.tf", "--memory", "8GiB", "--fit-params", fit_params)
    assert f"as {fit_params} says" in result.stdout
    wrong = fit(ollama, tmp_path / "m.tf", "--memory", "8GiB", "--fit-params", tmp_path / "none")
    assert (wrong.exit_code, "it is not a program" in wrong.output) == (2, True)
