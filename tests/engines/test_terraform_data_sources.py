"""The data sources and functions, with the real Terraform on a real Ollama."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TerraformMaker
from tests.engines.observing import count, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.terraform_stack import TerraformStack

pytestmark = pytest.mark.engines

TINY = """
resource "ollama_model" "tiny" {
  name              = "tiny"
  memory_management = "manual"
  pull_policy       = "never"
}
"""


def outputs(**expressions: str) -> str:
    return "".join(f'output "{name}" {{\n  value = {expression}\n}}\n' for name, expression in expressions.items())


def values(stack: TerraformStack) -> dict[str, Any]:
    found = json.loads(stack.run("output", "-json").text)
    return {name: output["value"] for name, output in found.items()}


def test_what_terraform_reads_is_what_the_server_says(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    ollama.create_from_gguf("variant", tiny, parameters={"num_ctx": 512})
    stack = terraform_of(
        TINY
        + """
        data "ollama_model" "tiny" {
          name       = "TINY"
          depends_on = [ollama_model.tiny]
        }
        data "ollama_models" "all" { depends_on = [ollama_model.tiny] }
        data "ollama_running_models" "all" { depends_on = [ollama_model.tiny] }
        data "ollama_server" "here" { depends_on = [ollama_model.tiny] }
        """
        + outputs(
            model="data.ollama_model.tiny",
            all="data.ollama_models.all.models",
            running="data.ollama_running_models.all.models",
            server="data.ollama_server.here",
        )
    )
    stack.apply()
    found = values(stack)
    tags = {model["name"]: model for model in ollama.tags()}
    [running] = ollama.ps()
    shown = ollama.call("POST", "/api/show", {"model": "tiny"}).json()

    assert found["model"] == {
        "name": "TINY",
        "host": None,
        "id": "TINY:latest",
        "in_memory": True,
        "pinned": True,
        "context_length": 2048,
        "capabilities": ["completion"],
        "metadata": found["model"]["metadata"],
    } | on_disk(tags["tiny:latest"])
    assert found["model"]["metadata"].pop("size") == tags["tiny:latest"]["size"]
    shape = {key: value for key, value in shown["model_info"].items() if key.startswith("llama.")}
    assert found["model"]["metadata"] == shape | {
        "general.architecture": "llama",
        "general.parameter_count": shown["model_info"]["general.parameter_count"],
        "tokenizer.ggml.model": "llama",
    }
    assert found["all"] == [
        {"name": name, "in_memory": name == "tiny:latest", "pinned": name == "tiny:latest"} | on_disk(tags[name])
        for name in ("tiny:latest", "variant:latest")
    ]
    same = ("name", "digest", "size", "size_vram", "context_length")
    assert found["running"] == [{name: running[name] for name in same} | {"pinned": True, "expires_at": None}]
    assert found["server"] == {
        "host": None,
        "url": ollama.url,
        "version": ollama.call("GET", "/api/version").json()["version"],
        "known_leaks": [],
        "mended_in": None,
        "models": 2,
        "bytes_on_disk": sum(model["size"] for model in tags.values()),
        "running": 1,
        "bytes_in_memory": running["size"],
        "bytes_in_vram": running["size_vram"],
    }


def on_disk(tag: dict[str, Any]) -> dict[str, Any]:
    same = {name: tag[name] for name in ("digest", "size", "modified_at")}
    return same | {name: tag["details"][name] for name in ("family", "parameter_size", "quantization_level")}


def test_a_plan_with_many_data_sources_asks_the_server_four_times(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    stack = terraform_of(
        TINY
        + """
        data "ollama_models" "all" { count = 10 }
        data "ollama_running_models" "all" { count = 10 }
        data "ollama_server" "here" { count = 10 }
        data "ollama_model" "tiny" { name = "tiny" }
        """
    )
    stack.apply()
    since = ollama.mark()
    assert stack.plan().planned == {}
    assert sorted(request.path for request in ollama.requests(since)) == [
        "/api/ps",
        "/api/show",
        "/api/tags",
        "/api/version",
    ]


def test_a_model_that_is_not_there_is_an_error_at_its_name(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    stack = terraform_of('data "ollama_model" "m" {\n  name = "tinny"\n}\n')
    outcome = stack.plan(check=False)
    [error] = outcome.errors
    assert outcome.returncode == 1
    assert (error.summary, error.place, error.snippet) == (
        "There is no model tinny:latest",
        "main.tf:2",
        'name = "tinny"',
    )
    assert "Did you mean tiny:latest?" in error.detail


def test_a_name_that_is_known_only_after_an_apply_is_read_then(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    stack = terraform_of(
        """
        resource "terraform_data" "name" { input = "tiny" }
        data "ollama_model" "m" { name = terraform_data.name.output }
        data "ollama_server_environment" "e" { models = "/data/${terraform_data.name.output}" }
        """
        + outputs(
            digest="data.ollama_model.m.digest", folder="data.ollama_server_environment.e.variables.OLLAMA_MODELS"
        )
    )
    stack.plan()
    stack.apply()
    assert values(stack) == {"digest": ollama.tags()[0]["digest"], "folder": "/data/tiny"}


def test_a_host_that_is_known_only_after_an_apply_needs_a_target_first(
    terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    stack = terraform_of(
        f"""
        resource "terraform_data" "host" {{ input = "{ollama.url}" }}
        provider "ollama" {{ host = terraform_data.host.output }}
        data "ollama_server" "here" {{}}
        """
        + outputs(url="data.ollama_server.here.url"),
        OLLAMA_HOST="http://127.0.0.1:1",
    )
    [error] = stack.plan(check=False).errors
    assert error.summary == "The configuration of the provider is not known yet"
    assert "-target" in error.detail
    stack.apply("-target=terraform_data.host")
    stack.apply()
    assert values(stack) == {"url": ollama.url}


def test_a_model_made_in_the_same_apply_is_read_after_it(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    stack = terraform_of(
        f"""
        resource "ollama_model" "m" {{
          name = "made"
          gguf = "{tiny}"
        }}
        data "ollama_model" "m" {{
          name       = ollama_model.m.name
          depends_on = [ollama_model.m]
        }}
        """
        + outputs(same="data.ollama_model.m.digest == ollama_model.m.digest")
    )
    stack.apply()
    assert values(stack) == {"same": True}
    assert stack.plan().planned == {}
    assert pinned(ollama) == []


def test_the_time_left_of_a_model_is_a_time_to_terraform(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    ollama.call("POST", "/api/generate", {"model": "tiny", "keep_alive": "10m"})
    stack = terraform_of(
        'data "ollama_running_models" "all" {}\n'
        + outputs(
            expires="data.ollama_running_models.all.models[0].expires_at",
            later="timecmp(data.ollama_running_models.all.models[0].expires_at, plantimestamp())",
        )
    )
    stack.apply()
    found = values(stack)
    assert found["later"] == 1
    left = datetime.fromisoformat(found["expires"]) - datetime.now(UTC)
    assert 500 < left.total_seconds() <= 600


def test_an_environment_is_checked_when_it_is_planned_and_goes_where_terraform_takes_it(
    terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    def environment(settings: str) -> str:
        return f"""data "ollama_server_environment" "e" {{
  {settings}
}}
"""

    stack = terraform_of(environment('kv_cache_type = "q8_0"'))
    [error] = stack.plan(check=False).errors
    assert (error.summary, error.place) == ("Wrong kv_cache_type", "main.tf:2")
    stack.configure(environment('keep_alive = "1d"'))
    [error] = stack.plan(check=False).errors
    assert (error.place, error.snippet) == ("main.tf:2", 'keep_alive = "1d"')
    assert 'did you mean "24h"?' in error.detail
    said = json.loads(stack.run("validate", "-json", check=False).text)
    assert [one["summary"] for one in said["diagnostics"]] == ["Wrong keep_alive"], "no plan is needed to see it"

    since = ollama.mark()
    stack.configure(
        environment('keep_alive = "24h"\n  num_parallel = 4\n  flash_attention = true\n  kv_cache_type = "q8_0"')
        + outputs(
            compose="yamlencode({ environment = data.ollama_server_environment.e.variables })",
            helm="[for name, value in data.ollama_server_environment.e.variables : { name = name, value = value }]",
            systemd="data.ollama_server_environment.e.environment_file",
        )
    )
    stack.apply()
    found = values(stack)
    assert '"OLLAMA_NUM_PARALLEL": "4"' in found["compose"]
    assert {"name": "OLLAMA_FLASH_ATTENTION", "value": "true"} in found["helm"]
    assert found["systemd"].splitlines() == [
        "OLLAMA_KEEP_ALIVE=24h",
        "OLLAMA_NUM_PARALLEL=4",
        "OLLAMA_FLASH_ATTENTION=true",
        "OLLAMA_KV_CACHE_TYPE=q8_0",
    ]
    assert ollama.requests(since) == []


def test_functions_in_a_configuration(terraform_of: TerraformMaker, ollama: OllamaServer) -> None:
    required = 'terraform {\n  required_providers {\n    ollama = { source = "hashicorp/ollama" }\n  }\n}\n'
    stack = terraform_of(
        required
        + outputs(
            name='provider::ollama::model_name("library/llama3")',
            seconds='provider::ollama::duration("1h30m")',
            exact='provider::ollama::duration("100ms") == 0.1',
            later='timeadd("2026-01-01T00:00:00Z", "${provider::ollama::duration("90m")}s")',
        )
    )
    since = ollama.mark()
    stack.apply()
    assert values(stack) == {"name": "llama3:latest", "seconds": 5400, "exact": True, "later": "2026-01-01T01:30:00Z"}
    assert count(ollama, since, "/api/tags") == 0
    stack.configure(required + outputs(seconds='provider::ollama::duration("1d")'))
    [error] = stack.plan(check=False).errors
    assert error.place.startswith("main.tf:")
    assert "write hours, such as 24h" in error.detail


def test_the_memory_of_a_model_is_known_before_it_is_loaded(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    stack = terraform_of(
        """
        terraform {
          required_providers { ollama = { source = "hashicorp/ollama" } }
        }
        data "ollama_model" "tiny" { name = "tiny" }
        """
        + outputs(memory='provider::ollama::model_memory(data.ollama_model.tiny.metadata, 2048, null, "f16")')
    )
    stack.apply()
    assert ollama.ps() == []
    memory = values(stack)["memory"]
    ollama.call("POST", "/api/generate", {"model": "tiny", "options": {"num_ctx": 2048}})
    [running] = ollama.ps()
    assert memory["kv_cache"] == 2048 * 2 * 2 * 32 * 2
    assert memory["total"] >= memory["at_load"] > memory["weights"] + memory["kv_cache"]
    assert abs(memory["listed_by_ollama"] / running["size"] - 1) < 0.05
    assert memory["predicted_by_ollama"] == ollama.tags()[0]["size"] + 2 * 2 * 2 * 16 * 2048 * 2
    assert abs(memory["at_load"] / ollama.runner_resident_bytes() - 1) < 0.25


def test_the_server_started_with_an_environment_obeys_it(
    terraform_of: TerraformMaker, ollama: OllamaServer, tiny: Path, tmp_path: Path
) -> None:
    """The variables go to a real server, and its log says what it made of them."""
    stack = terraform_of(
        'data "ollama_server_environment" "e" {\n  keep_alive = "90m"\n  num_parallel = 3\n  sched_spread = false\n}\n'
        + outputs(variables="data.ollama_server_environment.e.variables")
    )
    stack.apply()
    with OllamaServer(ollama.binary, tmp_path / "other", values(stack)["variables"]) as other:
        other.create_from_gguf("tiny", tiny)
        other.call("POST", "/api/generate", {"model": "tiny"})
        [running] = other.ps()
        left = datetime.fromisoformat(running["expires_at"][:19] + "+00:00") - datetime.now(UTC)
        assert 5300 < left.total_seconds() <= 5400
        log = other.log.read_text()
    assert "OLLAMA_KEEP_ALIVE:1h30m0s" in log
    assert "OLLAMA_NUM_PARALLEL:3" in log
    assert "OLLAMA_SCHED_SPREAD:false" in log
