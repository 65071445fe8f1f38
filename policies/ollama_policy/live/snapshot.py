"""What servers said at one moment, as plain values, and as a JSON file to judge later or elsewhere.

{"version": 1, "servers": [{"url": ..., "is_given": true, "version": "0.34.3", "server_time": ..., "installed": [...],
"running": [...]}, {"url": ..., "is_given": true, "problem": "no connection: ..."}]}

There is no secret in it: names, digests, sizes and times, and what went wrong in words that repeat no token.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ollama_policy.errors import UnreadableError
from ollama_policy.text.json_schema import INTEGER, TEXT, TIME, Schema, check, document, listed, record
from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import InstalledModel, Running, RunningModel
from ollama_provider.ollama.names import InvalidNameError, ModelName

VERSION: Final = 1


class OnDisk(NamedTuple):
    """A model that a server has. `digest` is its manifest's, in hex; `size` its bytes on disk.

    `capabilities` are empty where the server does not list them here. A cloud model has a `remote_host` and a
    `remote_model`. Fits `ollama_provider.ollama.kinds.Listed`.
    """

    digest: str
    size: int
    format: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: InstalledModel) -> "OnDisk":
        return cls(model.digest, model.size, model.format, model.remote_host, model.remote_model, model.capabilities)


class AbandonedRunner(NamedTuple):
    """A runner process whose server was killed: the digest of its weights, and its resident bytes."""

    pid: int
    blob: str
    resident: int
    user: str


class ServerState(NamedTuple):
    """What one server said. `is_given`: a person named it, so declarations without a host of their own are for it.

    `abandoned` is what this machine shows of an earlier server there, `flags` what it shows of the command lines of
    the models in memory (`ollama_provider.ollama.reloading.flags_in`); nothing where the server is on another one.
    """

    url: str
    is_given: bool
    version: str
    installed: Mapping[ModelName, OnDisk]
    running: Running
    abandoned: tuple[AbandonedRunner, ...] = ()
    flags: Mapping[ModelName, Mapping[str, str]] = MappingProxyType({})


class NoAnswer(NamedTuple):
    """A server that could not be looked at, and why, in one line."""

    url: str
    is_given: bool
    problem: str


Server = ServerState | NoAnswer


def to_json(servers: list[Server]) -> str:
    """The text of a snapshot."""
    return json.dumps({"version": VERSION, "servers": [_written(one) for one in servers]}, indent=2) + "\n"


def _written(server: Server) -> dict[str, Any]:
    if isinstance(server, NoAnswer):
        return server._asdict()
    abandoned = {"abandoned": [one._asdict() for one in server.abandoned]} if server.abandoned else {}
    return abandoned | {
        "url": server.url,
        "is_given": server.is_given,
        "version": server.version,
        "server_time": server.running.server_time.isoformat(),
        "installed": [{"name": str(name), **_on_disk(model)} for name, model in server.installed.items()],
        "running": [
            {
                "name": str(model.name),
                "digest": model.digest,
                "expires_at": model.expires_at.isoformat(),
                "size": model.size,
                "size_vram": model.size_vram,
                "context_length": model.context_length,
            }
            | ({"flags": dict(server.flags[model.name])} if model.name in server.flags else {})
            for model in server.running.models
        ],
    }


def _on_disk(model: OnDisk) -> dict[str, Any]:
    """Without what is empty, so that a file of plain models is as it always was."""
    kept = {"digest": model.digest, "size": model.size}
    return kept | {key: value for key, value in model._asdict().items() if value not in ("", ())}


def from_json(data: bytes) -> list[Server]:
    """The servers of a snapshot. Raises UnreadableError, at the byte where it is not JSON."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(getattr(error, "pos", 0), f"no JSON ({error})", "a snapshot") from None
    _check(document)
    try:
        return [_read(one) for one in document["servers"]]
    except (ValueError, InvalidNameError) as error:
        raise UnreadableError(0, f"a snapshot with {error}", "what `drift --record` writes") from None


def _check(document: Any) -> None:
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise UnreadableError(0, "no snapshot", f'an object with "version": {VERSION}, as `drift --record` writes it')
    check(document, schema(), "a snapshot")


def _read(one: Mapping[str, Any]) -> Server:
    if "problem" in one:
        return NoAnswer(one["url"], one["is_given"], one["problem"])
    models = tuple(
        RunningModel(
            name=ModelName.parse(model["name"]),
            digest=model["digest"],
            expires_at=durations.parse_time(model["expires_at"]),
            size=model["size"],
            size_vram=model["size_vram"],
            context_length=model["context_length"],
        )
        for model in one["running"]
    )
    installed = {
        ModelName.parse(model["name"]): OnDisk(
            model["digest"],
            model["size"],
            model.get("format", ""),
            model.get("remote_host", ""),
            model.get("remote_model", ""),
            tuple(model.get("capabilities", ())),
        )
        for model in one["installed"]
    }
    time: datetime = durations.parse_time(one["server_time"])
    abandoned = tuple(AbandonedRunner(**runner) for runner in one.get("abandoned", ()))
    flags = {ModelName.parse(model["name"]): model["flags"] for model in one["running"] if "flags" in model}
    return ServerState(one["url"], one["is_given"], one["version"], installed, Running(models, time), abandoned, flags)


def schema() -> Schema:
    """The JSON Schema of a snapshot."""
    given = {"type": "boolean", "description": "Whether a person named the server, and not a declaration alone."}
    server = {"url": TEXT, "is_given": given}
    model = {"name": TEXT, "digest": TEXT}
    installed = record(
        model | {"size": INTEGER},
        {"format": TEXT, "remote_host": TEXT, "remote_model": TEXT} | {"capabilities": listed(TEXT)},
    )
    flags: Schema = {"flags": {"type": "object", "additionalProperties": TEXT}}
    running = record(
        model | {"expires_at": TIME, "size": INTEGER, "size_vram": INTEGER, "context_length": INTEGER}, flags
    )
    said = {"version": TEXT, "server_time": TIME, "installed": listed(installed), "running": listed(running)}
    abandoned = {"abandoned": listed(record({"pid": INTEGER, "blob": TEXT, "resident": INTEGER, "user": TEXT}))}
    servers = {"anyOf": [record(server | said, abandoned), record(server | {"problem": TEXT})]}
    title = "What servers said, as `ollama-policy drift --record` writes it and `--from` reads it"
    return document(title, VERSION, {"servers": listed(servers)})
