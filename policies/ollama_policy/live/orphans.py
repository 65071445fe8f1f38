"""What a server and its processes show before anything is freed. Changes nothing."""

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ollama_policy.live.connect import details_of
from ollama_policy.live.reclaimable import Facts, lookalikes, orphans
from ollama_policy.live.runners.abandoned import Abandoned, abandoned_runners
from ollama_policy.live.runners.processes import Processes, UnseenError, of_server
from ollama_provider.ollama.answers import InstalledModel, Running, RunningModel, is_current
from ollama_provider.ollama.names import ModelName

if TYPE_CHECKING:
    from ollama_provider.ollama.http.api import Ollama

_BLOB = re.compile(r"sha256[-:]([0-9a-f]{64})")


class Runner(NamedTuple):
    """A runner's process: its weights' digest, empty where its command line does not show it, and resident bytes."""

    pid: int
    blob: str
    resident: int


class Sight:
    """The runner processes of a server on this machine; `unseen` says why there are none to be seen."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.unseen = ""
        try:
            self._processes: Processes | None = Processes(url)
        except UnseenError as error:
            self._processes, self.unseen = None, str(error)

    def runners(self) -> list[Runner]:
        if self._processes is None:
            return []
        import psutil  # noqa: PLC0415 - there it is, then

        found = []
        for process in self._processes.runners():
            try:
                command = process.cmdline()
                if "--model" in command:
                    weights = _BLOB.search(command[command.index("--model") + 1])
                    blob = f"sha256:{weights.group(1)}" if weights else ""
                    found.append(Runner(process.pid, blob, process.memory_info().rss))
            except (psutil.Error, IndexError):
                continue
        return found

    def abandoned(self) -> tuple[Abandoned, ...]:
        """What an earlier server at this address has left; nothing of another machine."""
        return tuple(of_server(self._url, abandoned_runners())) if self._processes is not None else ()

    def blobs(self, runners: Collection[Runner], in_memory: int) -> frozenset[str] | None:
        """The weights of all runners, or None where not every runner is seen."""
        if self._processes is None or len(runners) < in_memory or not all(runner.blob for runner in runners):
            return None
        return frozenset(runner.blob for runner in runners)


async def facts_of(client: "Ollama", sight: Sight) -> tuple[Facts, list[Runner]]:
    """Looks at a server. The processes first: whatever they show is in the list of models by then. Raises OllamaError.

    Which weights a name has costs a call each; it is asked only where there is an orphan to be freed through it.
    """
    runners = await asyncio.to_thread(sight.runners)
    abandoned = await asyncio.to_thread(sight.abandoned)
    installed, running = await asyncio.gather(client.installed(), client.running())
    lost = orphans(installed, running)
    if not lost:
        return Facts(installed, running, abandoned=abandoned), runners
    blobs = await blobs_near(client, lost, installed, running)
    runner_blobs = sight.blobs(runners, len(running.models))
    on_disk = [one for one in sorted(runner_blobs or ()) if await client.has_blob(one)]
    return Facts(installed, running, blobs, runner_blobs, frozenset(on_disk), abandoned), runners


async def blobs_near(
    client: "Ollama",
    lost: Collection[RunningModel],
    installed: Mapping[ModelName, InstalledModel],
    running: Running,
) -> dict[ModelName, str]:
    """The weights of all names that may be on an orphan's, and of those that must not be taken for it."""
    current = {model.name for model in running.models if is_current(model, installed)}
    alike = {name for model in lost for name in lookalikes(model, installed)}
    same = {name for name, model in installed.items() if any(model.digest == one.digest for one in lost)}
    same = {name for name in same if not name.names_a_source}
    return await blobs_of(client, sorted(current | alike | same, key=str))


async def blob_of(client: "Ollama", name: ModelName) -> str:
    """The digest of a name's weights; empty where it has none that can be told, or is gone."""
    return (await blobs_of(client, [name]))[name]


async def blobs_of(client: "Ollama", names: Collection[ModelName]) -> dict[ModelName, str]:
    """As `blob_of`, of several names."""
    details = await details_of(client, names)
    found = {name: _BLOB.search(one.blob) for name, one in details.items()}
    return {name: f"sha256:{blob.group(1)}" if (blob := found.get(name)) else "" for name in names}


def key(model: RunningModel) -> tuple[ModelName, str]:
    """What tells runners apart in /api/ps: a manifest has one weights file, and that one runner."""
    return model.name, model.digest
