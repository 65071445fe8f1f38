"""Our Terraform provider in Pulumi programs, by Pulumi's own bridge: it is taken as it stands."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.provider import OllamaProvider
from tests.conftest import StackMaker
from tests.engines.bridge import BASE
from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.engines.observing import call, count, installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.processes import lives
from tests.engines.pulumi_stack import Outcome, PulumiStack
from tests.engines.registry import Registry
from tests.engines.terraform_stack import PROVIDER
from tests.engines.toolchain import Engines
from tests.promptness import assert_took_less

pytestmark = pytest.mark.engines

TYPE = "ollama:index/model:Model"
# What a generated SDK would be: the package's reference, and a class a type. The language host that Go's proxy has
# cannot generate one.
PYTHON = """
import pulumi
from pulumi.runtime.settings import register_package

def package():
    return register_package("terraform-provider", {base!r}, "", "ollama", {version!r}, {parameter!r})

class Provider(pulumi.ProviderResource):
    def __init__(self, resource_name, /, **properties):
        options = pulumi.ResourceOptions(version={version!r})
        super().__init__("ollama", resource_name, properties, options, package_ref=package())

class Model(pulumi.CustomResource):
    def __init__(self, resource_name, /, opts=None, **properties):
        super().__init__("ollama:index/model:Model", resource_name, properties, opts, package_ref=package())

"""
_SPAN = re.compile(r'<span [^>]*pulumi-lang-python="([^"]*)"[^>]*>.*?</span>')


@pytest.fixture
def model(registry: Registry) -> dict[str, Any]:
    return {"name": registry.reference("tiny:latest"), "insecure": True, "memoryManagement": "manual"}


@pytest.fixture
def yaml_stack(bridged_stack_of: StackMaker, model: dict[str, Any], tmp_path: Path) -> PulumiStack:
    """A stack in YAML that declares `m`, with the package added as a user does it."""
    folder = tmp_path / "program"
    folder.mkdir()
    in_yaml(folder, model)
    stack = bridged_stack_of(folder)
    stack.run("package", "add", BASE, str(PROVIDER))
    return stack


@pytest.fixture
def python_stack(bridged_stack_of: StackMaker) -> PulumiStack:
    return bridged_stack_of("")


def in_yaml(project: Path, model: Mapping[str, Any]) -> None:
    """Makes the program declare `m`, and leaves what else is there."""
    file = project / "Pulumi.yaml"
    program = yaml.safe_load(file.read_text()) if file.exists() else {"name": "tests", "runtime": "yaml"}
    file.write_text(yaml.safe_dump(program | {"resources": {"m": {"type": TYPE, "properties": dict(model)}}}))


def schema_of(stack: PulumiStack) -> dict[str, Any]:
    said = stack.run("package", "get-schema", BASE, str(PROVIDER)).text
    schema: dict[str, Any] = json.loads(said)  # so no warning was said beside it
    return schema


def in_python(stack: PulumiStack, *statements: str) -> None:
    if not (stack.folder / "preamble.py").exists():
        schema = schema_of(stack)
        package = schema["parameterization"]
        text = PYTHON.format(
            base=package["baseProvider"]["version"], version=schema["version"], parameter=package["parameter"]
        )
        (stack.folder / "preamble.py").write_text(text)
    stack.set_program((stack.folder / "preamble.py").read_text() + "\n".join(statements) + "\n")


def declaration(model: Mapping[str, Any], options: str = "", name: str = "m") -> str:
    given = "".join(f", {key}={value!r}" for key, value in model.items())
    return f"Model({name!r}{given}{f', opts=pulumi.ResourceOptions({options})' if options else ''})"


def steps(outcome: Outcome) -> list[tuple[str, str]]:
    """The operations on models, with the resources' names, in order."""
    return [(step.op, step.urn.rpartition("::")[2]) for step in outcome.steps if TYPE in step.urn]


def invoke(function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"function": f"ollama:index/{function}:{function}", "arguments": dict(arguments)}


