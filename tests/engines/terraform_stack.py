"""A real Terraform configuration with its state, and the provider in a mirror of its own, all in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.engines.errors import EngineError
from tests.engines.processes import child_setup, kill_all
from tests.engines.running import finished

DEADLINE = 120.0
PROVIDER = Path(sys.executable).parent / "terraform-provider-ollama"
VERSION = "0.1.0"
_TALKS_JSON = ("plan", "apply", "destroy", "refresh")


@dataclass(frozen=True)
class Diagnosis:
    """What Terraform says is wrong, and where: `place` is FILE:LINE, `snippet` the line there; empty where unknown."""

    severity: str
    summary: str
    detail: str
    place: str
    snippet: str


@dataclass(frozen=True)
class Outcome:
    """What a command did. `text` is all that it said, in words.

    `planned` maps a resource's address to its planned action ("create", "update", "replace", "delete"; "move", "import"
    too), `drifted` to what the refresh found ("update", "delete"), `applied` are the actions that came to their end.
    """

    returncode: int
    text: str
    seconds: float
    planned: dict[str, str]
    drifted: dict[str, str]
    applied: dict[str, str]
    diagnoses: list[Diagnosis]

    @property
    def errors(self) -> list[Diagnosis]:
        return [diagnosis for diagnosis in self.diagnoses if diagnosis.severity == "error"]


class Running(subprocess.Popen[bytes]):
    """A command that leads its own process group and writes to `output`."""

    output: Path

    def outcome(self, seconds: float = 0.0) -> Outcome:
        """What it has done so far; the returncode is -1 while it runs."""
        returncode = self.poll()
        return read_outcome(self.output.read_text(errors="replace"), -1 if returncode is None else returncode, seconds)


class TerraformStack:
    """`with TerraformStack(folder, configuration, {"OLLAMA_HOST": ...}) as stack: stack.apply()`.

    `configuration` is the text of main.tf, or a folder that is copied. Nothing of the caller's TF_* and OLLAMA_*
    variables reaches Terraform; `environment` is what a test wants there. `binary` runs in place of Terraform.
    """

    def __init__(
        self,
        folder: Path,
        configuration: str | Path,
        environment: Mapping[str, str],
        provider: Path = PROVIDER,
        *,
        binary: Path | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.project = self.folder / "project"
        self.project.mkdir(parents=True)
        self.provider = provider
        self.binary = str(binary or shutil.which("terraform") or "")
        if not self.binary:
            raise EngineError("there is no terraform on PATH")
        self.commands = 0
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OLLAMA_", "CI"))}
        self.environment = {
            **kept,
            "TF_CLI_CONFIG_FILE": str(self._mirror()),
            "CHECKPOINT_DISABLE": "1",
            "STACK": str(self.folder),  # by which the plugin's processes are known
            **environment,
        }
        if isinstance(configuration, Path):
            shutil.copytree(configuration, self.project, dirs_exist_ok=True)
        else:
            self.configure(configuration)

    def __enter__(self) -> TerraformStack:
        self.run("init", "-input=false")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def configure(self, text: str) -> None:
        (self.project / "main.tf").write_text(text)

    def validate(self) -> Outcome:
        outcome = self.run("validate", "-json", check=False)
        return replace(outcome, diagnoses=[_diagnosis(found) for found in json.loads(outcome.text)["diagnostics"]])

    def plan(self, *args: str, check: bool = True) -> Outcome:
        return self.run("plan", *args, check=check)

    def apply(self, *args: str, check: bool = True) -> Outcome:
        return self.run("apply", "-auto-approve", *args, check=check)

    def refresh(self, *args: str, check: bool = True) -> Outcome:
        """Writes what is there to the state, and plans nothing."""
        return self.run("apply", "-refresh-only", "-auto-approve", *args, check=check)

    def destroy(self, *args: str, check: bool = True) -> Outcome:
        return self.run("destroy", "-auto-approve", *args, check=check)

    def state(self) -> dict[str, dict[str, Any]]:
        """The attributes of every resource in the state, by address."""
        shown = json.loads(self.run("show", "-json").text)
        resources = shown.get("values", {}).get("root_module", {}).get("resources", [])
        return {resource["address"]: resource["values"] for resource in resources}

    def is_tainted(self, address: str) -> bool:
        shown = json.loads(self.run("show", "-json").text)
        [resource] = [one for one in shown["values"]["root_module"]["resources"] if one["address"] == address]
        return bool(resource.get("tainted"))

    def run(self, *command: str, check: bool = True, timeout: float = DEADLINE) -> Outcome:
        """One command to its end. Raises EngineError after `timeout` s, and with `check` where it fails."""
        what = f"terraform {' '.join(command)}"
        return finished(what, self.start(*command), check=check, timeout=timeout)

    def start(self, *command: str) -> Running:
        """Start a command, for a test that interrupts or kills it: `os.killpg(running.pid, signal.SIGINT)`."""
        self.commands += 1
        output = self.folder / f"{self.commands:03}-{command[0]}.log"
        line = [self.binary, *command[:1]]
        if command[0] in _TALKS_JSON:
            line += ["-json", "-input=false"]
        with output.open("wb") as file:
            running = Running(
                [*line, *command[1:]],
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=child_setup(),
            )
        running.output = output
        return running

    def strays(self) -> list[psutil.Process]:
        """Processes of this stack that still run: all that have its folder in their environment."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def close(self) -> None:
        kill_all(self.strays())

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("STACK") == str(self.folder)
        except psutil.Error:
            return False

    def _mirror(self) -> Path:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        mirror = self.folder / "mirror"
        plugins = mirror / f"registry.terraform.io/hashicorp/ollama/{VERSION}/{platform.system().lower()}_{machine}"
        plugins.mkdir(parents=True)
        (plugins / f"terraform-provider-ollama_v{VERSION}").symlink_to(self.provider)
        settings = self.folder / "terraform.rc"
        settings.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{mirror}" }} }}\n')
        return settings


