"""Every example passes its own `terraform test`: real Terraform, real Ollama, the provider as `install` lays it out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.observing import call, installed
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_home import command, settings_of
from tests.engines.terraform_stack import TerraformStack
from tests.engines.toolchain import Ollama

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]  # a build of OpenTofu included
EXAMPLES = Path(__file__).parents[2] / "examples" / "terraform"
# Those that want a model on the server beforehand, by the name that they know it by.
NEEDS_A_MODEL = {
    "document": "example-model",
    "import": "here-before",
    "data-sources": "here-before",
    "functions": "here-before",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    command(home, "install", "--opentofu")
    return home


@pytest.fixture
def second(engine: Ollama, tmp_path: Path) -> Iterator[OllamaServer]:
    with OllamaServer(engine.program, tmp_path / "second") as server:
        yield server


@pytest.mark.parametrize("core", ["terraform", "opentofu"])
@pytest.mark.parametrize("example", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_the_example_passes_its_own_test(
    example: str,
    core: str,
    request: pytest.FixtureRequest,
    ollama: OllamaServer,
    registry: Registry,
    home: Path,
    tmp_path: Path,
) -> None:
    assert list((EXAMPLES / example).glob("*.tftest.hcl")), "an example without a test"
    tiny, variables = registry.reference("tiny:latest"), {"insecure": "true"}
    if name := NEEDS_A_MODEL.get(example):
        ollama.call("POST", "/api/pull", {"model": tiny, "insecure": True, "stream": False}).raise_for_status()
        ollama.call("POST", "/api/copy", {"source": tiny, "destination": name}).raise_for_status()
        call(ollama, name)
        variables["model"] = name
    else:
        variables |= {"model": tiny, "base": tiny}
    if example == "fleet":
        second: OllamaServer = request.getfixturevalue("second")
        variables["hosts"] = json.dumps([ollama.url, second.url])
    if example == "provider":
        variables["proxy"] = ollama.url
    environment = {"OLLAMA_HOST": ollama.url, **settings_of(home)}
    environment |= {f"TF_VAR_{name}": value for name, value in variables.items()}
    binary: Path | None = request.getfixturevalue("opentofu") if core == "opentofu" else None
    with TerraformStack(tmp_path / core, EXAMPLES / example, environment, binary=binary) as stack:
        before = installed(ollama)
        assert "Success! " in stack.run("test", "-no-color").text
        assert ollama.ps() == [] or example in ("data-sources", "functions"), (
            "what the test declared is gone from memory"
        )
        assert installed(ollama).keys() - before.keys() <= {tiny}, "at most the base of a variant stays"
        assert "Warning" not in stack.run("validate", "-no-color").text
