"""A proxy that answers in the server's place, or not at all, is named with its variable, and NO_PROXY is obeyed."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import NotOllamaError, OllamaError, RefusedError, TransientError, UnreachableError
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.registry_header import registry_model
from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, Fault, html, status

SECRET = "hunter2-and-more"
SERVER = "http://gpu.example:11434"
ASKED = ("GET", f"{SERVER}/api/version")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllamaWithFaults]:
    """A fake that is asked as a proxy: each path is a whole address."""
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    monkeypatch.setattr(Exchange, "do_CONNECT", Exchange.handle_request, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with FakeOllamaWithFaults() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", f"//me:{SECRET}@"))
        yield proxy


def version(url: str) -> str:
    async def ask() -> str:
        async with Ollama(Connection(url)) as client:
            return await client.version()

    return asyncio.run(ask())


def failure(url: str) -> OllamaError:
    with pytest.raises(OllamaError) as failed:
        version(url)
    assert SECRET not in str(failed.value)
    return failed.value


def echo(exchange: Exchange) -> None:
    exchange.send(502, f"<html>not for {exchange.headers['Proxy-Authorization']}".encode())


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (html(503), TransientError, "HTTP 503, '<!DOCTYPE html>"),
        (html(403), OllamaError, "HTTP 403, '<!DOCTYPE html>"),
        (html(404), NotOllamaError, "HTTP 404, '<!DOCTYPE html>"),
        (html(200), NotOllamaError, "this does not look like Ollama"),
        (status(503, {"error": "no upstream"}), TransientError, "HTTP 503, no upstream"),
        (status(403, {"error": "blocked by policy"}), RefusedError, "HTTP 403, blocked by policy"),
        (Exchange.cut, TransientError, "the connection broke off"),
        (echo, TransientError, "HTTP 502, '<html>not for Basic ***'"),
    ],
)
def test_a_proxy_that_may_have_answered_is_named(
    proxy: FakeOllamaWithFaults, fault: Fault, kind: type[OllamaError], words: str
) -> None:
    proxy.answer(*ASKED, fault)
    error = failure(SERVER)
    assert isinstance(error, kind)
    assert words in error.words
    assert error.words.endswith(
        f"; the proxy {proxy.url} of HTTP_PROXY is on the way and may have answered in place of the server: name "
        "gpu.example in NO_PROXY to reach it directly, or correct HTTP_PROXY"
    )


def test_what_ollama_says_through_a_proxy_is_ollamas(proxy: FakeOllamaWithFaults) -> None:
    proxy.answer(*ASKED, status(200, {"version": "0.34.3"}))
    assert version(SERVER) == "0.34.3"
    proxy.answer(*ASKED, status(400, {"error": "invalid model name"}))
    assert failure(SERVER).words == "HTTP 400, invalid model name"


def test_a_login_that_a_proxy_wants(proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    cure = f"; the proxy {proxy.url} of %s requires a login: give it in %s, or name the server in NO_PROXY"
    proxy.answer(*ASKED, html(407))
    assert failure(SERVER).words.endswith(cure % ("HTTP_PROXY", "HTTP_PROXY"))
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    proxy.answer("CONNECT", "gpu.example:443", html(407))
    error = failure("https://gpu.example")
    assert error.words.startswith(
        f"no connection: the proxy {proxy.url} of ALL_PROXY answered in place of the server: 407"
    )
    assert error.words.endswith(cure % ("ALL_PROXY", "ALL_PROXY"))


def test_a_tunnel_that_a_proxy_refuses(proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    proxy.answer("CONNECT", "gpu.example:443", html(503))
    error = failure("https://gpu.example")
    assert isinstance(error, UnreachableError)
    assert error.words == (
        f"no connection: the proxy {proxy.url} of https_proxy answered in place of the server: 503 Service "
        "Unavailable: name gpu.example in NO_PROXY to reach it directly, or correct https_proxy"
    )


def test_a_proxy_that_speaks_no_tls_is_told_from_a_server_that_does_not(
    proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = proxy.url.replace("http:", "https:")
    monkeypatch.setenv("HTTP_PROXY", secure)
    words = failure(SERVER).words
    assert words.startswith(f"no connection: the proxy {secure} of HTTP_PROXY does not speak TLS (")
    assert words.endswith(": write it with http://")


def test_a_proxy_that_breaks_a_connection_open_is_named(
    proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.answer("CONNECT", "gpu.example:443", status(200, {}))
    words = failure("https://gpu.example").words
    assert words.startswith("no connection: ")
    assert f"; the proxy {proxy.url} of HTTPS_PROXY is on the way" in words


def test_a_proxy_that_is_not_there(proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@{nobody}")
    assert failure(SERVER).words == (
        f"no connection: the proxy http://{nobody} of HTTP_PROXY does not answer (connection refused): name "
        "gpu.example in NO_PROXY to reach it directly, or correct HTTP_PROXY"
    )


@pytest.mark.parametrize("excepted", ["10.0.0.0/8,fd00::/8", "[::1], gpu.example", "*"])
def test_what_is_excepted_is_dialled(
    proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    dialled: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> None:
        dialled.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("NO_PROXY", excepted)
    if "gpu" in excepted or excepted == "*":
        assert "nothing answers there (name not found)" in failure(SERVER).words
        assert proxy.requests == []
        assert [str(host).strip("b'") for host in dialled] == ["gpu.example"]
    else:
        proxy.answer(*ASKED, status(200, {"version": "0.34.3"}))
        assert version(SERVER) == "0.34.3"


@pytest.mark.parametrize("excepted", ["fd00::/8", "localhost,[::1]", "[", "a/b"])
def test_without_a_proxy_no_exception_is_read(
    proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch, excepted: str
) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert "nothing answers there (name not found)" in failure("http://gpu1.internal.invalid:11434").words


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks5h://127.0.0.1:1080"), ("ALL_PROXY", "socks4://x:1080"), ("HTTP_PROXY", "ftp://x")],
)
def test_a_proxy_that_cannot_be_used_is_one_sentence(
    proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("ollama_provider.ollama.http.proxies.find_spec", lambda _: None)
    error = failure(SERVER)
    assert isinstance(error, UnreachableError)
    assert error.words.startswith(f"no connection: {variable} ")
    assert error.words.endswith(" or name gpu.example in NO_PROXY")


def test_a_registry_is_reached_the_same_way(proxy: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    from ollama_provider.ollama.http.transport import Transport

    name = ModelName.parse("registry.example/library/x")

    def asked() -> str:
        async def ask() -> None:
            async with httpx.AsyncClient(transport=Transport(verify=False), trust_env=False) as client:
                await registry_model(name, client, insecure=True)

        with pytest.raises(OllamaError) as failed:
            asyncio.run(ask())
        assert SECRET not in str(failed.value)
        return failed.value.words

    proxy.answer("GET", "http://registry.example/v2/library/x/manifests/latest", html(503))
    assert asked().startswith(f"HTTP 503; the proxy {proxy.url} of HTTP_PROXY is on the way")
    monkeypatch.setenv("NO_PROXY", ".example")
    assert asked() == "name not found"
