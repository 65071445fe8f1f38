"""How the provider reaches servers: from an engine's configuration, else from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_provider.model import InvalidDeclarationError, Problem
from ollama_provider.ollama.answers import HOST_VARIABLE, TOKEN_VARIABLE, Connection, is_header_value
from ollama_provider.ollama.http.certificates import InvalidCertificatesError, holds_certificates, require_usable
from ollama_provider.ollama.names import InvalidServerError, server_key, server_url
from ollama_provider.ollama.sizes import bytes_of

MEMORY_CHECKS = ("warn", "error", "off")


@dataclass(frozen=True)
class ProviderSettings:
    """A provider's configuration, with the secrets out of every repr."""

    host: str
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    memory_bytes: int | None = None
    memory_check: str = "warn"

    @classmethod
    def read(cls, configuration: Mapping[str, Any], environment: Mapping[str, str]) -> "ProviderSettings":
        """From `host`, `token`, `headers`, `ca_file`, `memory` and `memory_check`, else from the environment.

        Raises InvalidDeclarationError, whose texts repeat no secret.
        """
        headers = configuration.get("headers") or {}
        ca_file = configuration.get("ca_file") or None
        token = configuration.get("token") or environment.get(TOKEN_VARIABLE) or None
        problems = []
        if token is not None and not _is_header(("Authorization", token)):
            source = "token" if configuration.get("token") else TOKEN_VARIABLE
            problems.append(Problem((source,), "something else", "a one-line text of ASCII characters"))
        if not isinstance(headers, Mapping) or not all(_is_header(item) for item in headers.items()):
            problems.append(Problem(("headers",), "something else", "a map of header names to one-line ASCII texts"))
        if ca_file and not holds_certificates(ca_file):
            problems.append(Problem(("ca_file",), f"{ca_file!r}", "a file with the certificates of an authority"))
        host = configuration.get("host") or environment.get(HOST_VARIABLE, "")
        try:
            if server_url(host).startswith("https:") and not ca_file:
                require_usable(environment)
        except InvalidCertificatesError as error:
            problems.append(Problem((error.variable,), f"{error.named!r}", error.expected))
        except InvalidServerError as error:
            source = "host" if configuration.get("host") else HOST_VARIABLE
            expected = f"an address as in OLLAMA_HOST; {error}"
            problems.append(Problem((source,), "an address that cannot be used", expected))
        memory, memory_check = configuration.get("memory"), configuration.get("memory_check") or MEMORY_CHECKS[0]
        memory_bytes = bytes_of(str(memory).strip()) if memory else None
        if memory and not memory_bytes:
            problems.append(Problem(("memory",), f"{memory!r}", 'an amount of memory such as "64GiB"'))
        if memory_check not in MEMORY_CHECKS:
            problems.append(Problem(("memory_check",), f"{memory_check!r}", f"one of {', '.join(MEMORY_CHECKS)}"))
        if problems:
            raise InvalidDeclarationError(problems)
        return cls(host, token, dict(headers), ca_file, memory_bytes, memory_check)

    def connection(self, resource_host: str | None) -> Connection:
        """The connection to a resource's own host, or to the provider's.

        The token and the headers are for the server that the provider is configured for, and go to no other.
        """
        own = server_url(self.host)
        url = server_url(resource_host) if resource_host else own
        if server_key(url) == server_key(own) or not (self.token or self.headers):
            return Connection(url, self.token, self.headers, self.ca_file)
        why = f"the provider's token and headers go only to its own server, {own}"
        return Connection(url, ca_file=self.ca_file, withheld=why)


def _is_header(item: tuple[object, object]) -> bool:
    name, value = item
    is_name = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) is not None
    return is_name and isinstance(value, str) and is_header_value(value)
