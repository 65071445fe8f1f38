"""Ollama's HTTP API: typed, with a deadline on every wait, and one exception a kind of failure.

Every method raises an OllamaError; none retries, but for `running`, once. Field meanings: Ollama's docs/api.md and
api/types.go.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
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
    OllamaError,
    RefusedError,
    TransientError,
    UnreachableError,
)
from ollama_provider.ollama.http import bounds
from ollama_provider.ollama.http.certificates import InvalidCertificatesError, trusting
from ollama_provider.ollama.http.proxies import InvalidProxyError, is_loopback
from ollama_provider.ollama.http.transport import Transport, by_way_of, no_answer, no_connection, on_the_way, way
from ollama_provider.ollama.names import InvalidNameError, ModelName
from ollama_provider.ollama.versions import OLDEST_SUPPORTED, dotted, is_supported, version_in

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
STALL_SECONDS = 120.0
LARGEST_ANSWER = 64 * 2**20
LONGEST_LINE = 2**20
_LONGEST_NAME = 100  # of a server's version
_LONGEST_WORDS = 2000  # of a failure: an error of llama-server may be some lines
_MOST_LAYERS = 100_000  # of a transfer: a model of tensors has one for each
_BEYOND_SIZES = 2**63  # what Ollama counts in, an int64 of Go, ends before it
_UPLOAD_CHUNK = 2**20
_WANTS_A_CREDENTIAL = {401, 403}
_TRANSIENT_STATUS = {429, 502, 503, 504}
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
        self._largest_answer = largest_answer or LARGEST_ANSWER
        self._deleting = asyncio.Lock()
        headers = {**bounds.ASKED_FOR, **connection.headers}
        if connection.token:
            headers["Authorization"] = f"Bearer {connection.token}"
        self._http = httpx.AsyncClient(
            base_url=connection.url,
            headers=headers,
            transport=Transport(partial(_tls, connection)),
            trust_env=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        )
        self._proxy = way(connection.url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def version(self) -> str:
        """The server's version, such as `0.34.3`. Raises NotOllamaError where something else answers."""
        answer = await self._ask("GET", "/api/version", "the version")
        found = self._text_of(answer, "version", "the version")
        if len(found) > _LONGEST_NAME:
            raise self._not_ollama("the version", f"a version of {len(found):,} characters: {self._excerpt(found)}")
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
        entries = self._entries(await self._ask("GET", "/api/tags", "the list of models"), "the list of models")
        models = {}
        for entry in entries:
            details = self._object(entry, "details", "the list of models")
            name = self._name_of(entry)
            models[name] = InstalledModel(
                name=name,
                digest=str(entry.get("digest", "")).removeprefix("sha256:"),
                size=self._number(entry, "size", "the list of models"),
                modified_at=str(entry.get("modified_at") or ""),
                format=str(details.get("format") or ""),
                remote_model=str(entry.get("remote_model") or ""),
                remote_host=self.connection.redact(str(entry.get("remote_host") or "")),
                capabilities=_texts(entry.get("capabilities")),
                parent=str(details.get("parent_model") or ""),
                **_form_of(details),
            )
        return models

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
                found = self._excerpt(str(entry.get("expires_at")))
                raise self._not_ollama(asked, f"an expires_at that is not a time: {found}") from None
            models.append(
                RunningModel(
                    name=self._name_of(entry),
                    digest=str(entry.get("digest", "")).removeprefix("sha256:"),
                    expires_at=expires_at,
                    size=self._number(entry, "size", asked),
                    size_vram=self._number(entry, "size_vram", asked),
                    context_length=self._number(entry, "context_length", asked),
                    **_form_of(self._object(entry, "details", asked)),
                )
            )
        return Running(tuple(models), server_time)

    async def _running(self, asked: str) -> tuple[list[dict[str, Any]], datetime]:
        async with self._answering("GET", "/api/ps", asked, deadline=ANSWER_SECONDS) as response:
            return self._entries(await self._json(response, asked), asked), _server_time(response)

    async def show(self, name: ModelName) -> ModelDetails:
        """Details of a model on disk. Costs up to 50 ms on a server of a thousand models: never one a refresh."""
        asked = f"the details of {name}"
        answer = await self._ask("POST", "/api/show", asked, {"model": str(name)})
        information = self._object(answer, "model_info", asked)
        architecture = information.get("general.architecture", "")
        if information.get(f"{architecture}.attention.head_count_kv", 0) is None:
            # One a layer, as lfm2 has them: only the long answer, with every token, has lists.
            answer = await self._ask("POST", "/api/show", asked, {"model": str(name), "verbose": True})
            information = self._object(answer, "model_info", asked)
        modelfile = str(answer.get("modelfile") or "")
        blobs = [line[5:].strip() for line in modelfile.splitlines() if line.startswith("FROM ") and line.isprintable()]
        projector = self._object(answer, "projector_info", asked)
        return ModelDetails(
            blob=blobs[0] if blobs else "",
            context_length=self._number(information, f"{architecture}.context_length", asked),
            capabilities=_texts(answer.get("capabilities")),
            parent=str(self._object(answer, "details", asked).get("parent_model") or ""),
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
            await self._ask("HEAD", f"/api/blobs/{digest}", f"blob {digest}")
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

        async with self._answering("POST", f"/api/blobs/{digest}", asked, content=chunks()):
            pass

    async def copy(self, source: ModelName, destination: ModelName) -> None:
        """Gives a model a second name; an existing destination is overwritten."""
        body = {"source": str(source), "destination": str(destination)}
        await self._ask("POST", "/api/copy", f"the copy of {source} to {destination}", body)

    async def delete(self, name: ModelName) -> None:
        """Removes a name, and the blobs that no other name uses. Does not unload: a loaded model stays in memory.

        One at a time: Ollama walks its folders after each, and fails where another one has just removed a folder.
        """
        async with self._deleting:
            await self._ask("DELETE", "/api/delete", f"the deletion of {name}", {"model": str(name)})

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
        await self._ask("POST", path, f"the load of {name}", body, has_deadline=False)

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
            self._answering("POST", "/api/generate", asked, json=body) as response,
            aclosing(self._lines(response, asked)) as lines,
        ):
            async for last in lines:
                self._status_of(last, asked)
                first = first or clock() - began
        if not last.get("done"):
            raise TransientError(asked, self.url, "the answer broke off before its end")
        return Generation(
            seconds=clock() - began,
            seconds_to_first_token=first,
            tokens=self._number(last, "eval_count", asked),
            prompt_tokens=self._number(last, "prompt_eval_count", asked),
            load_seconds=self._number(last, "load_duration", asked) / 1e9,
        )

    async def unload(self, name: ModelName) -> None:
        """Asks for a model's runner to go. The server answers at once and obeys when no request is in flight: poll."""
        body = {"model": str(name), "keep_alive": 0, "stream": False}
        await self._ask("POST", "/api/generate", f"the unload of {name}", body)

    async def _ask(
        self,
        method: str,
        path: str,
        asked: str,
        body: Mapping[str, Any] | None = None,
        *,
        has_deadline: bool = True,
    ) -> dict[str, Any]:
        deadline = ANSWER_SECONDS if has_deadline else None
        async with self._answering(method, path, asked, json=body, deadline=deadline) as response:
            return await self._json(response, asked)

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
                self._answering("POST", path, asked, json=body) as response,
                aclosing(self._lines(response, asked)) as lines,
            ):
                async for line in lines:
                    status = self._status_of(line, asked)
                    layer = (self._number(line, "completed", asked), self._number(line, "total", asked))
                    part = str(line.get("digest") or status)[:_LONGEST_WORDS]
                    before = layers.get(part)
                    if before != layer:
                        stall.reschedule(asyncio.get_running_loop().time() + self._stall_seconds)
                    layers[part] = layer
                    if len(layers) > _MOST_LAYERS:
                        raise self._not_ollama(asked, f"more than {_MOST_LAYERS:,} layers of one model")
                    completed += layer[0] - (before[0] if before else 0)
                    total += layer[1] - (before[1] if before else 0)
                    if progress:
                        progress(TransferProgress(status, completed, total))
        except TimeoutError:
            if not stall.expired():
                raise
            words = f"nothing moved for {self._stall_seconds:g} s; its last word was {self._excerpt(status)}"
            raise TransientError(asked, self.url, words) from None
        if status != "success":
            words = f"the answer ended without success; its last word was {self._excerpt(status)}"
            raise TransientError(asked, self.url, words)

    def _status_of(self, line: Mapping[str, Any], asked: str) -> str:
        if "error" in line:
            words = self._words(str(line["error"]))
            kind = TransientError if any(word in words.lower() for word in _TRANSIENT_WORDS) else RefusedError
            raise kind(asked, self.url, f"the server says: {words}")
        return str(line.get("status") or "")

    async def _lines(self, response: httpx.Response, asked: str) -> AsyncGenerator[dict[str, Any]]:
        """Each line as it comes, looked through once, in however many pieces it comes."""
        rest = bytearray()
        async with aclosing(self._pieces(response, asked)) as pieces:
            async for piece in pieces:
                *ends, beginning = piece.split(b"\n")
                for end in ends:
                    line = bytes(rest + end).strip()
                    rest.clear()
                    if line:
                        yield self._object_in(line, "a line", asked)
                rest += beginning
                if len(rest) > LONGEST_LINE:
                    raise self._not_ollama(asked, f"a line of more than {LONGEST_LINE // 2**20} MiB")
        if line := bytes(rest).strip():
            yield self._object_in(line, "a line", asked)

    async def _pieces(self, response: httpx.Response, asked: str) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(bounds.pieces(response)) as pieces:
                async for piece in pieces:
                    yield piece
        except bounds.UnboundedError as error:
            raise self._not_ollama(asked, f"an answer {error}") from None

    @asynccontextmanager
    async def _answering(
        self,
        method: str,
        path: str,
        asked: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: AsyncIterator[bytes] | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        try:
            async with (
                asyncio.timeout(deadline) as waiting,
                self._http.stream(method, path, json=json, content=content) as response,
            ):
                if not response.is_success:
                    raise await self._failure(response, asked)
                yield response
        except TimeoutError:
            if not waiting.expired():
                raise
            raise UnreachableError(asked, self.url, no_answer(f"{deadline:g} s", self.url)) from None
        except (InvalidProxyError, InvalidCertificatesError) as error:
            raise UnreachableError(asked, self.url, f"no connection: {error}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise UnreachableError(asked, self.url, self._redact(no_connection(error, self._proxy, self.url))) from None
        except httpx.HTTPError as error:
            words = f"the connection broke off: {error or type(error).__name__}{by_way_of(self._proxy, self.url)}"
            raise TransientError(asked, self.url, self._redact(words)) from None

    async def _failure(self, response: httpx.Response, asked: str) -> OllamaError:
        content = await self._body(response, asked)
        text = content.decode("utf-8", "replace")
        is_ollamas = True
        try:
            words = self._words(str(bounds.json_value(content)["error"]))
        except (ValueError, KeyError, TypeError):
            is_ollamas = not text.strip() and response.status_code == 500
            words = self._excerpt(text) if text.strip() else self._words(response.reason_phrase)
        words = f"HTTP {response.status_code}, {words}"
        if response.has_redirect_location:
            words += f": it redirects to {self._excerpt(response.headers['location'])}, and no redirect is followed"
        words += on_the_way(self._proxy, self.url, response.status_code, is_ollamas)
        if response.status_code in _WANTS_A_CREDENTIAL and self.connection.withheld:
            words += f"; it was asked without a credential: {self.connection.withheld}"
        if response.status_code == 404 and response.request.method == "GET":
            # What is asked by GET is there on every Ollama: this is not a word about a model.
            return NotOllamaError(asked, self.url, f"this does not look like Ollama: {words}")
        if response.status_code == 404:
            return NotFoundError(asked, self.url, words)
        if response.status_code in _TRANSIENT_STATUS:
            return TransientError(asked, self.url, words)
        if response.status_code == 500 and not text.strip():
            return CrashedError(asked, self.url, words)
        return RefusedError(asked, self.url, words)

    async def _body(self, response: httpx.Response, asked: str) -> bytes:
        try:
            return await bounds.body(response, self._largest_answer)
        except bounds.UnboundedError as error:
            raise self._not_ollama(asked, f"an answer {error}") from None

    async def _json(self, response: httpx.Response, asked: str) -> dict[str, Any]:
        body = await self._body(response, asked)
        return self._object_in(body or b"{}", "an answer", asked)  # a copy and a deletion are answered with nothing

    def _object_in(self, content: bytes, what: str, asked: str) -> dict[str, Any]:
        try:
            found = bounds.json_value(content)
        except bounds.UnboundedError as error:
            raise self._not_ollama(asked, f"{what} {error}: {self._excerpt_of(content)}") from None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._not_ollama(asked, f"{what} that is not a JSON object: {self._excerpt_of(content)}")
        return found

    def _object(self, answer: Mapping[str, Any], key: str, asked: str) -> dict[str, Any]:
        value = answer.get(key) or {}
        if not isinstance(value, dict):
            raise self._not_ollama(asked, f'a "{key}" that is not a JSON object')
        return value

    def _number(self, answer: Mapping[str, Any], key: str, asked: str) -> int:
        value = answer.get(key) or 0
        is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
        if not is_whole or not 0 <= value < _BEYOND_SIZES:
            found = f'a "{key}" of {self._excerpt(str(value))}, expected a whole number from 0 to 2^63'
            raise self._not_ollama(asked, found)
        return int(value)

    def _entries(self, answer: Mapping[str, Any], asked: str) -> list[dict[str, Any]]:
        entries = answer.get("models")
        if entries is None and "models" in answer:
            return []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._not_ollama(asked, 'an answer without a list of "models"')
        return entries

    def _name_of(self, entry: Mapping[str, Any]) -> ModelName:
        text = str(entry.get("model") or entry.get("name") or "")
        try:
            return ModelName.parse(text)
        except InvalidNameError as error:
            why = self._words(str(error)) if len(text) < _LONGEST_WORDS else "it is too long"
            raise self._not_ollama("the list of models", f"a model name {self._excerpt(text)}: {why}") from None

    def _text_of(self, answer: Mapping[str, Any], key: str, asked: str) -> str:
        value = answer.get(key)
        if not isinstance(value, str) or not value:
            raise self._not_ollama(asked, f'an answer without a "{key}"')
        return value

    def _words(self, text: str) -> str:
        redacted = self._redact(text)
        return redacted[:_LONGEST_WORDS] + ("..." if len(redacted) > _LONGEST_WORDS else "")

    def _excerpt_of(self, content: bytes) -> str:
        return self._excerpt(content.decode("utf-8", "replace"))

    def _excerpt(self, text: str) -> str:
        # Redacted first: a secret that is cut, or escaped, would not be found any more.
        redacted = self._redact(text).strip()
        return repr(redacted[:200]) + ("..." if len(redacted) > 200 else "")

    def _not_ollama(self, asked: str, found: str) -> NotOllamaError:
        words = f"this does not look like Ollama, it sent {found}{by_way_of(self._proxy, self.url)}"
        return NotOllamaError(asked, self.url, self._redact(words))

    def _redact(self, text: str) -> str:
        text = self.connection.redact(text)
        for secret in () if self._proxy is None else self._proxy.secrets:
            text = text.replace(secret, "***")
        return text


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


def _tls(connection: Connection) -> ssl.SSLContext | bool:
    if not connection.url.startswith("https:"):
        return False  # nothing to verify, and loading the certificate store costs 50 ms and more
    return trusting(connection.ca_file, os.environ)
