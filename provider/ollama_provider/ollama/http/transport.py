"""How requests leave this machine, directly or through a proxy, and why one did not arrive, in words."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from ollama_provider.ollama.http.certificates import require_usable
from ollama_provider.ollama.http.proxies import InvalidProxyError, Proxy, proxy_of

_ADDRESS: Final = "or correct its address (`host` where it is declared, OLLAMA_HOST, or --host of a command)"
_OF_GATEWAYS: Final = {502, 503, 504}
_REFUSALS: Final = {401, 403}  # Ollama's own in form, and a proxy's as well


class Transport(httpx.AsyncBaseTransport):
    """Each request takes the proxy that the environment names for its address, or none.

    What httpx reads of the environment by itself is not what Ollama's own client reads: networks and IPv6 in NO_PROXY.
    `verify` is asked when a request is made. Raises InvalidProxyError and InvalidCertificatesError.
    """

    def __init__(
        self, verify: Callable[[], ssl.SSLContext | bool] | bool = True, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._verify, self._environment = verify, environment
        self._by_proxy: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_of(str(request.url), self._environment)
        url = None if proxy is None else proxy.url
        if url not in self._by_proxy:
            if self._verify is True:
                require_usable(self._environment)
            verify = self._verify() if callable(self._verify) else self._verify
            self._by_proxy[url] = httpx.AsyncHTTPTransport(verify=verify, proxy=url)
        return await self._by_proxy[url].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._by_proxy.values():
            await transport.aclose()


def way(url: str) -> Proxy | None:
    """The proxy that requests to an address take; None for one that cannot be used, which each request says."""
    try:
        return proxy_of(url, os.environ)
    except InvalidProxyError:
        return None


def reason(error: Exception) -> str:
    """Why there was no connection: the system's own words, where the client's libraries hide them."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "name not found"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ssl.SSLError):
            return str(cause)
        if isinstance(cause, (TimeoutError, httpx.TimeoutException)):
            return "timeout"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return str(error) or type(error).__name__


def no_connection(error: Exception, proxy: Proxy | None, url: str) -> str:
    """What there is to say, and to do, where a server is not reached."""
    if isinstance(error, httpx.ProxyError):
        assert proxy is not None
        wants_login = str(error).startswith("407")
        answered = f"no connection: {_named(proxy)} answered in place of the server: {error}"
        return answered + (_login(proxy) if wants_login else _directly(proxy, url))
    words = reason(error)
    is_plain = not url.startswith("https:")
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return f"no connection: {words}{by_way_of(proxy, url)}"
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        if proxy is not None and is_plain:
            return f"no connection: {_named(proxy)} does not speak TLS ({words}): write it with http://"
        no_tls = f"no connection: what answers there does not speak TLS ({words}); Ollama itself is reached by http://"
        return no_tls + by_way_of(proxy, url)
    if proxy is not None:
        return f"no connection: {_named(proxy)} does not answer ({words}){_directly(proxy, url)}"
    return f"no connection: nothing answers there ({words}); start Ollama there, {_ADDRESS}"


def no_answer(within: str, url: str) -> str:
    """The same where a server took the connection, or did not refuse it, and said nothing for so long."""
    return f"no answer within {within} (timeout); restart Ollama there, {_ADDRESS}{by_way_of(way(url), url)}"


def by_way_of(proxy: Proxy | None, url: str) -> str:
    """What to say of an answer that may not be the server's own."""
    if proxy is None:
        return ""
    return f"; {_named(proxy)} is on the way and may have answered in place of the server{_directly(proxy, url)}"


def on_the_way(proxy: Proxy | None, url: str, status: int, is_ollamas: bool) -> str:
    """What to say of a failure that is, by its shape or its status, of something before the server."""
    if status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        return _login(proxy)
    is_of_proxies = status in _OF_GATEWAYS or (proxy is not None and status in _REFUSALS)
    if is_ollamas and not is_of_proxies:
        return ""
    if proxy is None and not is_ollamas and status in _OF_GATEWAYS:
        return "; a proxy or gateway before the server answered in place of it"
    return by_way_of(proxy, url)


def _login(proxy: Proxy | None) -> str:
    if proxy is None:
        return "; a proxy on the way requires a login: give it in HTTP_PROXY, or name the server in NO_PROXY"
    return f"; {_named(proxy)} requires a login: give it in {proxy.variable}, or name the server in NO_PROXY"


def _named(proxy: Proxy) -> str:
    return f"the proxy {proxy.shown} of {proxy.variable}"


def _directly(proxy: Proxy, url: str) -> str:
    host = urlsplit(url).hostname
    return f": name {host} in NO_PROXY to reach it directly, or correct {proxy.variable}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
