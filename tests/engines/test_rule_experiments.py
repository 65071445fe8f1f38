"""Every rule's harm and its fix, shown on a real Ollama: the bad example does what the rule says, the fix ends it.

An experiment takes servers, requests and declarations from the rule's own example files. Where an example's sizes are
those of a large machine, it takes smaller ones, and says so. What no test can show here, the rule itself says
(`not_shown`).
"""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_policy.model.rule import Rule
from ollama_policy.pipeline.check import Options, check
from ollama_policy.rules import RULES
from ollama_policy.rules.automatic_without_bound import AutomaticWithoutBound
from ollama_policy.rules.bare_seconds import BareSeconds
from ollama_policy.rules.boolean_reads_true import BooleanReadsTrue
from ollama_policy.rules.cloud_model import CloudModel
from ollama_policy.rules.conflicting_declarations import ConflictingDeclarations
from ollama_policy.rules.invalid_declaration import InvalidDeclaration
from ollama_policy.rules.invalid_duration import InvalidDuration
from ollama_policy.rules.invalid_keep_alive import InvalidKeepAlive
from ollama_policy.rules.invalid_llama_argument import InvalidLlamaArgument
from ollama_policy.rules.invalid_number import InvalidNumber
from ollama_policy.rules.invalid_parameter import InvalidParameter
from ollama_policy.rules.keep_alive_through_v1 import KeepAliveThroughV1
from ollama_policy.rules.limit_too_small import LimitTooSmall
from ollama_policy.rules.long_keep_alive import LongKeepAlive
from ollama_policy.rules.models_is_a_folder import ModelsIsAFolder
from ollama_policy.rules.no_memory_limit import NoMemoryLimit
from ollama_policy.rules.overridden_llama_argument import OverriddenLlamaArgument
from ollama_policy.rules.parallel_without_context import ParallelWithoutContext
from ollama_policy.rules.pin_without_server_default import PinWithoutServerDefault
from ollama_policy.rules.quantised_kv_without_flash_attention import QuantisedKvWithoutFlashAttention
from ollama_policy.rules.refused_keep_alive import RefusedKeepAlive
from ollama_policy.rules.reload_by_options import ReloadByOptions
from ollama_policy.rules.removed_parameter import RemovedParameter
from ollama_policy.rules.removed_variable import RemovedVariable
from ollama_policy.rules.server_never_releases import ServerNeverReleases
from ollama_policy.rules.unbounded_prompt_cache import UnboundedPromptCache
from ollama_policy.rules.unknown_kv_cache_type import UnknownKvCacheType
from ollama_policy.rules.unknown_variable import UnknownVariable
from ollama_provider.apply.server import Servers
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.sizes import MIB
from tests.engines.cgroups import memory_limited
from tests.engines.experimenting import (
    MODEL,
    SHAPE,
    Bench,
    argument,
    configured,
    declared,
    environment,
    fixed,
    load,
    logged,
    minutes_left,
    plain,
    requests,
)
from tests.engines.kinds import copy, make_remote
from tests.engines.observing import call, installed, pinned, resident, seconds_left, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.toolchain import Ollama

Experiment = Callable[[Bench], None]
EXPERIMENTS: dict[type[Rule], Experiment] = {}
LARGE = {"seed": 7, "layers": 16, "width": 512, "heads": 8}  # 68 MB, and 32 MiB of KV cache at 4096 tokens
# 8 KiB of KV cache a token: a prompt of 300 tokens leaves 2.3 MiB in the prompt cache.
CACHING = {"seed": 8, "layers": 16, "width": 128, "heads": 8, "kv_heads": 8}


def shows(rule: type[Rule]) -> Callable[[Experiment], Experiment]:
    def add(experiment: Experiment) -> Experiment:
        EXPERIMENTS[rule] = experiment
        return experiment

    return add


@pytest.fixture(scope="module")
def bench(engine: Ollama, tmp_path_factory: pytest.TempPathFactory, ggufs: Callable[..., Path]) -> Bench:
    made = Bench(engine.program, tmp_path_factory.mktemp("experiments"), ggufs)
    with made.server() as server:
        server.create_from_gguf(MODEL, ggufs(6, **SHAPE))
        server.create_from_gguf("example-model", ggufs(6, **SHAPE))
        server.create_from_gguf("large", ggufs(**LARGE))
        server.create_from_gguf("caching", ggufs(**CACHING))
        body = {"model": "llama3-long", "from": MODEL, "parameters": {"num_ctx": 8192}, "stream": False}
        server.call("POST", "/api/create", body).raise_for_status()
    return made