def resource(label: str, attributes: Mapping[str, Any]) -> str:
    """The block of a model; a text that begins with `=` is an expression, `timeouts` and `lifecycle` are blocks."""
    lines = [f'resource "ollama_model" "{label}" {{']
    for key, value in attributes.items():
        if key in ("timeouts", "lifecycle"):
            lines += [f"  {key} {{", *(f"    {inner} = {_expression(item)}" for inner, item in value.items()), "  }"]
        else:
            lines.append(f"  {key} = {_expression(value)}")
    return "\n".join([*lines, "}", ""])


def configuration(**models: dict[str, Any]) -> str:
    """A configuration that declares models, by resource name."""
    return "".join(resource(label, attributes) for label, attributes in models.items())


def read_outcome(output: str, returncode: int, seconds: float) -> Outcome:
    """From what a command wrote: JSON lines where it talks JSON, its words otherwise."""
    texts: list[str] = []
    planned: dict[str, str] = {}
    drifted: dict[str, str] = {}
    applied: dict[str, str] = {}
    diagnoses: list[Diagnosis] = []
    for line in output.splitlines():
        message = None
        if line.startswith('{"@level"'):
            with contextlib.suppress(ValueError):
                message = json.loads(line)
        if message is None:
            texts.append(line)
            continue
        texts.append(message["@message"])
        kind = message.get("type")
        if kind in ("planned_change", "resource_drift"):
            found = planned if kind == "planned_change" else drifted
            found[message["change"]["resource"]["addr"]] = message["change"]["action"]
        elif kind == "apply_complete":
            applied[message["hook"]["resource"]["addr"]] = message["hook"]["action"]
        elif kind == "diagnostic":
            diagnoses.append(_diagnosis(message["diagnostic"]))
            texts.append(diagnoses[-1].detail)
    return Outcome(returncode, "\n".join(texts), seconds, planned, drifted, applied, diagnoses)


def _diagnosis(found: dict[str, Any]) -> Diagnosis:
    place = found.get("range")
    return Diagnosis(
        severity=found["severity"],
        summary=found["summary"],
        detail=found.get("detail", ""),
        place=f"{place['filename']}:{place['start']['line']}" if place else "",
        snippet=(found.get("snippet") or {}).get("code", "").strip(),
    )


def _expression(value: Any) -> str:
    if isinstance(value, str) and value.startswith("="):
        return value[1:]
    return json.dumps(value)
