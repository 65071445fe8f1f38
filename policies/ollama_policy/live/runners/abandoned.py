"""Runner processes that no server knows: theirs was killed (SIGKILL, the kernel's OOM killer), and they live on.

Measured on 0.34.3 and 0.17.4: such a runner becomes a child of init, keeps all of its memory, and is in /api/ps of no
server; one that is started on the same address loads the model a second time, beside it.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

from ollama_policy.live.runners.runner import Engine, runner_of

if TYPE_CHECKING:
    import psutil

ENDS_WITHIN: Final = 10.0  # seconds, of one that was asked to end
_INITS: Final = ("systemd", "init", "launchd", "tini", "dumb-init", "docker-init", "catatonit", "s6-svscan")
# How Ollama starts its llama-server, in this order (llm/llama_server.go:372, 576; so from 0.30.0 on).
# A person who runs llama.cpp's server writes some of these, and not all of them like this.
_OLLAMAS: Final = (
    *("--model", "--port", "--host", "--no-webui", "--offline"),
    *("--log-verbosity", "--no-log-prefix", "--no-log-timestamps"),
)


class Abandoned(NamedTuple):
    """One such runner: the digest and the path of its weights, its resident bytes, and the user whose process it is.

    `created` tells it from a later process of the same number. `is_own`: of the user who asks.
    """

    pid: int
    created: float
    blob: str
    path: str
    resident: int
    user: str
    is_own: bool


def abandoned_runners() -> list[Abandoned]:
    """All of this machine, of all users; none where psutil, of the extra `report`, is not installed."""
    try:
        import psutil  # noqa: PLC0415 - of the extra `report`
    except ImportError:
        return []
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            one = _abandoned(process)
            if one is not None:
                found.append(one)
    return sorted(found)


def end(one: Abandoned) -> str:
    """Ends a process of one's own, if it is still the same. Empty on success, else why it is still there."""
    import psutil  # noqa: PLC0415 - there it is, then

    if not one.is_own:
        return f"it is a process of {one.user}: end it as that user, kill {one.pid}"
    try:
        process = psutil.Process(one.pid)
        if process.create_time() != one.created or _abandoned(process) is None:
            return ""  # it has ended meanwhile, and the number may be another's
        process.terminate()
        process.wait(ENDS_WITHIN)
    except psutil.NoSuchProcess:
        return ""
    except psutil.TimeoutExpired:
        return f"it was asked to end, but still runs after {ENDS_WITHIN:g} s"
    except psutil.Error as error:
        return f"it cannot be ended: {error}"
    return ""


def _abandoned(process: "psutil.Process") -> Abandoned | None:
    command = process.cmdline()
    runner = runner_of(process.pid, command)
    if runner is None or not runner.blob or not _is_of_ollama(runner.engine, command):
        return None
    parent = process.parent()
    if (parent is not None and not _is_init(parent.pid, parent.name())) or _serves(process):
        return None
    is_own = os.name != "posix" or process.uids().real == os.getuid()
    return Abandoned(
        process.pid,
        process.create_time(),
        runner.blob,
        runner.model,
        process.memory_info().rss,
        process.username(),
        is_own,
    )


def _serves(process: "psutil.Process") -> bool:
    """Whether somebody is connected to it: the server that was killed is not, so it is somebody's."""
    return any(one.status == "ESTABLISHED" for one in process.net_connections(kind="tcp"))


def _is_of_ollama(engine: Engine, command: Sequence[str]) -> bool:
    """Whether Ollama started it, and not a person who runs llama.cpp's server, or a runner, without one."""
    if engine is Engine.LLAMA_SERVER:
        return tuple(word for word in command if word in _OLLAMAS) == _OLLAMAS and "127.0.0.1" in command
    return PurePath(command[0]).name.removesuffix(".exe") == "ollama"


def _is_init(pid: int, name: str) -> bool:
    """Whether a parent only collects what has lost its own. In a container process 1 may be Ollama itself."""
    return name in _INITS or (pid == 1 and "ollama" not in name)