@pytest.mark.engines
@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.not_shown], ids=lambda rule: rule.id)
def test_the_harm_and_the_fix(rule: type[Rule], bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where a server makes a folder that it takes a name for
    EXPERIMENTS[rule](bench)


def test_every_rule_has_an_experiment_or_says_why_it_has_none() -> None:
    for rule in RULES:
        assert (rule in EXPERIMENTS, bool(rule.experiment), bool(rule.not_shown)) in (
            (True, True, False),
            (False, False, True),
        ), rule.id


# Declarations.


def apply(server: OllamaServer, work: Callable[[Lifecycle], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        servers = Servers()
        try:
            return await work(Lifecycle(ProviderSettings(host=server.url), servers, lambda text: None))
        finally:
            await servers.close()

    return asyncio.run(run())


def create(server: OllamaServer, values: dict[str, Any]) -> Any:
    return apply(server, lambda lifecycle: lifecycle.create(values))


def apply_again(server: OllamaServer, state: dict[str, Any], values: dict[str, Any]) -> Any:
    seen = apply(server, lambda lifecycle: lifecycle.read(state))
    return apply(server, lambda lifecycle: lifecycle.update(seen, values))


@shows(AutomaticWithoutBound)
def automatic_without_bound(bench: Bench) -> None:
    [bad] = [values for values in declared(plain(AutomaticWithoutBound.bad)) if "name" in values]
    [good] = [values for values in declared(plain(AutomaticWithoutBound.good)) if "name" in values]
    for values, is_held in ((bad, True), (good, False)):
        with bench.server() as server:
            state = create(server, values)
            load(server, values["name"], keep_alive=-1).raise_for_status()
            apply_again(server, state, values)
            assert (pinned(server) == ["example-model:latest"]) is is_held
            assert is_held or minutes_left(server, "example-model") == 5


@shows(InvalidDeclaration)
def invalid_declaration(bench: Bench) -> None:
    with bench.server() as server:
        since = server.mark()
        for values in declared(plain(InvalidDeclaration.bad)):
            with pytest.raises(InvalidDeclarationError):
                create(server, values)
        assert server.requests(since) == []
        [values, *_] = declared(plain(InvalidDeclaration.good))
        create(server, values)
        assert pinned(server) == [f"{MODEL}:latest"]
        copy(server, MODEL, "chat")
        copy(server, "chat", "chat:local")
        server.call("DELETE", "/api/delete", {"model": "chat:local"}).raise_for_status()
        assert {"chat:latest", "chat:local"} & installed(server).keys() == {"chat:local"}
    (bench.models / "manifests/registry.ollama.ai/library/chat/local").unlink()  # no call reaches it


@shows(CloudModel)
def cloud_model(bench: Bench) -> None:
    [bad], [good] = declared(plain(CloudModel.bad)), declared(plain(CloudModel.good))
    with bench.server({"OLLAMA_NO_CLOUD": "1"}) as server:  # so that nothing is sent from here
        make_remote(server, bad["name"])
        create(server, bad)
        passed_on = load(server, bad["name"], keep_alive=-1)
        assert (passed_on.status_code, "cloud" in passed_on.text) == (403, True), passed_on.text
        assert resident(server) == []
        copy(server, MODEL, good["name"])
        create(server, good)
        load(server, good["name"], keep_alive="5m").raise_for_status()
        assert resident(server) == [good["name"]]
        for values in (bad, good):
            server.call("DELETE", "/api/delete", {"model": values["name"]}).raise_for_status()


@shows(InvalidKeepAlive)
def invalid_keep_alive(bench: Bench) -> None:
    bad, good = declared(plain(InvalidKeepAlive.bad))[0], declared(plain(InvalidKeepAlive.good))[0]
    with bench.server() as server:
        assert load(server, keep_alive=bad["keep_alive"]).status_code == 400
        with pytest.raises(InvalidDeclarationError):
            create(server, bad)
        assert resident(server) == []
        load(server, keep_alive=good["keep_alive"]).raise_for_status()
        assert minutes_left(server) == 10


@shows(PinWithoutServerDefault)
def pin_without_server_default(bench: Bench) -> None:
    for files, is_kept in ((plain(PinWithoutServerDefault.bad), False), (plain(PinWithoutServerDefault.good), True)):
        [values] = declared(files)
        with bench.of(files) as server:
            create(server, values)
            assert pinned(server) == [f"{MODEL}:latest"]
            call(server, MODEL, options={"num_ctx": 512})
            assert (pinned(server) == [f"{MODEL}:latest"]) is is_kept
            assert is_kept or minutes_left(server) == 10


@shows(LongKeepAlive)
def long_keep_alive(bench: Bench) -> None:
    for files, hours in ((plain(LongKeepAlive.bad), 24), (plain(LongKeepAlive.good), 1)):
        [values] = declared(files)
        with bench.server() as server:
            load(server, keep_alive=values["keep_alive"]).raise_for_status()
            before = seconds_left(server, f"{MODEL}:latest")
            call(server, MODEL)  # without a keep_alive: the clock starts anew with what the runner has
            assert minutes_left(server) == hours * 60
            assert seconds_left(server, f"{MODEL}:latest") > before - 1


@shows(ConflictingDeclarations)
def conflicting_declarations(bench: Bench) -> None:
    base, variant = declared(plain(ConflictingDeclarations.bad))[:2]
    with bench.server() as server:
        load(server, base["name"], keep_alive=-1).raise_for_status()
        load(server, variant["name"], keep_alive=-1).raise_for_status()
        assert pinned(server) == ["llama3-long:latest"]  # the base is gone
        load(server, base["name"]).raise_for_status()
        assert pinned(server) == []  # and so is the pin of both
    good = declared(plain(ConflictingDeclarations.good))[1]
    with bench.server() as server:
        load(server, good["name"], keep_alive=-1).raise_for_status()
        call(server, good["name"])
        assert pinned(server) == ["llama3-long:latest"]


# A server's variables.


def shows_minutes(bench: Bench, rule: type[Rule], bad: int, good: int) -> None:
    for files, minutes in ((plain(rule.bad), bad), (plain(rule.good), good)):
        with bench.of(files) as server:
            load(server).raise_for_status()
            assert minutes_left(server) == minutes


@shows(InvalidDuration)
def invalid_duration(bench: Bench) -> None:
    shows_minutes(bench, InvalidDuration, 5, 24 * 60)
    assert environment(fixed(InvalidDuration)) == environment(plain(InvalidDuration.good))


@shows(BooleanReadsTrue)
def boolean_reads_true(bench: Bench) -> None:
    for files, word in ((plain(BooleanReadsTrue.bad), "on"), (fixed(BooleanReadsTrue), "off")):
        with bench.of(files) as server:
            load(server).raise_for_status()
            assert argument(server, "--flash-attn") == word


@shows(InvalidNumber)
def invalid_number(bench: Bench) -> None:
    for files, value, is_warned in (
        (plain(InvalidNumber.bad), "0", True),
        (fixed(InvalidNumber), "1073741824", False),
    ):
        with bench.of(files) as server:
            assert configured(server)["OLLAMA_GPU_OVERHEAD"] == value
            assert logged(server, "invalid environment variable", seconds=0) is is_warned


@shows(UnknownVariable)
def unknown_variable(bench: Bench) -> None:
    shows_minutes(bench, UnknownVariable, 5, 10)


@shows(RemovedVariable)
def removed_variable(bench: Bench) -> None:
    with bench.of(plain(RemovedVariable.bad)) as server:
        bad = configured(server)
    with bench.server() as server:
        good = configured(server)
    assert "OLLAMA_MAX_VRAM" not in bad
    assert {name: value for name, value in bad.items() if name != "OLLAMA_HOST"} == {
        name: value for name, value in good.items() if name != "OLLAMA_HOST"
    }


def shows_no_load(bench: Bench, bad: dict[str, str], good: dict[str, str]) -> None:
    with bench.server(bad) as server:
        assert load(server).status_code == 500
        assert resident(server) == []
    with bench.server(good) as server:
        load(server).raise_for_status()


@shows(UnknownKvCacheType)
def unknown_kv_cache_type(bench: Bench) -> None:
    shows_no_load(bench, environment(plain(UnknownKvCacheType.bad)), environment(fixed(UnknownKvCacheType)))


@shows(QuantisedKvWithoutFlashAttention)
def quantised_kv_without_flash_attention(bench: Bench) -> None:
    rule = QuantisedKvWithoutFlashAttention
    shows_no_load(bench, environment(plain(rule.bad)), environment(fixed(rule)))
    alone = {"OLLAMA_KV_CACHE_TYPE": "q8_0"}
    with bench.server(alone) as server:
        load(server).raise_for_status()  # on a CPU the automatic choice is right
        server.create_from_gguf("narrow", bench.ggufs(9))  # heads of 16
        assert load(server, "narrow").status_code == 500


@shows(ModelsIsAFolder)
def models_is_a_folder(bench: Bench) -> None:
    bad = environment(plain(ModelsIsAFolder.bad))
    with bench.server(bad) as server:
        assert server.tags() == []
        assert Path(bad["OLLAMA_MODELS"]).is_dir()
    assert environment(plain(ModelsIsAFolder.good)).keys() == {"OLLAMA_MODELS"}
    with bench.server({"OLLAMA_MODELS": str(bench.models)}) as server:  # in place of /data/models
        assert len(server.tags()) > 1


@shows(ServerNeverReleases)
def server_never_releases(bench: Bench) -> None:
    with bench.of(plain(ServerNeverReleases.bad)) as server:
        call(server, MODEL)
        assert pinned(server) == [f"{MODEL}:latest"]
    with bench.of(fixed(ServerNeverReleases)) as server:
        call(server, MODEL)
        assert minutes_left(server) == 5


@shows(InvalidLlamaArgument)
def invalid_llama_argument(bench: Bench) -> None:
    bad = environment(plain(InvalidLlamaArgument.bad))
    shows_no_load(bench, bad, environment(plain(InvalidLlamaArgument.good)))
    with bench.server({"LLAMA_ARG_CACHE_RAM": ""}) as server:
        assert load(server).status_code == 500
    with bench.server({"LLAMA_ARG_CACHE_RAM": "1GB"}) as server:
        load(server).raise_for_status()
        assert logged(server, "prompt cache is enabled, size limit: 1 MiB")


@shows(OverriddenLlamaArgument)
def overridden_llama_argument(bench: Bench) -> None:
    for files, length in ((plain(OverriddenLlamaArgument.bad), 4096), (plain(OverriddenLlamaArgument.good), 8192)):
        with bench.of(files) as server:
            load(server).raise_for_status()
            [model] = server.ps()
            assert model["context_length"] == length


@shows(BareSeconds)
def bare_seconds(bench: Bench) -> None:
    with bench.of(plain(BareSeconds.bad)) as server:
        load(server).raise_for_status()
        assert 20 < seconds_left(server, f"{MODEL}:latest") <= 30
    with bench.of(fixed(BareSeconds)) as server:
        load(server).raise_for_status()
        assert minutes_left(server) == 30


# Sums of memory.


@shows(ParallelWithoutContext)
def parallel_without_context(bench: Bench) -> None:
    sizes = {}
    for name, settings in (
        ("one", {}),
        ("bad", environment(plain(ParallelWithoutContext.bad))),
        ("fixed", environment(fixed(ParallelWithoutContext))),
    ):
        with bench.server(settings) as server:
            load(server).raise_for_status()
            sizes[name] = int(argument(server, "-c"))
    assert sizes == {"one": 4096, "bad": 4 * 4096, "fixed": 4 * 4096}  # 4096 is a CPU's
    with bench.server(environment(plain(ParallelWithoutContext.good))) as server:
        load(server).raise_for_status()
        assert int(argument(server, "-c")) == 4 * 8192  # as it says


def growth(server: OllamaServer, calls: int) -> int:
    """Bytes by which the runner's memory grows over calls with different prompts of 373 tokens."""
    options = {"num_predict": 2, "num_thread": 1}  # two threads wait for each other where other programs run
    prompts = [f"{number:03} " + "abcdefgh " * 33 for number in range(3 + calls)]
    for prompt in prompts[:3]:  # until all buffers are there
        call(server, "caching", prompt=prompt, options=options)
    [runner] = server.runners()
    before = server.runner_resident_bytes()
    for prompt in prompts[3:]:
        call(server, "caching", prompt=prompt, options=options)
    assert [one.pid for one in server.runners()] == [runner.pid]
    return server.runner_resident_bytes() - before


@shows(UnboundedPromptCache)
def unbounded_prompt_cache(bench: Bench) -> None:
    calls = 4
    with bench.of(plain(UnboundedPromptCache.bad)) as server:
        load(server, "caching", options={"num_thread": 1}).raise_for_status()
        [shown] = server.ps()
        grown = growth(server, calls)
        assert calls * 2 * MIB < grown < calls * 4 * MIB
        assert server.ps()[0]["size"] == shown["size"], "/api/ps says nothing"
        load(server, "caching", keep_alive=0, options={"num_thread": 1}).raise_for_status()
        wait_until(lambda: not server.runners(), "the unload gives all of it back")
    [name] = environment(plain(UnboundedPromptCache.good))
    with bench.server({name: "8"}) as server:  # in place of 512, which takes some 200 calls to fill
        assert growth(server, calls) < 2 * MIB


def load_within(bench: Bench, limit: int | None, model: str) -> tuple[int, bool]:
    """The status of a load on a server with a memory limit, and whether the server lives on."""
    with bench.server() as server:
        if limit is None:
            return load(server, model).status_code, server.call("GET", "/api/version").is_success
        with memory_limited(limit) as group:
            if group is None:
                pytest.skip("this machine lets nobody make a cgroup that limits memory")
            assert server.process
            group.add(server.process.pid)
            status = load(server, model).status_code
            alive = server.call("GET", "/api/version").is_success
            server.stop()
            return status, alive


@shows(NoMemoryLimit)
def no_memory_limit(bench: Bench) -> None:
    assert load_within(bench, None, "large") == (200, True)  # it takes what it wants
    assert load_within(bench, 64 * MIB, "large") == (500, True)  # the limit stops it, and it alone


@shows(LimitTooSmall)
def limit_too_small(bench: Bench) -> None:
    assert load_within(bench, 64 * MIB, "large") == (500, True)  # 65 MiB of weights alone
    assert load_within(bench, 512 * MIB, "large") == (200, True)


# Requests.


def sent(server: OllamaServer, rule: type[Rule], *, is_bad: bool, **more: Any) -> httpx.Response:
    [(path, body)] = requests(plain(rule.bad if is_bad else rule.good))
    return server.call("POST", path, {**body, "stream": False, **more})


@shows(RefusedKeepAlive)
def refused_keep_alive(bench: Bench) -> None:
    with bench.server() as server:
        assert sent(server, RefusedKeepAlive, is_bad=True).status_code == 400
        assert resident(server) == []
        sent(server, RefusedKeepAlive, is_bad=False).raise_for_status()
        assert pinned(server) == [f"{MODEL}:latest"]


@shows(KeepAliveThroughV1)
def keep_alive_through_v1(bench: Bench) -> None:
    said = [{"role": "user", "content": "hello"}]  # in place of none at all, which /v1 refuses
    with bench.server() as server:
        sent(server, KeepAliveThroughV1, is_bad=True, messages=said, max_tokens=2).raise_for_status()
        assert minutes_left(server) == 5
        sent(server, KeepAliveThroughV1, is_bad=False).raise_for_status()
        assert minutes_left(server) == 30


@shows(ReloadByOptions)
def reload_by_options(bench: Bench) -> None:
    with bench.server() as server:
        load(server, "llama3-long", keep_alive=-1).raise_for_status()
        [runner] = server.runners()
        sent(server, ReloadByOptions, is_bad=False).raise_for_status()
        assert ([one.pid for one in server.runners()], pinned(server)) == ([runner.pid], ["llama3-long:latest"])
        sent(server, ReloadByOptions, is_bad=True).raise_for_status()
        assert [one.pid for one in server.runners()] != [runner.pid]
        assert minutes_left(server, "llama3-long") == 5


@shows(RemovedParameter)
def removed_parameter(bench: Bench) -> None:
    with bench.server() as server:
        assert sent(server, RemovedParameter, is_bad=True).status_code == 400
        body = {"model": "new", "from": MODEL, "parameters": {"typical_p": 0.7}, "stream": False}
        assert server.call("POST", "/api/create", body).status_code == 400
        sent(server, RemovedParameter, is_bad=False).raise_for_status()
        load(server, options={"use_mlock": True}).raise_for_status()
        assert logged(server, 'msg="invalid option provided" option=use_mlock')


@shows(InvalidParameter)
def invalid_parameter(bench: Bench) -> None:
    with bench.server() as server:
        for examples, expected in ((InvalidParameter.bad, 500), (InvalidParameter.good, 200)):
            [(path, asked)] = requests(plain(examples[:1]))
            assert server.call("POST", path, {**asked, "stream": False}).status_code == expected
        body = {"model": "text", "from": MODEL, "parameters": {"num_ctx": "8k", "keep_alive": -1}, "stream": False}
        server.call("POST", "/api/create", body).raise_for_status()
        assert load(server, "text").status_code == 500
        load(server, options={"keep_alive": -1}).raise_for_status()
        assert logged(server, 'msg="invalid option provided" option=keep_alive')
        files = (
            plain(InvalidParameter.bad)["Modelfile"].splitlines(),
            plain(InvalidParameter.good)["Modelfile"].splitlines(),
        )
        for number, (lines, is_taken) in enumerate(((files[0][:2], False), (files[0][::2], False), (files[1], True))):
            written = bench.folder / f"Modelfile-{number}"
            written.write_bytes(b"\n".join(lines) + b"\n")
            environment = {"OLLAMA_HOST": server.url, "HOME": str(bench.folder)}
            command = [str(bench.program), "create", f"made-{number}", "-f", str(written)]
            done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
            assert (done.returncode == 0) is is_taken, done.stderr


# What OLL403 says of each option, beside what a server does.


@pytest.mark.engines
@pytest.mark.parametrize("model", [MODEL, "llama3-long"])
def test_what_the_rule_says_of_an_option_is_what_a_server_does(bench: Bench, model: str) -> None:
    bodies: list[dict[str, Any]] = [
        {"options": {name: value}}
        for name, value in (
            ("num_ctx", 8192),
            ("num_ctx", 2048),
            ("num_batch", 256),
            ("num_batch", 512),
            ("num_batch", 1024),
            ("num_gpu", 0),
            ("num_gpu", -1),
            ("num_thread", 2),
            ("num_thread", 0),
            ("main_gpu", 0),
            ("use_mmap", True),
            ("use_mmap", False),
            ("draft_num_predict", 4),
            ("draft_num_predict", 0),
            ("num_keep", 8),
            ("temperature", 0.1),
        )
    ] + [{"shift": False}, {"shift": True}, {"think": False}]
    files = {
        "compose.yaml": b"services:\n  ollama:\n    image: ollama/ollama:0.34.3\n    mem_limit: 64g\n"
        b"    environment:\n      OLLAMA_CONTEXT_LENGTH: 4096\n",
        "models.yaml": f"- name: {model}\n  base: phi\n  memory_management: manual\n".encode()
        + (b"  parameters:\n    num_ctx: 8192\n" if model != MODEL else b""),
    }
    if model != MODEL:  # what its own num_ctx makes different
        bodies = [body for body in bodies if any(name in str(body) for name in ("num_ctx", "num_batch"))]
    with bench.server({"OLLAMA_CONTEXT_LENGTH": "4096"}) as server:
        for body in bodies:
            if pinned(server) == []:  # made anew, as a first load makes it
                load(server, model, keep_alive=0).raise_for_status()
                wait_until(lambda: not server.runners(), "the model is unloaded")
                load(server, model, keep_alive=-1).raise_for_status()
            [before] = [runner.pid for runner in server.runners()]
            load(server, model, **body).raise_for_status()
            [after] = [runner.pid for runner in server.runners()]
            assert (after != before, pinned(server) == []) == (says_reload(files, model, body),) * 2, body


def says_reload(files: dict[str, bytes], model: str, body: dict[str, Any]) -> bool:
    script = f"curl http://ollama:11434/api/generate -d '{json.dumps({'model': model, **body})}'\n".encode()
    all_files = files | {"ask.sh": b"#!/bin/sh\n" + script}
    result = check([*all_files], Options((ReloadByOptions,), overlay=all_files))
    assert result.read == len(all_files)
    return bool(result.findings)
