"""Ollama's HTTP API: typed, with a deadline on every wait, and one exception a kind of failure.

Every method raises an OllamaError; none retries, but for `running` and `installed`. Field meanings: Ollama's
docs/api.md and api/types.go.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ollama_provider.ollama import durations
from ollama_provider.ollama.answers import (
    Connection,
    Generation,
    InstalledModel,
    ModelDetails,
    Running,
    RunningModel,
    TransferProgress,
)
from ollama_provider.ollama.errors import (
    CrashedError,
    NotFoundError,
    NotOllamaError,
    RefusedError,
    TransientError,
)
from ollama_provider.ollama.http import exchange
from ollama_provider.ollama.http.exchange import LONGEST_WORDS, Exchange
from ollama_provider.ollama.http.proxies import is_loopback
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.versions import OLDEST_SUPPORTED, dotted, is_supported, version_in

STALL_SECONDS = 120.0
LARGEST_ANSWER = 64 * 2**20
_LONGEST_NAME = 100  # of a server's version
_MOST_LAYERS = 100_000  # of a transfer: a model of tensors has one for each
_UPLOAD_CHUNK = 2**20
_AFTER_A_DELETION = 0.05  # seconds
_TRANSIENT_WORDS = (
    "unexpected eof",
    "connection reset",
    "connection refused",
    "broken pipe",
    "i/o timeout",
    "tls handshake timeout",
    "max retries exceeded",
    "http2: ",
)


class Ollama:
    """A client of one server, to be used as an async context manager or closed by `close`."""

    def __init__(
        self,
        connection: Connection,
        stall_seconds: float = STALL_SECONDS,
        largest_answer: int | None = None,
    ) -> None:
        self.connection = connection
        self.url = connection.url
        self.is_on_this_machine = is_loopback(connection.url)
        self._stall_seconds = stall_seconds
        self._deleting = asyncio.Lock()
        self._http = Exchange(connection, largest_answer or LARGEST_ANSWER)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.close()

    async def version(self) -> str:
        """The server's version, such as `0.34.3`. Raises NotOllamaError where something else answers."""
        answer = await self._http.ask("GET", "/api/version", "the version")
        found = self._http.text_of(answer, "version", "the version")
        if len(found) > _LONGEST_NAME:
            words = f"a version of {len(found):,} characters: {self._http.excerpt(found)}"
            raise self._http.not_ollama("the version", words)
        return found

    async def supported_version(self) -> str:
        """As `version`. Raises NotOllamaError for a server that is too old, or no Ollama at all."""
        version = await self.version()
        self.require_supported(version)
        return version

    def require_supported(self, version: str) -> None:
        """Raises NotOllamaError for what a server that is too old says, or no Ollama at all."""
        parsed = version_in(version) or version_in(f"{version}.0")
        if parsed is None:
            words = f"this is not a version of Ollama: {self.connection.redact(version)!r}"
            raise NotOllamaError("the version", self.url, words)
        if not is_supported(parsed):
            words = f"Ollama {version} is too old, {dotted(OLDEST_SUPPORTED)} or newer is needed: update the server"
            raise NotOllamaError("the version", self.url, words)

    async def installed(self) -> dict[ModelName, InstalledModel]:
        """Every model on disk."""
        models = {}
        for entry in await self._installed():
            details = self._http.object_of(entry, "details", "the list of models")
            name = self._http.name_of(entry)
            models[name] = InstalledModel(
                name=name,
                digest=str(entry.get("digest", "")).removeprefix("sha256:"),
                size=self._http.number_of(entry, "size", "the list of models"),
                modified_at=str(entry.get("modified_at") or ""),
                format=str(details.get("format") or ""),
                remote_model=str(entry.get("remote_model") or ""),
                remote_host=self.connection.redact(str(entry.get("remote_host") or "")),
                capabilities=_texts(entry.get("capabilities")),
                parent=str(details.get("parent_model") or ""),
                **_form_of(details),
            )
        return models

    async def _installed(self) -> list[dict[str, Any]]:
        """The entries of /api/tags: Ollama opens each manifest that it found, and fails where one was just deleted."""
        asked, tries = "the list of models", 5
        while True:
            tries -= 1
            try:
                return self._http.entries_of(await self._http.ask("GET", "/api/tags", asked), asked)
            except RefusedError as error:
                if not tries or not re.search(r"/manifests/.*no such file or directory", str(error)):
                    raise
                await asyncio.sleep(_AFTER_A_DELETION)

    async def running(self) -> Running:
        """Every model in memory."""
        asked = "the list of running models"
        try:
            entries, server_time = await self._running(asked)
        except CrashedError:
            entries, server_time = await self._running(asked)
        models = []
        for entry in entries:
            try:
                expires_at = durations.parse_time(str(entry.get("expires_at")))
            except ValueError:
                found = self._http.excerpt(str(entry.get("expires_at")))
                raise self._http.not_ollama(asked, f"an expires_at that is not a time: {found}") from None
            models.append(
                RunningModel(
                    name=self._http.name_of(entry),
                    digest=str(entry.get("digest", "")).removeprefix("sha256:"),
                    expires_at=expires_at,
                    size=self._http.number_of(entry, "size", asked),
                    size_vram=self._http.number_of(entry, "size_vram", asked),
                    context_length=self._http.number_of(entry, "context_length", asked),
                    **_form_of(self._http.object_of(entry, "details", asked)),
                )
            )
        return Running(tuple(models), server_time)

    async def _running(self, asked: str) -> tuple[list[dict[str, Any]], datetime]:
        async with self._http.answering("GET", "/api/ps", asked, deadline=exchange.ANSWER_SECONDS) as response:
            return self._http.entries_of(await self._http.json(response, asked), asked), _server_time(response)

    async def show(self, name: ModelName) -> ModelDetails:
        """Details of a model on disk. Costs up to 50 ms on a server of a thousand models: never one a refresh."""
        asked = f"the details of {name}"
        answer = await self._http.ask("POST", "/api/show", asked, {"model": str(name)})
        information = self._http.object_of(answer, "model_info", asked)
        architecture = information.get("general.architecture", "")
        if information.get(f"{architecture}.attention.head_count_kv", 0) is None:
            # One a layer, as lfm2 has them: only the long answer, with every token, has lists.
            answer = await self._http.ask("POST", "/api/show", asked, {"model": str(name), "verbose": True})
            information = self._http.object_of(answer, "model_info", asked)
        modelfile = str(answer.get("modelfile") or "")
        blobs = [line[5:].strip() for line in modelfile.splitlines() if line.startswith("FROM ") and line.isprintable()]
        projector = self._http.object_of(answer, "projector_info", asked)
        return ModelDetails(
            blob=blobs[0] if blobs else "",
            context_length=self._http.number_of(information, f"{architecture}.context_length", asked),
            capabilities=_texts(answer.get("capabilities")),
            parent=str(self._http.object_of(answer, "details", asked).get("parent_model") or ""),
            num_ctx=_num_ctx(str(answer.get("parameters") or "")),
            metadata={
                key: value
                for key, value in information.items()
                if key == "tokenizer.ggml.model" or not key.startswith("tokenizer.") or key.endswith("_token_id")
            }
            | _vocabulary(information, str(architecture))
            | {key: value for key, value in projector.items() if key.startswith("clip.")},
        )

    async def pull(
        self, name: ModelName, *, insecure: bool = False, progress: Callable[[TransferProgress], None] | None = None
    ) -> None:
        """Downloads a model; returns when the server's last line was "success". The caller sets the total deadline."""
        body = {"model": str(name), "insecure": insecure, "stream": True}
        await self._follow("/api/pull", f"the pull of {name}", body, progress)

    async def create(
        self,
        name: ModelName,
        fields: Mapping[str, Any],
        progress: Callable[[TransferProgress], None] | None = None,
    ) -> None:
        """Makes a model from another (`from`) or from uploaded `files`, with `parameters`, `system` and so on."""
        body = {"model": str(name), "stream": True, **fields}
        await self._follow("/api/create", f"the creation of {name}", body, progress)

    async def has_blob(self, digest: str) -> bool:
        """Whether the server holds a blob, by its `sha256:...`."""
        try:
            await self._http.ask("HEAD", f"/api/blobs/{digest}", f"blob {digest}")
        except NotFoundError:
            return False
        return True

    async def upload_blob(
        self, digest: str, file: Path, progress: Callable[[TransferProgress], None] | None = None
    ) -> None:
        """Sends a file whose digest is known; the server verifies it."""
        asked, total = f"the upload of {file.name}", file.stat().st_size

        async def chunks() -> AsyncIterator[bytes]:
            sent = 0
            with await asyncio.to_thread(file.open, "rb") as stream:
                while chunk := await asyncio.to_thread(stream.read, _UPLOAD_CHUNK):
                    yield chunk
                    sent += len(chunk)
                    if progress:
                        progress(TransferProgress("uploading", sent, total))

        async with self._http.answering("POST", f"/api/blobs/{digest}", asked, content=chunks()):
            pass

    async def copy(self, source: ModelName, destination: ModelName) -> None:
        """Gives a model a second name; an existing destination is overwritten."""
        body = {"source": str(source), "destination": str(destination)}
        await self._http.ask("POST", "/api/copy", f"the copy of {source} to {destination}", body)

    async def delete(self, name: ModelName) -> None:
        """Removes a name, and the blobs that no other name uses. Does not unload: a loaded model stays in memory.

        One at a time: Ollama walks its folders after each, and fails where another one has just removed a folder.
        """
        async with self._deleting:
            await self._http.ask("DELETE", "/api/delete", f"the deletion of {name}", {"model": str(name)})

    async def load(
        self,
        name: ModelName,
        keep_alive: str | int,
        *,
        only_embeds: bool = False,
        context_length: int | None = None,
    ) -> None:
        """Loads a model, or re-arms one that is loaded, with a keep_alive: a Go duration, or FOR_EVER.

        A client that gives up aborts the load, so the deadline is the caller's. A model that is loaded with another
        context than `context_length` (the model's own, when None) is reloaded.
        """
        body: dict[str, Any] = {"model": str(name), "keep_alive": keep_alive, "stream": False}
        if context_length:
            body["options"] = {"num_ctx": context_length}
        path = "/api/embed" if only_embeds else "/api/generate"
        await self._http.ask("POST", path, f"the load of {name}", body, has_deadline=False)

    async def generate(
        self,
        name: ModelName,
        prompt: str,
        *,
        options: Mapping[str, Any] | None = None,
        keep_alive: str | int | None = None,
        is_raw: bool = False,
    ) -> Generation:
        """One answer, streamed. Without a keep_alive a pin stays, a timer starts anew. The caller sets a deadline.

        `is_raw`: the prompt goes without the model's template.
        """
        asked = f"an answer of {name}"
        body = {"model": str(name), "prompt": prompt, "stream": True, "options": dict(options or {})}
        body |= {} if keep_alive is None else {"keep_alive": keep_alive}
        body |= {"raw": True} if is_raw else {}
        clock = asyncio.get_running_loop().time
        began, first, last = clock(), 0.0, dict[str, Any]()
        async with (
            self._http.answering("POST", "/api/generate", asked, json=body) as response,
            aclosing(self._http.lines(response, asked)) as lines,
        ):
            async for last in lines:
                self._status_of(last, asked)
                first = first or clock() - began
        if not last.get("done"):
            raise TransientError(asked, self.url, "the answer broke off before its end")
        return Generation(
            seconds=clock() - began,
            seconds_to_first_token=first,
            tokens=self._http.number_of(last, "eval_count", asked),
            prompt_tokens=self._http.number_of(last, "prompt_eval_count", asked),
            load_seconds=self._http.number_of(last, "load_duration", asked) / 1e9,
        )

    async def unload(self, name: ModelName) -> None:
        """Asks for a model's runner to go. The server answers at once and obeys when no request is in flight: poll."""
        body = {"model": str(name), "keep_alive": 0, "stream": False}
        await self._http.ask("POST", "/api/generate", f"the unload of {name}", body)

    async def _follow(
        self,
        path: str,
        asked: str,
        body: Mapping[str, Any],
        progress: Callable[[TransferProgress], None] | None,
    ) -> None:
        layers: dict[str, tuple[int, int]] = {}
        completed = total = 0
        status = ""
        try:
            async with (
                asyncio.timeout(self._stall_seconds) as stall,
                self._http.answering("POST", path, asked, json=body) as response,
                aclosing(self._http.lines(response, asked)) as lines,
            ):
                async for line in lines:
                    status = self._status_of(line, asked)
                    layer = (self._http.number_of(line, "completed", asked), self._http.number_of(line, "total", asked))
                    part = str(line.get("digest") or status)[:LONGEST_WORDS]
                    before = layers.get(part)
                    if before != layer:
                        stall.reschedule(asyncio.get_running_loop().time() + self._stall_seconds)
                    layers[part] = layer
                    if len(layers) > _MOST_LAYERS:
                        raise self._http.not_ollama(asked, f"more than {_MOST_LAYERS:,} layers of one model")
                    completed += layer[0] - (before[0] if before else 0)
                    total += layer[1] - (before[1] if before else 0)
                    if progress:
                        progress(TransferProgress(status, completed, total))
        except TimeoutError:
            if not stall.expired():
                raise
            words = f"nothing moved for {self._stall_seconds:g} s; the last status was {self._http.excerpt(status)}"
            raise TransientError(asked, self.url, words) from None
        if status != "success":
            words = f"the answer ended without success; the last status was {self._http.excerpt(status)}"
            raise TransientError(asked, self.url, words)

    def _status_of(self, line: Mapping[str, Any], asked: str) -> str:
        if "error" in line:
            words = self._http.words(str(line["error"]))
            kind = TransientError if any(word in words.lower() for word in _TRANSIENT_WORDS) else RefusedError
            raise kind(asked, self.url, f"the server says: {words}")
        return str(line.get("status") or "")


def _form_of(details: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(details.get(name) or "") for name in ("family", "parameter_size", "quantization_level")}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _vocabulary(information: Mapping[str, Any], architecture: str) -> dict[str, int]:
    """The count of tokens, of a long answer that has their list, where no key of its own says it."""
    tokens, key = information.get("tokenizer.ggml.tokens"), f"{architecture}.vocab_size"
    return {key: len(tokens)} if isinstance(tokens, list) and tokens and key not in information else {}


def _num_ctx(parameters: str) -> int | None:
    found = re.search(r"^num_ctx\s+([0-9]{1,9})$", parameters, re.MULTILINE)
    return int(found[1]) if found else None


def _server_time(response: httpx.Response) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return datetime.now(UTC)
