"""`terraform-provider-ollama` as a person's command: what it lays out, and that it takes away that and nothing else."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ollama_provider.terraform import commands, requirements
from ollama_provider.terraform.addresses import IMPLIED, IMPLIED_BY_OPENTOFU, OWN
from ollama_provider.terraform.mirror import Mirror, version_for_terraform

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("TF_CLI_CONFIG_FILE", "TERRAFORM_CONFIG", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    return lambda *arguments, **more: CliRunner().invoke(commands.cli, [*map(str, arguments)], **more)


def everything(folder: Path) -> dict[str, str]:
    """Every path below a folder, and the content of files."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "" for path in sorted(folder.rglob("*"))
    }


def launchers(mirror: Path) -> list[str]:
    return sorted(str(path.relative_to(mirror)) for path in mirror.rglob("terraform-provider-ollama_v*"))


def test_it_lays_out_both_addresses_in_the_user_s_implied_mirror(run: Run, home: Path) -> None:
    result = run("install")
    assert result.exit_code == 0
    found = launchers(home / ".terraform.d/plugins")
    assert [re.sub(r"/\w+_\w+/", "/OS_ARCH/", path) for path in found] == [
        f"{address}/0.1.0/OS_ARCH/terraform-provider-ollama_v0.1.0" for address in (IMPLIED, OWN)
    ]
    assert f'source  = "{OWN}"' in result.output
    assert "provider_installation" not in result.output, "Terraform looks there by itself"


def test_a_second_time_changes_nothing(run: Run, home: Path) -> None:
    run("install", "--opentofu")
    before = everything(home)
    assert sum(path.startswith(f".terraform.d/plugins/{IMPLIED_BY_OPENTOFU}/") for path in before) == 3
    for options in ((), ("--opentofu",)):
        assert run("install", *options).exit_code == 0
        assert everything(home) == before, "what was asked for once stays"


@pytest.mark.parametrize("folder", [".terraform.d/plugins", "a mirror's folder"])
def test_uninstall_takes_away_all_that_install_made_and_nothing_else(run: Run, home: Path, folder: str) -> None:
    other = home / folder / "registry.terraform.io/hashicorp/random/1.0.0/linux_amd64/terraform-provider-random_v1.0.0"
    theirs = home / folder / IMPLIED / "0.0.1/linux_amd64/terraform-provider-ollama_v0.0.1"
    for file in (other, theirs):
        file.parent.mkdir(parents=True)
        file.write_text("another's")
    (home / folder / OWN.partition("/")[0]).mkdir()  # an empty folder that was there before
    before = everything(home)
    run("install", "--opentofu", "--folder", folder)
    result = run("uninstall", "--folder", folder)
    assert (result.exit_code, result.output.count("Removed ")) == (0, 3)
    assert everything(home) == before
    assert run("uninstall", "--folder", folder).output.startswith("Nothing of it is in")


def test_an_upgrade_takes_the_older_version_s_place(home: Path) -> None:
    mirror = Mirror(home / "mirror")
    mirror.install("0.1.0", [IMPLIED, OWN, IMPLIED_BY_OPENTOFU], "/older/python")
    mirror.install("0.2.0", [IMPLIED, OWN], sys.executable)
    assert len(launchers(mirror.folder)) == 3
    assert all(path.endswith("_v0.2.0") for path in launchers(mirror.folder))
    assert not list(mirror.folder.rglob("0.1.0"))
    assert "/older/python" not in "".join(everything(mirror.folder).values())
    mirror.uninstall()
    assert everything(home) == {}


def test_a_launcher_that_is_not_ours_is_left_alone(run: Run, home: Path) -> None:
    run("install")
    [theirs, _] = [home / ".terraform.d/plugins" / path for path in launchers(home / ".terraform.d/plugins")]
    theirs.write_text("a provider of the user's own")
    result = run("install")
    assert result.exit_code == 1
    assert f"{theirs} exists, and this command did not write it" in result.output
    run("uninstall")
    assert theirs.read_text() == "a provider of the user's own"


@pytest.mark.parametrize("settings", [".terraformrc", "named.tfrc"])
def test_settings_that_make_terraform_look_elsewhere_are_seen(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    (home / settings).write_text('provider_installation { direct { include = ["example.com/*/*"] } }')
    if settings != ".terraformrc":
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", settings)
    result = run("install")
    assert "Tell Terraform to look there, in " in result.output
    assert f'path    = "{home}/.terraform.d/plugins"' in result.output


def test_the_configuration_s_own_plugin_folder_needs_no_settings(run: Run, home: Path) -> None:
    assert "provider_installation" not in run("install", "--folder", "terraform.d/plugins").output
    assert launchers(home / "terraform.d/plugins")


def test_where_it_cannot_write_it_says_so(run: Run, home: Path) -> None:
    (home / "file").touch()
    result = run("install", "--folder", "file/mirror")
    assert result.exit_code == 1
    assert "Error: Cannot write" in result.output
    assert "Traceback" not in result.output


def test_missing_packages_are_named_with_the_command_that_installs_them(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(requirements.PACKAGES, "grpcio", "no_such_module")
    monkeypatch.setitem(requirements.PACKAGES, "protobuf", "no_such_package.protobuf")
    for arguments in (("install",), ("--debug",)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert f"grpcio and protobuf are missing in {sys.prefix}: run `" in result.output
        assert "-m pip install 'grpcio>=" in result.output
    assert everything(home) == {}
    assert run("uninstall").exit_code == run("--version").exit_code == 0, "what needs none of them still works"


def test_the_packages_are_those_of_the_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["terraform"]
    assert [re.match(r"[\w-]+", requirement)[0] for requirement in extra] == list(requirements.PACKAGES)  # type: ignore[index]


@pytest.mark.parametrize(
    ("version", "semantic"),
    [
        ("0.1.0", "0.1.0"),
        ("1.2", "1.2.0"),
        ("1.0.0rc1", "1.0.0-rc1"),
        ("1.0.0.dev3", "1.0.0-dev3"),
        ("1.0.0.dev3+g1a2b3c", "1.0.0-dev3+g1a2b3c"),
    ],
)
def test_versions_are_semantic_ones(version: str, semantic: str) -> None:
    assert version_for_terraform(version) == semantic


def test_a_pre_release_says_that_it_has_to_be_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "version", lambda _distribution: "0.2.0rc1")
    result = run("install")
    assert "only if its version is named" in result.output
    assert 'version = "0.2.0-rc1"' in result.output


def test_the_version_is_the_distribution_s(run: Run) -> None:
    assert run("--version").output == "terraform-provider-ollama 0.1.0\n"


def test_started_by_terraform_it_imports_neither_the_commands_nor_pydantic_before_the_handshake() -> None:
    program = (
        "import sys, ollama_provider.terraform.__main__, ollama_provider.terraform.protocol.plugin as plugin\n"
        "print(sorted({'click', 'pydantic', 'httpx', 'cryptography'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[]\n", ran.stderr
