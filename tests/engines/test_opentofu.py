"""The provider in OpenTofu: found as `install` lays it out, and through a model's whole life."""

from pathlib import Path

import pytest

from tests.engines.observing import count, installed, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_home import command, settings_of
from tests.engines.terraform_stack import TerraformStack, configuration

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]  # a build included
M = "ollama_model.m"


def test_the_life_of_a_model(opentofu: Path, ollama: OllamaServer, registry: Registry, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command(home, "install", "--opentofu")
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}
    environment = {"OLLAMA_HOST": ollama.url, **settings_of(home), **offline}
    name = registry.reference("tiny:latest")
    model = {"name": name, "insecure": True}
    automatic = configuration(m=model | {"memory_management": "automatic", "keep_alive": "5m"})
    with TerraformStack(tmp_path / "opentofu", automatic, environment, binary=opentofu) as stack:
        assert stack.apply().applied == {M: "create"}
        assert (list(installed(ollama)), ollama.ps()) == ([name], [])

        stack.configure(configuration(m=model | {"memory_management": "manual"}))
        since = ollama.mark()
        assert stack.apply().applied == {M: "update"}
        assert pinned(ollama) == [name]
        assert stack.apply().applied == {}
        assert count(ollama, since, "/api/pull") == 0

        ollama.call("POST", "/api/generate", {"model": name, "keep_alive": 0})
        outcome = stack.plan()
        assert (outcome.drifted, outcome.planned) == ({M: "update"}, {M: "update"})
        stack.apply()
        assert pinned(ollama) == [name]

        stack.run("state", "rm", M)
        stack.run("import", M, name)
        assert stack.apply().applied.keys() <= {M}, "what an import cannot know, such as insecure"
        assert stack.plan().planned == {}
        assert stack.destroy().applied == {M: "delete"}
        assert (list(installed(ollama)), ollama.runners()) == ([name], []), "what was imported was there before"
