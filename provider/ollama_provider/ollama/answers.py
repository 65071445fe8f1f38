"""What a server is reached by, and what it answers, as plain values: cheap to import, unlike the client that asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ollama_provider.ollama import durations
from ollama_provider.ollama.names import InvalidNameError, ModelName

HOST_VARIABLE = "OLLAMA_HOST"
TOKEN_VARIABLE = "OLLAMA_API_KEY"  # noqa: S105 - the variable's name, as Ollama's own Python client reads it
FOR_EVER = -1  # the keep_alive of a pin


def is_header_value(text: str) -> bool:
    """Whether a text can be sent as a header; whatever else httpx refuses, and repeats as it does so."""
    return text.isascii() and text.isprintable() and text == text.strip()


@dataclass(frozen=True)
class Connection:
    """How a server is reached. `token` is sent as a bearer token; it and the headers never appear in a text.

    `withheld` says why a credential that there is goes elsewhere, and not to this server; empty where none is.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    withheld: str = ""

    def redact(self, text: str) -> str:
        """The text without any secret of this connection, for servers and proxies that repeat what they were sent."""
        values = [value for value in (self.token, *self.headers.values()) if value]
        # A server may repeat what follows the scheme: of `Bearer abc` the `abc`. The longest first, so none is cut.
        secrets = {*values, *(value.rpartition(" ")[2] for value in values)}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


@dataclass(frozen=True)
class InstalledModel:
    """A model on disk, from /api/tags. `digest` is its manifest's, in hex; `size` its bytes on disk.

    `modified_at` is as the server writes it, in RFC 3339. A cloud model has a `remote_model` and a `remote_host`; see
    `kinds`. `capabilities` are empty where the server does not list them here, as older ones do not.
    """

    name: ModelName
    digest: str
    size: int
    family: str
    parameter_size: str
    quantization_level: str
    modified_at: str = ""
    format: str = ""
    remote_model: str = ""
    remote_host: str = ""
    capabilities: tuple[str, ...] = ()
    parent: str = ""

    def is_from(self, name: ModelName) -> bool:
        """Whether it was made from the model of a name. A `parent` may be the path of a file, too."""
        try:
            return bool(self.parent) and ModelName.parse(self.parent) == name
        except InvalidNameError:
            return False


@dataclass(frozen=True)
class RunningModel:
    """A model in memory, from /api/ps. `size` and `size_vram` are Ollama's own estimate in bytes."""

    name: ModelName
    digest: str
    expires_at: datetime
    size: int
    size_vram: int
    context_length: int
    family: str = ""
    parameter_size: str = ""
    quantization_level: str = ""


@dataclass(frozen=True)
class Running:
    """What /api/ps said, and the server's own clock at that moment: expiries are in the server's time."""

    models: tuple[RunningModel, ...]
    server_time: datetime

    def is_pinned(self, model: RunningModel) -> bool:
        return durations.is_for_ever(model.expires_at, self.server_time)

    def left_of(self, model: RunningModel) -> timedelta:
        """Until the timer of a model has run down; negative where it has."""
        return model.expires_at - self.server_time


def only_embed(capabilities: tuple[str, ...]) -> bool:
    """Whether a model of these capabilities makes embeddings, and answers no prompt."""
    return "embedding" in capabilities and "completion" not in capabilities


@dataclass(frozen=True)
class ModelDetails:
    """What /api/show adds: the GGUF blob that a runner is known by, the trained context, and what the model can do.

    `parent` is the model that this one was derived from, as the server names it; empty where it was not. `metadata` are
    the keys of its GGUF, without the tokenizer's; None for a list, which the server leaves out.
    """

    blob: str
    context_length: int
    capabilities: tuple[str, ...]
    parent: str = ""
    num_ctx: int | None = None  # the model's own parameter, where it has one
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def only_embeds(self) -> bool:
        return only_embed(self.capabilities)


@dataclass(frozen=True)
class Generation:
    """One answer to a prompt: seconds as the client saw them, and what Ollama says of its own."""

    seconds: float
    seconds_to_first_token: float
    tokens: int
    prompt_tokens: int
    load_seconds: float


@dataclass(frozen=True)
class TransferProgress:
    """Where a pull, a creation or an upload is: its current status, and bytes over all layers seen so far."""

    status: str
    completed: int
    total: int


def is_current(model: RunningModel, installed: Mapping[ModelName, InstalledModel]) -> bool:
    """Whether a runner is reached by the name that it is shown under."""
    return model.name in installed and installed[model.name].digest == model.digest
