"""What the command line of an engine says of its run: which engine, whether of everything, and who else is under it."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from ollama_provider.engine_run import EngineRun, other_plugins, processes, run_of

PLUGIN = "python3 .terraform/terraform-provider-ollama_v0.1.0"


def run(command: str, environment: Mapping[str, str] | None = None) -> EngineRun:
    running = {1: (0, ["init"]), 7: (1, command.split()), 9: (7, PLUGIN.split())}
    return run_of(9, running, environment or {})


@pytest.mark.parametrize(
    ("command", "kind", "is_destroy", "narrowed"),
    [
        ("terraform apply", "terraform", False, ""),
        ("/usr/bin/terraform-1.9.8 -chdir=x destroy -auto-approve", "terraform", True, ""),
        ("tofu apply -destroy", "terraform", True, ""),
        ("terraform plan -destroy=false -var x=1", "terraform", False, ""),
        ("terraform.exe apply saved.plan", "terraform", False, ""),
        ("terraform apply -target=ollama_model.a", "terraform", False, "-target"),
        ("terraform destroy --target ollama_model.a", "terraform", True, "--target"),
        ("tofu destroy -exclude=ollama_model.a", "terraform", True, "-exclude"),
        ("tofu plan -target-file=x", "terraform", False, "-target-file"),
        ("terraform apply -refresh=false", "terraform", False, "-refresh=false"),
        ("terraform apply -refresh=true", "terraform", False, ""),
        ("pulumi up --yes", "pulumi", False, ""),
        ("pulumi -C x destroy", "pulumi", False, ""),  # it ends in the same
        ("pulumi destroy --yes", "pulumi", True, ""),
        ("pulumi destroy -t urn:pulumi:x", "pulumi", True, "-t"),
        ("pulumi up --target-replace=urn", "pulumi", False, "--target-replace"),
        ("pulumi destroy --exclude-protected", "pulumi", True, "--exclude-protected"),
        ("pulumi up --refresh=false", "pulumi", False, ""),
        ("make apply", "", False, ""),
        ("terraform-ls serve", "", False, ""),
        ("pulumi-language-python x", "", False, ""),
    ],
)
def test_what_a_command_line_says(command: str, kind: str, is_destroy: bool, narrowed: str) -> None:
    found = run(command)
    assert (found.engine, found.is_destroy, found.narrowed) == (kind, is_destroy, narrowed)


def test_options_in_the_environment_count_too() -> None:
    assert run("terraform apply", {"TF_CLI_ARGS": "-target=a"}).narrowed == "-target"
    assert run("terraform apply", {"TF_CLI_ARGS_apply": "-refresh=false"}).narrowed == "-refresh=false"
    assert run("terraform apply", {"TF_CLI_ARGS_plan": "-target=a"}).narrowed == ""
    assert run("pulumi up", {"PULUMI_OPTION_TARGET": "urn"}).narrowed == "--target"


def test_one_at_a_time() -> None:
    assert run("terraform apply -parallelism=1").one_at_a_time
    assert run("terraform apply -parallelism 1").one_at_a_time
    assert not run("terraform apply -parallelism=10").one_at_a_time


def test_an_engine_may_be_further_above_and_the_nearest_counts() -> None:
    running = {
        1: (0, ["init"]),
        2: (1, ["pulumi", "up"]),
        3: (2, ["terraform", "apply", "-target=a"]),
        4: (3, ["sh", "-c", "x"]),
        5: (4, PLUGIN.split()),
        6: (2, ["pulumi-resource-terraform-provider", "127.0.0.1:1"]),
        7: (6, PLUGIN.split()),
        8: (6, PLUGIN.split()),
    }
    assert run_of(5, running, {}) == EngineRun("terraform", narrowed="-target", pid=3)
    assert run_of(7, running, {}).engine == "pulumi"
    assert other_plugins(run_of(7, running, {}), running, 7) == [8]
    assert other_plugins(run_of(5, running, {}), running, 5) == []
    assert run_of(5, {5: (5, PLUGIN.split())}, {}) == EngineRun(), "a circle ends"


def test_the_processes_of_this_machine() -> None:
    command = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()", "terraform"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        parent, words = processes()[child.pid]
        assert (parent, words[-1]) == (os.getpid(), "terraform")
        child.communicate(timeout=10)


def test_a_replacement_of_a_model_that_the_command_line_asks_for() -> None:
    assert run("terraform plan -replace=module.a.ollama_model.b").replaces
    assert run("terraform apply -replace ollama_model.b").replaces
    assert not run("terraform apply -replace=null_resource.b").replaces
    assert not run("pulumi up --replace urn::ollama_model.b").replaces
