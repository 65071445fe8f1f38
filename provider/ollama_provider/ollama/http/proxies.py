"""Which proxy a request takes, by the variables of the environment, read as Go's and curl's clients read them.

HTTP_PROXY and HTTPS_PROXY by the scheme of the request, else ALL_PROXY (curl's); in small letters first, as curl does.
What NO_PROXY lists is reached directly, as golang.org/x/net/http/httpproxy has it, which is Ollama's own client, and
lib/noproxy.c of curl. This machine is always reached directly, as Ollama's client does it.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")
_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_OLD_SOCKS: Final = ("socks4", "socks4a")
_MAPPED_BITS: Final = 96  # what an IPv4 network has before its own, where it is written in IPv6


class InvalidProxyError(ValueError):
    """A variable that names no proxy which can be used; the message says which, and repeats no password."""


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it. `url` has the login, `shown` has none."""

    url: str = field(repr=False)
    variable: str
    shown: str

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may repeat: the password, and the login as it is sent."""
        split = urlsplit(self.url)
        if not split.password:
            return ()
        user, password = unquote(split.username or ""), unquote(split.password)
        return b64encode(f"{user}:{password}".encode()).decode(), password, split.password


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine for certain."""
    host = urlsplit(url).hostname or ""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def proxy_of(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy of a request, or None where it goes directly. Raises InvalidProxyError."""
    split = urlsplit(url)
    scheme, host = split.scheme, (split.hostname or "").rstrip(".")
    if is_loopback(url):
        return None
    for variable in (f"{scheme}_proxy", "all_proxy"):
        found, value = _variable(variable, environment)
        if value:
            _, exceptions = _variable("no_proxy", environment)
            if _is_excepted(host, split.port or _PORTS.get(scheme, 0), exceptions):
                return None
            return _proxy(found, value, host)
    return None


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """A variable's name as it is written, and its value. Of two that say the same, the one in capitals."""
    small, capital = environment.get(name, "").strip(), environment.get(name.upper(), "").strip()
    if name == "http_proxy" and "REQUEST_METHOD" in environment:
        capital = ""  # of a CGI program HTTP_PROXY is a header of whoever calls it
    return (name, small) if small and small != capital else (name.upper(), capital)


def _proxy(variable: str, value: str, host: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        split = urlsplit(url)
        is_socks4 = split.scheme.lower() in _OLD_SOCKS
        is_known = is_socks4 or split.scheme.lower() in _SCHEMES
        is_valid = is_known and (split.port is None or split.port > 0)
    except ValueError:
        is_valid = False
    if not is_valid or not re.fullmatch(r"[!-~]+", value) or not _HOST.fullmatch(split.hostname or ""):
        raise InvalidProxyError(
            f"{variable} is not valid, expected http://HOST:PORT: fix it, or name {host} in NO_PROXY"
        )
    if is_socks4:
        raise InvalidProxyError(
            f"{variable} names a SOCKS proxy of version 4, expected http://HOST:PORT or socks5://HOST:PORT: fix it, or "
            f"name {host} in NO_PROXY"
        )
    shown = f"{split.scheme}://{split.netloc.rpartition('@')[2]}"
    if split.scheme.lower().startswith("socks") and find_spec("socksio") is None:
        raise InvalidProxyError(
            f"{variable} names the SOCKS proxy {shown}, and this Python has no package socksio to speak SOCKS: "
            f"install it, or name {host} in NO_PROXY"
        )
    return Proxy(url, variable, shown)


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Whether NO_PROXY lists a host: `*`, a network, or an address or a domain, each with a port or without.

    `example.com` and its subdomains are meant by `example.com`, the subdomains alone by `.example.com` and
    `*.example.com`.
    """
    address = _address(host)
    for entry in filter(None, re.split(r"[,\s]+", exceptions.lower())):
        if entry == "*":
            return True
        if "/" in entry:
            if address is not None and _is_in(address, entry):
                return True
            continue
        name, entry_port = _split(entry)
        if entry_port and entry_port != str(port):
            continue
        if address is not None:
            if _address(name) == address:
                return True
        elif _is_of_domain(host, name.removeprefix("*") if name.startswith("*.") else name):
            return True
    return False


def _split(entry: str) -> tuple[str, str]:
    """Host and port of `host`, `host:port`, `::1`, `[::1]` and `[::1]:port`."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = entry.partition(":")
    return (name, port) if entry.count(":") == 1 else (entry, "")


def _is_of_domain(host: str, name: str) -> bool:
    name = name.rstrip(".")
    if name.startswith("."):
        return len(name) > 1 and host.endswith(name)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_in(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        found = ip_network(network.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= _MAPPED_BITS:
        return address in ip_network((mapped, found.prefixlen - _MAPPED_BITS))
    return address in found


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; of an IPv4 one that is written in IPv6 the IPv4 one, as Go compares them."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
