"""The header of a model's GGUF out of its registry, by a manifest and ranges: some MiB in place of all of the model.

The addresses and the media type are those that Ollama pulls by (server/images.go, server/download.go of 0.17.4).
Registries that want a token are not asked: a public model is there without.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ollama_provider.ollama.errors import NotFoundError, OllamaError, RefusedError, UnreachableError
from ollama_provider.ollama.gguf_header import GgufHeader, TruncatedGgufError, read_header
from ollama_provider.ollama.http import bounds
from ollama_provider.ollama.http.certificates import InvalidCertificatesError
from ollama_provider.ollama.http.proxies import InvalidProxyError
from ollama_provider.ollama.http.transport import no_connection, on_the_way, reason, way
from ollama_provider.ollama.names import ModelName

_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_MANIFEST = 2**22
_FIRST_RANGE, _LARGEST_HEADER = 2**20, 2**26  # the largest vocabularies take some 16 MiB


@dataclass(frozen=True)
class RegistryModel:
    """`size` is of the whole GGUF, in bytes; `beginning` is what was asked for of it, with all of the header."""

    header: GgufHeader
    size: int
    beginning: bytes = field(default=b"", repr=False, compare=False)


async def registry_model(name: ModelName, client: httpx.AsyncClient, *, insecure: bool = False) -> RegistryModel:
    """What the registry holds under `name`; the client's own timeouts are the deadlines. Raises OllamaError."""
    base = f"{'http' if insecure else 'https'}://{name.registry}/v2/{name.namespace}/{name.model}"
    asked, server = f"reading what {name} is made of", name.registry
    try:
        manifest = await _manifest(client, f"{base}/manifests/{name.tag}")
        layer = next((one for one in _layers(manifest) if one.get("mediaType") == _MODEL_LAYER), None)
        if layer is None:
            raise RefusedError(asked, server, "its manifest names no GGUF")
        digest, size = layer.get("digest"), layer.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
            raise RefusedError(asked, server, f"its manifest has a layer {digest!r} of {size!r} bytes")
        header, beginning = await _header(client, f"{base}/blobs/{digest}", size)
        return RegistryModel(header, size, beginning)
    except httpx.HTTPStatusError as error:
        kind: type[OllamaError] = NotFoundError if error.response.status_code == 404 else RefusedError
        url, status = str(error.request.url), error.response.status_code
        words = f"HTTP {status}{on_the_way(way(url), url, status, is_ollamas=True)}"
        raise kind(asked, server, words) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        by = way(base)
        raise UnreachableError(asked, server, reason(error) if by is None else no_connection(error, by, base)) from None
    except (httpx.HTTPError, httpx.InvalidURL, InvalidProxyError, InvalidCertificatesError) as error:
        raise UnreachableError(asked, server, str(error) or type(error).__name__) from None
    except bounds.UnboundedError as error:
        raise RefusedError(asked, server, f"what it answers is not a model: it sent an answer {error}") from None
    except ValueError as error:
        raise RefusedError(asked, server, f"what it answers is not a model: {error}") from None


async def _manifest(client: httpx.AsyncClient, url: str) -> object:
    content = await _get(client, url, {"Accept": _MANIFEST_TYPE}, _LARGEST_MANIFEST)
    return bounds.json_value(content)


def _layers(manifest: object) -> list[Mapping[str, Any]]:
    found = manifest.get("layers") if isinstance(manifest, dict) else None
    return [layer for layer in found if isinstance(layer, dict)] if isinstance(found, list) else []


async def _header(client: httpx.AsyncClient, url: str, size: int) -> tuple[GgufHeader, bytes]:
    """Asks for twice as much each time, and only for what is not there yet."""
    content, wanted = b"", _FIRST_RANGE
    while True:
        last = min(wanted, size) - 1
        content += await _get(client, url, {"Range": f"bytes={len(content)}-{last}"}, last + 1 - len(content))
        try:
            return read_header(io.BytesIO(content)), content
        except TruncatedGgufError:
            if len(content) < last + 1 or wanted >= min(size, _LARGEST_HEADER):
                raise
        wanted *= 2


async def _get(client: httpx.AsyncClient, url: str, headers: Mapping[str, str], most: int) -> bytes:
    """At most `most` bytes of the answer; where a range was asked for, an answer with something else is an error."""
    content = bytearray()
    async with client.stream("GET", url, headers={**bounds.ASKED_FOR, **headers}, follow_redirects=True) as answer:
        answer.raise_for_status()
        if "Range" in headers and answer.status_code != httpx.codes.PARTIAL_CONTENT:
            raise httpx.HTTPStatusError("no range", request=answer.request, response=answer)
        async for piece in bounds.pieces(answer):
            content += piece
            if len(content) >= most:
                break
    return bytes(content[:most])