def policy(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """What ollama-policy finds, and its exit code."""
    command = [sys.executable, "-m", "ollama_policy", *arguments, "--format", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    report: dict[str, Any] = json.loads(ran.stdout)
    return ran.returncode, report["findings"]


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def drift(stack: PulumiStack) -> str:
    [outputs] = [
        resource["outputs"] for resource in stack.export()["deployment"]["resources"] if resource["type"] == TYPE
    ]
    return str(outputs["drift"])


def camel(name: str) -> str:
    return re.sub("_([a-z0-9])", lambda letter: letter[1].upper(), name)


def pascal(name: str) -> str:
    return camel(f"_{name}")


def as_written(description: str) -> str:
    """Without what the bridge does to words, which each language writes in its own way."""
    return _SPAN.sub(lambda span: span[1], description).strip()


def expected(attributes: Mapping[str, Attribute]) -> dict[str, tuple[str, bool]]:
    # A Pulumi resource has an id anyway.
    return {camel(name): (each.description, each.sensitive) for name, each in attributes.items() if name != "id"}


def found(properties: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    return {
        name: (as_written(each.get("description", "")), each.get("secret", False))
        for name, each in properties.items()
        if name != "id"
    }


def blocks(schema: Schema) -> dict[str, tuple[str, bool]]:
    return {camel(name): (block.description, False) for name, block in schema.blocks.items()}


def inputs(schema: Schema) -> dict[str, tuple[str, bool]]:
    taken = {name: each for name, each in schema.attributes.items() if each.required or each.optional}
    return expected(taken) | blocks(schema)


def test_the_schema_comes_without_a_warning_with_every_name_description_and_secret_mark(
    python_stack: PulumiStack,
) -> None:
    schema, provider = schema_of(python_stack), OllamaProvider({})
    assert schema["name"] == "ollama"
    for properties in (
        schema["config"]["variables"],
        schema["provider"]["inputProperties"],
        schema["provider"]["properties"],
    ):
        assert found(properties) == expected(provider.schema.attributes)
    assert {name for name, each in schema["config"]["variables"].items() if each.get("secret")} == {"token", "headers"}
    for resource in provider.resources:
        name = resource.name.removeprefix("ollama_")
        bridged = schema["resources"].pop(f"ollama:index/{camel(name)}:{pascal(name)}")
        assert found(bridged["inputProperties"]) == inputs(resource.schema)
        assert found(bridged["properties"]) == expected(resource.schema.attributes) | blocks(resource.schema)
        for block_name, block in resource.schema.blocks.items():
            kind = schema["types"][
                f"ollama:index/{pascal(name)}{pascal(block_name)}:{pascal(name)}{pascal(block_name)}"
            ]
            assert found(kind["properties"]) == expected(block.attributes)
    assert schema["resources"] == {}
    for source in provider.data_sources:
        name = camel("get_" + source.name.removeprefix("ollama_"))
        bridged = schema["functions"].pop(f"ollama:index/{name}:{name}")
        # The bridge takes the descriptions of data sources from no schema.
        assert bridged["inputs"]["properties"].keys() == inputs(source.schema).keys()
        assert bridged["outputs"]["properties"].keys() - {"id"} == expected(source.schema.attributes).keys()
    for function in provider.functions:
        bridged = schema["functions"].pop(f"ollama:index/{camel(function.name)}:{camel(function.name)}")
        assert as_written(bridged["description"]) == f"{function.summary}\n\n{function.description}"
    assert list(schema["functions"]) == ["pulumi:providers:ollama/terraformConfig"], "the bridge's own"


def test_a_program_in_yaml_drives_a_real_model_from_up_to_destroy(
    yaml_stack: PulumiStack, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    name = model["name"]
    assert steps(yaml_stack.preview()) == [("create", "m")]
    assert installed(ollama) == {}
    assert steps(yaml_stack.up()) == [("create", "m")]
    assert pinned(ollama) == [name]
    since = ollama.mark()
    assert yaml_stack.up().changes == {"same": 2}
    assert ollama.requests(since) == []
    assert yaml_stack.preview("--refresh").changes == {"same": 2}
    call(ollama, name, keep_alive="5m")
    assert "pin lost" in yaml_stack.preview("--refresh").text
    assert yaml_stack.refresh().changes == {"same": 1, "update": 1}
    assert drift(yaml_stack).startswith("pin lost")
    since = ollama.mark()
    assert steps(yaml_stack.up()) == [("update", "m")]
    assert (pinned(ollama), drift(yaml_stack), count(ollama, since, "/api/pull")) == ([name], "", 0)
    ollama.call("POST", "/api/generate", {"model": name, "keep_alive": 0})
    ollama.call("DELETE", "/api/delete", {"model": name})
    assert steps(yaml_stack.refresh()) == [("delete", "m")]
    yaml_stack.up()
    yaml_stack.destroy()
    assert (ollama.tags(), ollama.runners()) == ([], [])
    assert yaml_stack.strays() == []


def test_each_change_is_one_update_and_another_host_is_another_model(
    yaml_stack: PulumiStack, ollama: OllamaServer, engines: Engines, model: dict[str, Any], tmp_path: Path
) -> None:
    def change_to(**properties: Any) -> Outcome:
        in_yaml(yaml_stack.project, model | properties)
        return yaml_stack.up()

    yaml_stack.up()
    since = ollama.mark()
    assert steps(change_to(memoryManagement="automatic", keepAlive="5m")) == [("update", "m")]
    assert pinned(ollama) == []
    assert change_to(memoryManagement="automatic", keepAlive="300s").changes == {"same": 2}
    assert steps(change_to(resident=False)) == [("update", "m")]
    assert resident(ollama) == []
    assert count(ollama, since, "/api/pull") == 0
    with OllamaServer(engines.ollama, tmp_path / "second") as second:
        assert [op for op, _ in steps(change_to(host=second.url))] == [
            "create-replacement",
            "replace",
            "delete-replaced",
        ]
        assert pinned(second) == [model["name"]]
        assert (ollama.tags(), ollama.runners()) == ([], [])
        yaml_stack.destroy()


def test_a_program_in_python_imports_a_model_that_is_there_without_a_pull_or_a_load(
    python_stack: PulumiStack, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    ollama.call("POST", "/api/pull", {"model": model["name"], "insecure": True, "stream": False})
    call(ollama, model["name"], keep_alive=-1)
    [runner] = ollama.runners()
    since = ollama.mark()
    taken_over = {"name": model["name"], "memoryManagement": "manual"}
    in_python(python_stack, declaration(taken_over, options=f"import_={model['name']!r}"))
    assert steps(python_stack.up()) == [("import", "m")]
    in_python(python_stack, declaration(taken_over))
    assert python_stack.up().changes == {"same": 2}
    in_python(python_stack, declaration({"name": "absent", "memoryManagement": "manual"}, "import_='absent'", "other"))
    missing = python_stack.preview(check=False)
    assert missing.returncode != 0
    assert "there is no model of that name" in missing.text
    assert count(ollama, since, "/api/pull") == count(ollama, since, "/api/generate") == 0
    assert [process.pid for process in ollama.runners()] == [runner.pid]


def test_data_sources_and_functions_are_functions(yaml_stack: PulumiStack, ollama: OllamaServer, tiny: Path) -> None:
    ollama.create_from_gguf("other", tiny)
    program = yaml_stack.project / "Pulumi.yaml"
    values = {
        "version": invoke("getServer", {}) | {"return": "version"},
        "models": invoke("getModels", {}) | {"return": "models"},
        "name": invoke("modelName", {"name": "registry.ollama.ai/library/llama3"}),
    }
    asked = {"variables": {name: {"fn::invoke": value} for name, value in values.items()}}
    named = {"outputs": {"version": "${version}", "model": "${models[0].name}", "name": "${name}"}}
    program.write_text(yaml.safe_dump(yaml.safe_load(program.read_text()) | {"resources": {}} | asked | named))
    yaml_stack.up()
    version = ollama.call("GET", "/api/version").json()["version"]
    assert yaml_stack.outputs() == {"version": version, "model": "other:latest", "name": "llama3:latest"}


def test_what_pulumi_imports_and_what_it_writes_is_read_by_the_checker_and_the_drift_detector(
    yaml_stack: PulumiStack, ollama: OllamaServer, tiny: Path
) -> None:
    ollama.create_from_gguf("tiny", tiny)
    imported = yaml_stack.run("import", TYPE, "m", "tiny", "--yes", "--protect=false").text
    [written] = re.findall(r"^resources:\n(?:  .*\n)+", imported, re.MULTILINE)
    program = yaml_stack.project / "Pulumi.yaml"
    program.write_text(yaml.safe_dump(yaml.safe_load(program.read_text()) | yaml.safe_load(written)))
    assert yaml_stack.up().changes == {"same": 2}
    code, findings = policy("check", str(program))
    assert code == 1
    assert [(each["rule"], each["start"]["line"]) for each in findings] == [
        ("OLL001", line_of(program, "memoryManagement"))
    ]
    assert policy("drift", str(program), "--host", ollama.url, "--strict") == (0, [])
    call(ollama, "tiny", keep_alive=-1)
    in_yaml(yaml_stack.project, {"name": "tiny", "memoryManagement": "automatic", "keepAlive": "5m"})
    assert policy("check", str(program)) == (0, [])
    assert policy("drift", str(program), "--host", ollama.url)[0] == 1
    yaml_stack.up()
    assert policy("drift", str(program), "--host", ollama.url)[0] == 0
    state = yaml_stack.folder / "state.json"
    state.write_text(json.dumps(yaml_stack.export()))
    assert policy("check", str(state), "--strict") == (0, [])


def test_wrong_values_are_told_by_the_names_that_the_program_uses_before_anything_is_done(
    python_stack: PulumiStack, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    in_python(python_stack, declaration(model | {"memoryManagement": "sometimes", "keepAlive": "1d"}))
    since = ollama.mark()
    said = python_stack.preview(check=False).text
    assert 'found "sometimes", expected "automatic" or "manual". Examine values at \'m.memoryManagement\'' in said
    assert "write hours, such as 24h. Examine values at 'm.keepAlive'" in said
    assert ollama.requests(since) == []


def test_a_token_and_headers_reach_the_server_and_are_encrypted_in_the_state_without_being_marked(
    python_stack: PulumiStack, ollama: OllamaServer, model: dict[str, Any]
) -> None:
    def at(host: str) -> None:
        # Pulumi's providers take what is not text as JSON.
        own = f"p = Provider('p', host={host!r}, token='s3cret-t', headers='{{\"x-key\": \"s3cret-h\"}}')"
        in_python(python_stack, own, declaration(model, options="provider=p"))

    at(ollama.url)
    python_stack.up()
    assert pinned(ollama) == [model["name"]]
    assert steps(python_stack.up()) == [("same", "m")]
    written = [path for path in python_stack.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    # The program itself, and what Python compiled of it.
    assert {path.name.partition(".")[0] for path in written} == {"__main__"}
    python_stack.destroy()
    assert ollama.runners() == []
    with FakeOllamaWithFaults() as fake:
        at(fake.url)
        python_stack.up(check=False)
        assert fake.requests
        for request in fake.requests:
            assert (request.headers["Authorization"], request.headers["x-key"]) == ("Bearer s3cret-t", "s3cret-h")
    at("http://me:s3cret@127.0.0.1:1")
    refused = python_stack.up(check=False)
    assert refused.returncode != 0
    assert "s3cret" not in refused.text


def test_a_create_whose_load_failed_goes_on_without_a_second_download(
    python_stack: PulumiStack,
    ollama: OllamaServer,
    registry: Registry,
    model: dict[str, Any],
    tiny: Path,
    tmp_path: Path,
) -> None:
    """The bridge keeps nothing of a failed create: the next up takes over what is there, as found."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes().replace(b"llama", b"lemma"))
    registry.push("broken:latest", broken)
    failing = model | {"name": registry.reference("broken:latest")}
    in_python(python_stack, declaration(failing))
    failed = python_stack.up(check=False)
    assert "The model is there, and memory is not as declared: the load of" in failed.text
    assert "Traceback" not in failed.text
    since = ollama.mark()
    in_python(python_stack, declaration(failing | {"memoryManagement": "automatic"}))
    assert steps(python_stack.up()) == [("create", "m")]
    assert count(ollama, since, "/api/pull") == 0
    python_stack.destroy()
    assert [entry["name"] for entry in ollama.tags()] == [failing["name"]], "nobody knows any more whose it is"


def test_a_second_interrupt_ends_a_pull_at_once_and_the_next_up_goes_on_from_there(
    yaml_stack: PulumiStack, ollama: OllamaServer, registry: Registry, model: dict[str, Any], ggufs: Any
) -> None:
    """The first is waited out: the bridge never tells a Terraform provider to stop."""
    big = ggufs(6, layers=8, width=512, heads=8)
    registry.push("big:latest", big)
    in_yaml(yaml_stack.project, model | {"name": registry.reference("big:latest")})
    size = big.stat().st_size
    registry.bytes_per_second = size / 20
    running = yaml_stack.start("up", "--yes", "--skip-preview")
    wait_until(lambda: registry.blob_bytes_served() > size / 20, "the pull", 60)
    children = yaml_stack.strays()
    os.killpg(running.pid, signal.SIGINT)
    time.sleep(0.3)
    assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    began = time.monotonic()
    running.wait(60)
    assert_took_less(5, began)
    wait_until(lambda: not any(map(lives, children)), "the end of all that was started")
    registry.bytes_per_second = None
    yaml_stack.unlock()
    yaml_stack.up()
    assert pinned(ollama) == [registry.reference("big:latest")]
    yaml_stack.destroy()
    assert ollama.runners() == []
