"""Which servers are meant, and how each is reached: from the command line, a file, a DNS name and the environment."""

# pathlib costs the start 5 ms.
# ruff: noqa: PTH110, PTH111

import netrc
import os
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from ollama_policy.errors import CannotLookError
from ollama_policy.text.escaping import shown
from ollama_policy.text.named_files import read_named
from ollama_provider.ollama.answers import HOST_VARIABLE, TOKEN_VARIABLE, Connection, is_header_value
from ollama_provider.ollama.names import InvalidServerError, server_url

_SHOWN = 3


def given(hosts: Sequence[str], hosts_file: str | None, names: Sequence[str], seconds: float = 10.0) -> list[str]:
    """The servers' URLs, each once, in the order that they were given in. Raises CannotLookError.

    `seconds` is how long a DNS name may take.
    """
    urls = [_url(host, "--host") for host in hosts]
    if hosts_file is not None:
        urls += _in_file(hosts_file)
    for name in names:
        urls += _behind(name, seconds)
    return list(dict.fromkeys(urls))


def by_environment() -> str:
    """The server that the providers mean where nobody says which. Raises CannotLookError."""
    return _url(os.environ.get(HOST_VARIABLE, ""), HOST_VARIABLE)


def _url(text: str, where: str) -> str:
    try:
        return server_url(text)
    except InvalidServerError as error:
        raise CannotLookError(f"{where} is not an address of a server: {error}") from None


def _in_file(path: str) -> Iterator[str]:
    try:
        for number, line in enumerate(read_named(path).decode("utf-8").splitlines(), 1):
            text = line.partition("#")[0].strip()
            if text:
                yield _url(text, f"{path}, line {number},")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotLookError(f"cannot read {path}: {reason}") from None


def _behind(text: str, seconds: float) -> list[str]:
    """A server at each address that a DNS name stands for, as a headless service of Kubernetes does."""
    url = urlsplit(_url(text, "--fleet"))
    addresses: list[str] = []
    problems = [f"no answer from DNS within {seconds:g} s"]

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            problems[0] = getattr(error, "strerror", None) or str(error)
        else:
            addresses.extend(sorted({str(address[0]) for *_, address in found}))

    # getaddrinfo has no deadline, and lets no Ctrl-C through.
    resolving = threading.Thread(target=resolve, daemon=True)
    resolving.start()
    resolving.join(seconds)
    if not addresses:
        raise CannotLookError(f"--fleet {text}: {problems[0]}")
    return [_url(f"{url.scheme}://{_bracketed(one)}:{url.port}{url.path}", "--fleet") for one in addresses]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class Tokens:
    """What each server is told as a bearer token: its machine's password of a netrc, else OLLAMA_API_KEY.

    It goes to servers that a person named, by an option or by OLLAMA_HOST, and never to one that only a checked file
    names: whoever writes the file would be told it. A netrc names machines, and neither their ports nor whether they
    are asked in plain text, and its `default` names none.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Raises CannotLookError for a netrc that is none."""
        self._key = environment.get(TOKEN_VARIABLE) or None
        if self._key is not None and not is_header_value(self._key):
            raise CannotLookError(f"{TOKEN_VARIABLE} is not a token: expected one line of ASCII characters")
        named = environment.get("NETRC")
        path = named or os.path.expanduser("~/.netrc")
        self._machines: netrc.netrc | None = None
        if named or os.path.exists(path):
            self._machines = _netrc(path)
        self._by_environment = environment.get(HOST_VARIABLE) or None

    def connection(self, url: str, is_given: bool, ca_file: str | None) -> Connection:
        """How a server is reached, with its credential where a person named it."""
        token = self._of(url)
        if token is None or is_given or self._is_environments(url):
            return Connection(url, token, ca_file=ca_file)
        return Connection(url, ca_file=ca_file, withheld="only a checked file names this server")

    def _of(self, url: str) -> str | None:
        entry = self._machines.authenticators(urlsplit(url).hostname or "") if self._machines is not None else None
        return entry[2] if entry is not None and entry[2] and is_header_value(entry[2]) else self._key

    def _is_environments(self, url: str) -> bool:
        try:
            return self._by_environment is not None and server_url(self._by_environment) == url
        except InvalidServerError:
            return False


def tell_withheld(connections: Iterable[Connection]) -> None:
    """Says on standard error which servers were asked without a credential that there is."""
    without = [shown(one.url) for one in connections if one.withheld]
    if without:
        more = f" and {len(without) - _SHOWN} more" if len(without) > _SHOWN else ""
        sys.stderr.write(
            f"note: only a checked file names {', '.join(without[:_SHOWN])}{more}: asked without OLLAMA_API_KEY and "
            "without a netrc's password, which --host sends\n"
        )


def _netrc(path: str) -> netrc.netrc:
    try:
        read_named(path)  # which refuses what would make this wait
        return netrc.netrc(path)
    except netrc.NetrcParseError as error:
        # Its words may repeat a password.
        raise CannotLookError(f"{path}, line {error.lineno}: it is not a netrc") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotLookError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
