"""What a server said, built by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ollama_policy.live.declared import Declarations, declarations
from ollama_policy.live.snapshot import OnDisk, ServerState
from ollama_policy.pipeline import check
from ollama_policy.pipeline.discover import Workspace
from ollama_provider.ollama.answers import Running, RunningModel
from ollama_provider.ollama.names import ModelName

URL = "http://one:11434"
HERE = datetime(2026, 1, 1, 12, tzinfo=UTC)
FOR_EVER = timedelta(seconds=9223372036)
NOW, OLD = "aa" * 32, "bb" * 32


def running(name: str, left: timedelta = FOR_EVER, digest: str = NOW, context: int = 2048) -> RunningModel:
    return RunningModel(ModelName.parse(name), digest, HERE + left, 2**20, 0, context)


def seen(
    on_disk: dict[str, str],
    in_memory: Sequence[RunningModel] = (),
    *,
    version: str = "0.17.4",
    url: str = URL,
    is_given: bool = True,
) -> ServerState:
    installed = {ModelName.parse(name): OnDisk(digest, 2**20) for name, digest in on_disk.items()}
    return ServerState(url, is_given, version, installed, Running(tuple(in_memory), HERE))


def declared_in(**files: str) -> Declarations:
    """The declarations of files that are written into the working folder; `__` in a name is a dot."""
    for name, text in files.items():
        path = Path(name.replace("__", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    workspace = Workspace(["."])
    return declarations(check.read_all(workspace, lambda done, total: None), workspace)
