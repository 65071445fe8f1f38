"""The run of an engine that this process serves: which command it is, and whether it shows all that is declared.

No engine tells a provider that a run is narrowed, by -target and its like. The engine's command line does. Where that
cannot be read, the run is unknown, and nobody may conclude from what is missing.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Final

TERRAFORM, PULUMI, UNKNOWN = "terraform", "pulumi", ""
_ENGINE: Final = re.compile(r"(?:(?P<terraform>terraform|tofu|opentofu)|pulumi)(?:[-_]?v?\d[\w.]*)?(?:\.exe)?")
_PLUGIN: Final = "terraform-provider-ollama"
_MODEL: Final = "ollama_model."
_NARROWING: Final = {
    TERRAFORM: {"target", "target-file", "exclude", "exclude-file"},
    PULUMI: {"t", "target", "target-replace", "x", "exclude", "exclude-protected"},
}
_FALSE: Final = {"0", "f", "false"}
_ANCESTORS: Final = 8


@dataclass(frozen=True)
class EngineRun:
    """`narrowed` is the option that hides a part of what is declared, or empty; `pid` is the engine's own.

    `replaces` says that the command line has Terraform replace a model, which that does not tell its provider.
    """

    engine: str = UNKNOWN
    is_destroy: bool = False
    narrowed: str = ""
    one_at_a_time: bool = False
    pid: int = 0
    replaces: bool = False


Processes = Mapping[int, tuple[int, Sequence[str]]]


@cache
def this_run() -> EngineRun:
    """The run that this process was started for; it does not change while the process lives."""
    return run_of(os.getpid(), processes(), os.environ)


def run_of(pid: int, running: Processes, environment: Mapping[str, str]) -> EngineRun:
    """The run of the nearest engine above a process."""
    for _ in range(_ANCESTORS):
        pid = running.get(pid, (0, ()))[0]
        command = running.get(pid, (0, ()))[1]
        if command and (engine := _ENGINE.fullmatch(PurePath(command[0]).name.lower())):
            kind = TERRAFORM if engine["terraform"] else PULUMI
            return _read(kind, command[1:], environment, pid)
    return EngineRun()


def is_alone() -> bool:
    """Whether no other process of this provider was seen under the same engine, since this process first looked.

    Terraform starts one for each configuration of a provider, and ends it as soon as its resources are planned.
    """
    global _was_alone  # noqa: PLW0603 - of the process, as `this_run` is
    _was_alone = _was_alone and not other_plugins(this_run(), processes(), os.getpid())
    return _was_alone


_was_alone = True


def other_plugins(run: EngineRun, running: Processes, own: int) -> list[int]:
    """The other processes of this provider under one engine: one for each further configuration of the provider."""
    found = (pid for pid, (_, command) in running.items() if pid != own and _is_plugin(command))
    return [pid for pid in found if run_of(pid, running, {}).pid == run.pid]


def processes() -> Processes:
    """Parent and command line of each process, by its id; empty where this system does not tell."""
    proc = Path("/proc")
    if (proc / "self/stat").exists():
        found = {}
        for entry in os.scandir(proc):
            if entry.name.isdigit():
                try:
                    parent = int((proc / entry.name / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                    command = (proc / entry.name / "cmdline").read_bytes().decode(errors="replace")
                except (OSError, ValueError, IndexError):
                    continue  # it is gone
                found[int(entry.name)] = parent, command.rstrip("\0").split("\0")
        return found
    import subprocess  # noqa: PLC0415 - for systems without /proc

    try:
        listed = subprocess.run(
            ["ps", "-axww", "-o", "pid=,ppid=,command="], capture_output=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = (line.split(maxsplit=2) for line in listed.stdout.decode(errors="replace").splitlines())
    return {
        int(pid): (int(parent), command.split()) for pid, parent, command in (one for one in lines if len(one) == 3)
    }


def _is_plugin(command: Sequence[str]) -> bool:
    return any(PurePath(word).name.startswith(_PLUGIN) for word in command[:3])


def _read(engine: str, words: Sequence[str], environment: Mapping[str, str], pid: int) -> EngineRun:
    command = next((word for word in words if not word.startswith("-")), "")
    options = [*words, *_from_environment(engine, command, environment)]
    narrowed, one_at_a_time, is_destroy, replaces = "", False, command == "destroy", False
    for position, word in enumerate(options):
        name, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            continue
        following = options[position + 1] if position + 1 < len(options) else ""
        if name in _NARROWING[engine] and value.lower() not in _FALSE:
            narrowed = narrowed or word.partition("=")[0]
        elif engine == TERRAFORM and name == "refresh" and value.lower() in _FALSE:
            narrowed = narrowed or word
        elif engine == TERRAFORM and name == "destroy":
            is_destroy = value.lower() not in _FALSE
        elif engine == TERRAFORM and name == "replace":
            replaces = replaces or _MODEL in (value or following)
        elif name in ("parallelism", "parallel", "p") and (value or following) == "1":
            one_at_a_time = engine == TERRAFORM
    return EngineRun(engine, is_destroy, narrowed, one_at_a_time, pid, replaces)


def _from_environment(engine: str, command: str, environment: Mapping[str, str]) -> list[str]:
    if engine == TERRAFORM:
        names = ("TF_CLI_ARGS", f"TF_CLI_ARGS_{command}")
        return [word for name in names for word in environment.get(name, "").split()]
    prefix = "PULUMI_OPTION_"
    found = (name for name in environment if name.startswith(prefix))
    return [f"--{name.removeprefix(prefix).lower().replace('_', '-')}={environment[name]}" for name in found]
