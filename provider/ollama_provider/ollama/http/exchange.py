"""One exchange with Ollama over HTTP: a request with its deadline, a bounded answer, one exception a kind of failure.

No text of an exception repeats a credential.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import httpx

from ollama_provider.ollama.answers import Connection
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
from ollama_provider.ollama.http.proxies import InvalidProxyError
from ollama_provider.ollama.http.transport import Transport, by_way_of, no_answer, no_connection, on_the_way, way
from ollama_provider.ollama.names import InvalidNameError, ModelName

ANSWER_SECONDS = 30.0
CONNECT_SECONDS = 5.0
LONGEST_LINE = 2**20
LONGEST_WORDS = 2000  # of a failure: an error of llama-server may be some lines
_BEYOND_SIZES = 2**63  # what Ollama counts in, an int64 of Go, ends before it
_WANTS_A_CREDENTIAL = {401, 403}
_TRANSIENT_STATUS = {429, 502, 503, 504}


class Exchange:
    """Requests to one server and what is read of its answers. `asked` is what a request is for, in words."""

    def __init__(self, connection: Connection, largest_answer: int) -> None:
        self.url = connection.url
        self._connection = connection
        self._largest_answer = largest_answer
        headers = {**bounds.ASKED_FOR, **connection.headers}
        if connection.token:
            headers["Authorization"] = f"Bearer {connection.token}"
        self._client = httpx.AsyncClient(
            base_url=connection.url,
            headers=headers,
            transport=Transport(partial(_tls, connection)),
            trust_env=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        )
        self._proxy = way(connection.url)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        asked: str,
        body: Mapping[str, Any] | None = None,
        *,
        has_deadline: bool = True,
    ) -> dict[str, Any]:
        deadline = ANSWER_SECONDS if has_deadline else None
        async with self.answering(method, path, asked, json=body, deadline=deadline) as response:
            return await self.json(response, asked)

    async def lines(self, response: httpx.Response, asked: str) -> AsyncGenerator[dict[str, Any]]:
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
                    raise self.not_ollama(asked, f"a line of more than {LONGEST_LINE // 2**20} MiB")
        if line := bytes(rest).strip():
            yield self._object_in(line, "a line", asked)

    async def _pieces(self, response: httpx.Response, asked: str) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(bounds.pieces(response)) as pieces:
                async for piece in pieces:
                    yield piece
        except bounds.UnboundedError as error:
            raise self.not_ollama(asked, f"an answer {error}") from None

    @asynccontextmanager
    async def answering(
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
                self._client.stream(method, path, json=json, content=content) as response,
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
            raise UnreachableError(asked, self.url, self.redact(no_connection(error, self._proxy, self.url))) from None
        except httpx.HTTPError as error:
            words = f"the connection broke off: {error or type(error).__name__}{by_way_of(self._proxy, self.url)}"
            raise TransientError(asked, self.url, self.redact(words)) from None

    async def _failure(self, response: httpx.Response, asked: str) -> OllamaError:
        content = await self._body(response, asked)
        text = content.decode("utf-8", "replace")
        is_ollamas = True
        try:
            words = self.words(str(bounds.json_value(content)["error"]))
        except (ValueError, KeyError, TypeError):
            is_ollamas = not text.strip() and response.status_code == 500
            words = self.excerpt(text) if text.strip() else self.words(response.reason_phrase)
        words = f"HTTP {response.status_code}, {words}"
        if response.has_redirect_location:
            words += f": it redirects to {self.excerpt(response.headers['location'])}, and no redirect is followed"
        words += on_the_way(self._proxy, self.url, response.status_code, is_ollamas)
        if response.status_code in _WANTS_A_CREDENTIAL and self._connection.withheld:
            words += f"; it was asked without a credential: {self._connection.withheld}"
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
            raise self.not_ollama(asked, f"an answer {error}") from None

    async def json(self, response: httpx.Response, asked: str) -> dict[str, Any]:
        body = await self._body(response, asked)
        return self._object_in(body or b"{}", "an answer", asked)  # a copy and a deletion are answered with nothing

    def _object_in(self, content: bytes, what: str, asked: str) -> dict[str, Any]:
        try:
            found = bounds.json_value(content)
        except bounds.UnboundedError as error:
            raise self.not_ollama(asked, f"{what} {error}: {self._excerpt_of(content)}") from None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self.not_ollama(asked, f"{what} that is not a JSON object: {self._excerpt_of(content)}")
        return found

    def object_of(self, answer: Mapping[str, Any], key: str, asked: str) -> dict[str, Any]:
        value = answer.get(key) or {}
        if not isinstance(value, dict):
            raise self.not_ollama(asked, f'a "{key}" that is not a JSON object')
        return value

    def number_of(self, answer: Mapping[str, Any], key: str, asked: str) -> int:
        value = answer.get(key) or 0
        is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
        if not is_whole or not 0 <= value < _BEYOND_SIZES:
            found = f'a "{key}" of {self.excerpt(str(value))}, expected a whole number from 0 to 2^63'
            raise self.not_ollama(asked, found)
        return int(value)

    def entries_of(self, answer: Mapping[str, Any], asked: str) -> list[dict[str, Any]]:
        entries = answer.get("models")
        if entries is None and "models" in answer:
            return []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.not_ollama(asked, 'an answer without a list of "models"')
        return entries

    def name_of(self, entry: Mapping[str, Any]) -> ModelName:
        text = str(entry.get("model") or entry.get("name") or "")
        try:
            return ModelName.parse(text)
        except InvalidNameError as error:
            why = self.words(str(error)) if len(text) < LONGEST_WORDS else "it is too long"
            raise self.not_ollama("the list of models", f"a model name {self.excerpt(text)}: {why}") from None

    def text_of(self, answer: Mapping[str, Any], key: str, asked: str) -> str:
        value = answer.get(key)
        if not isinstance(value, str) or not value:
            raise self.not_ollama(asked, f'an answer without a "{key}"')
        return value

    def words(self, text: str) -> str:
        redacted = self.redact(text)
        return redacted[:LONGEST_WORDS] + ("..." if len(redacted) > LONGEST_WORDS else "")

    def _excerpt_of(self, content: bytes) -> str:
        return self.excerpt(content.decode("utf-8", "replace"))

    def excerpt(self, text: str) -> str:
        # Redacted first: a secret that is cut, or escaped, would not be found any more.
        redacted = self.redact(text).strip()
        return repr(redacted[:200]) + ("..." if len(redacted) > 200 else "")

    def not_ollama(self, asked: str, found: str) -> NotOllamaError:
        words = f"this does not look like Ollama, it sent {found}{by_way_of(self._proxy, self.url)}"
        return NotOllamaError(asked, self.url, self.redact(words))

    def redact(self, text: str) -> str:
        text = self._connection.redact(text)
        for secret in () if self._proxy is None else self._proxy.secrets:
            text = text.replace(secret, "***")
        return text


def _tls(connection: Connection) -> ssl.SSLContext | bool:
    if not connection.url.startswith("https:"):
        return False  # nothing to verify, and loading the certificate store costs 50 ms and more
    return trusting(connection.ca_file, os.environ)
