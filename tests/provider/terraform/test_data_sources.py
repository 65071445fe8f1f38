"""What is only read, on a fake Ollama with faults: how often it is asked, and what goes wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import UNKNOWN
from ollama_provider.terraform.provider import OllamaProvider
from tests.engines.faulty_ollama import FakeOllamaWithFaults, html, resident, status, tag
from tests.provider.terraform.host import Host, packed, problems, unpacked

SCHEMAS: dict[str, Schema] = {source.name: source.schema for source in OllamaProvider({}).data_sources}
ASKING = sorted(SCHEMAS.keys() - {"ollama_server_environment"})


@pytest.fixture
def fake(fake: FakeOllamaWithFaults) -> FakeOllamaWithFaults:
    fake.tags = [tag("llama3:latest"), tag("tiny:latest", "cd" * 32)]
    fake.running = [resident("tiny:latest"), resident("llama3:latest", expires_at="2026-11-25T03:05:35.1+01:00")]
    details = {"parent_model": ""}
    information = {
        "general.architecture": "llama",
        "llama.context_length": 8192,
        "llama.attention.layer_norm_rms_epsilon": 1e-05,
        "tokenizer.ggml.tokens": None,
        "tokenizer.ggml.model": "llama",
    }
    projector = {"general.architecture": "clip", "clip.has_vision_encoder": True}
    shown = {"details": details, "model_info": information, "projector_info": projector, "capabilities": ["completion"]}
    fake.answer("POST", "/api/show", status(200, shown))
    return fake


@pytest.fixture
def host(fake: FakeOllamaWithFaults) -> Iterator[Host]:
    with Host(lambda: OllamaProvider({"OLLAMA_HOST": fake.url})) as host:
        configure(host)
        yield host


def configure(host: Host, /, **config: Any) -> None:
    schema = host.service._provider.schema
    assert not host.call("ConfigureProvider", config=packed(config, schema)).diagnostics


def request(name: str, /, **config: Any) -> dict[str, Any]:
    named = {"name": "llama3"} if name == "ollama_model" else {}
    return {"type_name": name, "config": packed(named | config, SCHEMAS[name])}


def read(host: Host, name: str, /, **config: Any) -> dict[str, Any]:
    response = host.call("ReadDataSource", **request(name, **config))
    assert problems(response) == []
    return unpacked(response.state, SCHEMAS[name])


def test_all_data_sources_of_a_plan_share_what_they_ask(host: Host, fake: FakeOllamaWithFaults) -> None:
    calls = [("ReadDataSource", request(name)) for name in ASKING * 3]
    assert all(problems(response) == [] for response in host.calls(*calls))
    asked = [request.path for request in fake.requests]
    assert (asked.count("/api/tags"), asked.count("/api/ps"), asked.count("/api/version")) == (1, 1, 1)
    assert asked.count("/api/show") == 3, "one for each ollama_model, and none for what they have in common"
    assert len(asked) == 6


def test_a_model_that_is_there(host: Host, fake: FakeOllamaWithFaults) -> None:
    assert read(host, "ollama_model", name="LLAMA3", host=fake.url) == {
        "name": "LLAMA3",
        "host": fake.url,
        "id": f"LLAMA3:latest@{fake.url}",
        "digest": "ab" * 32,
        "size": 1_000_000,
        "family": "llama",
        "parameter_size": "107K",
        "quantization_level": "F16",
        "context_length": 8192,
        "capabilities": ["completion"],
        "modified_at": "2026-01-01T00:00:00Z",
        "in_memory": True,
        "pinned": False,
        "metadata": read(host, "ollama_model")["metadata"],
    }
    assert read(host, "ollama_model")["metadata"].value == {
        "general.architecture": "llama",
        "llama.context_length": 8192,
        "llama.attention.layer_norm_rms_epsilon": 1e-05,
        "tokenizer.ggml.model": "llama",
        "clip.has_vision_encoder": True,
        "size": 1_000_000,
    }


def test_a_model_that_is_not_there_is_an_error_at_its_name(host: Host, fake: FakeOllamaWithFaults) -> None:
    response = host.call("ReadDataSource", **request("ollama_model", name="lama3"))
    assert problems(response) == [
        (
            ("name",),
            "There is no model lama3:latest",
            f"{fake.url} does not have it on disk. Did you mean llama3:latest? Declare it as a resource and read it "
            "with `depends_on`, or pull it first.",
        )
    ]
    assert not response.state.msgpack


def test_models_and_those_in_memory_stand_by_name(host: Host) -> None:
    models = read(host, "ollama_models")["models"]
    assert [(one["name"], one["in_memory"], one["pinned"]) for one in models] == [
        ("llama3:latest", True, False),
        ("tiny:latest", True, True),
    ]
    running = read(host, "ollama_running_models")["models"]
    assert [(one["name"], one["pinned"], one["expires_at"]) for one in running] == [
        ("llama3:latest", False, "2026-11-25T02:05:35Z"),
        ("tiny:latest", True, None),
    ]


@pytest.mark.parametrize(
    ("version", "leaks", "fixed"),
    [("0.17.4", 0, None), ("0.6.7", 3, "0.7.1"), ("0.31.0-rc1", 0, None), ("0.0.0", 0, None), ("dev", 0, None)],
)
def test_a_server_and_what_its_version_leaks(
    host: Host, fake: FakeOllamaWithFaults, version: str, leaks: int, fixed: str | None
) -> None:
    fake.version = version
    server = read(host, "ollama_server")
    assert (len(server["known_leaks"]), server["mended_in"]) == (leaks, fixed)
    assert {name: value for name, value in server.items() if name not in ("known_leaks", "mended_in")} == {
        "host": None,
        "url": fake.url,
        "version": version,
        "models": 2,
        "bytes_on_disk": 2_000_000,
        "running": 2,
        "bytes_in_memory": 2_000_000,
        "bytes_in_vram": 0,
    }


@pytest.mark.parametrize("name", ASKING)
def test_an_address_that_cannot_be_used_is_told_at_plan_time(host: Host, name: str) -> None:
    response = host.call("ValidateDataResourceConfig", **request(name, host="http://user:secret@example"))
    [(path, summary, detail)] = problems(response)
    assert (path, summary) == (("host",), "Wrong host")
    assert "secret@" not in detail
    assert problems(host.call("ValidateDataResourceConfig", **request(name, host=UNKNOWN))) == []


def test_a_name_that_is_none_is_told_at_plan_time(host: Host) -> None:
    [(path, _, detail)] = problems(host.call("ValidateDataResourceConfig", **request("ollama_model", name="a b")))
    assert (path, '"a b"' in detail) == (("name",), True)
    assert problems(host.call("ValidateDataResourceConfig", **request("ollama_model", name=UNKNOWN))) == []


@pytest.mark.parametrize("name", ASKING)
def test_what_is_no_ollama_and_a_provider_that_is_not_known_yet_are_one_error_each(
    host: Host, fake: FakeOllamaWithFaults, name: str
) -> None:
    fake.answer("GET", "/api/tags", html())
    [(path, summary, detail)] = problems(host.call("ReadDataSource", **request(name)))
    assert (path, summary) == ((), "The list of models failed")
    assert "does not look like Ollama" in detail
    configure(host, host=UNKNOWN)
    [(path, summary, _)] = problems(host.call("ReadDataSource", **request(name)))
    assert (path, summary) == ((), "The configuration of the provider is not known yet")


def environment(host: Host, call: str, /, **config: Any) -> Any:
    return host.call(call, **request("ollama_server_environment", **config))


def test_an_environment_asks_no_server_and_needs_no_provider(fake: FakeOllamaWithFaults) -> None:
    with Host(lambda: OllamaProvider({"OLLAMA_HOST": fake.url})) as host:
        response = environment(host, "ReadDataSource", keep_alive="24h", num_parallel=2, models="/a b", vulkan=False)
        state = unpacked(response.state, SCHEMAS["ollama_server_environment"])
    assert state["variables"] == {
        "OLLAMA_KEEP_ALIVE": "24h",
        "OLLAMA_NUM_PARALLEL": "2",
        "OLLAMA_MODELS": "/a b",
        "OLLAMA_VULKAN": "false",
    }
    assert sorted(state["environment_file"].splitlines()) == [
        "OLLAMA_KEEP_ALIVE=24h",
        "OLLAMA_MODELS='/a b'",
        "OLLAMA_NUM_PARALLEL=2",
        "OLLAMA_VULKAN=false",
    ]
    assert (state["num_parallel"], state["max_queue"]) == (2, None)
    assert fake.requests == []


def test_an_environment_is_checked_at_plan_time_where_it_is_known(host: Host) -> None:
    def places(**config: Any) -> list[tuple[str | int, ...]]:
        return [path for path, _, _ in problems(environment(host, "ValidateDataResourceConfig", **config))]

    assert places(keep_alive="10 minutes", num_parallel=-1) == [("keep_alive",), ("num_parallel",)]
    assert places(kv_cache_type="q8_0") == [("kv_cache_type",)]
    assert places(kv_cache_type="q8_0", flash_attention=UNKNOWN) == places(keep_alive=UNKNOWN) == []
    assert places(version=UNKNOWN, igpu_enable=True) == []
    assert places(version="0.17.4", igpu_enable=True) == [("igpu_enable",)]


def test_no_setting_of_a_server_is_a_secret_that_a_state_would_hold() -> None:
    attributes = SCHEMAS["ollama_server_environment"].attributes
    assert "api_key" not in attributes
