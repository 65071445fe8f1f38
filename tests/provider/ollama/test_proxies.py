"""Which proxy a request takes: as golang.org/x/net/http/httpproxy, which is Ollama's client, and curl have it."""

import contextlib
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_provider.ollama.http import proxies
from ollama_provider.ollama.http.proxies import InvalidProxyError, proxy_of

PROXY = {"HTTP_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://tls-proxy:3128"}


def is_direct(url: str, no_proxy: str) -> bool:
    return proxy_of(url, {**PROXY, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "http://gpu.example:11434", False),
        ("*", "http://gpu.example:11434", True),
        ("other, *", "http://10.1.2.3:11434", True),
        # networks
        ("10.0.0.0/8", "http://10.1.2.3:11434", True),
        ("10.1.2.3/8", "http://10.200.0.1:11434", True),
        ("10.0.0.0/8", "http://11.1.2.3:11434", False),
        ("10.0.0.0/8", "http://gpu.example:11434", False),
        ("10.0.0.0/8", "http://10.example:11434", False),
        ("fd00::/8", "http://gpu1.internal:11434", False),
        ("fd00::/8", "http://[fd12::7]:11434", True),
        ("[fd00::]/8", "http://[fd12::7]:11434", True),
        ("fd00::/8", "http://[fe80::7]:11434", False),
        ("fd00::/8", "http://10.1.2.3:11434", False),
        ("0.0.0.0/0", "http://10.1.2.3:11434", True),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]:11434", True),
        ("10.0.0.0/99, x/y, /, 10.0.0.0/", "http://10.1.2.3:11434", False),
        # addresses
        ("10.1.2.3", "http://10.1.2.3:11434", True),
        ("10.1.2.3:11434", "http://10.1.2.3:11434", True),
        ("10.1.2.3:80", "http://10.1.2.3:11434", False),
        ("10.1.2", "http://10.1.2.3:11434", False),
        (".2.3", "http://10.1.2.3:11434", False),
        ("fd12::7", "http://[fd12::7]:11434", True),
        ("FD12:0:0::7", "http://[fd12::7]:11434", True),
        ("[fd12::7]", "http://[fd12::7]:11434", True),
        ("[fd12::7]:11434", "http://[fd12::7]:11434", True),
        ("[fd12::7]:80", "http://[fd12::7]:11434", False),
        ("localhost,[::1]", "http://gpu1.internal:11434", False),
        # domains
        ("example", "http://gpu.example:11434", True),
        ("gpu.example", "http://gpu.example:11434", True),
        ("GPU.Example", "http://gpu.example:11434", True),
        ("gpu.example.", "http://gpu.example:11434", True),
        ("gpu.example", "http://gpu.example.:11434", True),
        (".example", "http://gpu.example:11434", True),
        ("*.example", "http://gpu.example:11434", True),
        (".gpu.example", "http://gpu.example:11434", False),
        ("*.gpu.example", "http://gpu.example:11434", False),
        ("pu.example", "http://gpu.example:11434", False),
        ("gpu.example:11434", "http://gpu.example:11434", True),
        ("gpu.example:80", "http://gpu.example:11434", False),
        ("gpu.example:80", "http://gpu.example", True),
        ("gpu.example:443", "https://gpu.example", True),
        (".example:11434", "http://gpu.example:11434", True),
        ("a b gpu.example", "http://gpu.example:11434", True),
        ("a,,\tgpu.example ,", "http://gpu.example:11434", True),
        (".", "http://gpu.example:11434", False),
        ("[", "http://gpu.example:11434", False),
        ("[]:1,:1,::,:", "http://gpu.example:11434", False),
        # this machine, whatever is listed
        ("", "http://localhost:11434", True),
        ("", "http://127.0.0.2:11434", True),
        ("", "http://[::1]:11434", True),
        ("", "http://[::ffff:127.0.0.1]:11434", True),
        ("", "http://localhost.example:11434", False),
    ],
)
def test_no_proxy(no_proxy: str, url: str, direct: bool) -> None:
    assert is_direct(url, no_proxy) is direct


@pytest.mark.parametrize(
    ("environment", "url", "variable", "proxy"),
    [
        ({}, "http://gpu:1", None, None),
        ({"NO_PROXY": "[::1"}, "http://gpu:1", None, None),
        ({"HTTP_PROXY": ""}, "http://gpu:1", None, None),
        (PROXY, "http://gpu:1", "HTTP_PROXY", "http://proxy:3128"),
        (PROXY, "https://gpu:1", "HTTPS_PROXY", "http://tls-proxy:3128"),
        ({"HTTP_PROXY": "proxy:3128"}, "http://gpu:1", "HTTP_PROXY", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy"}, "https://gpu:1", None, None),
        ({"ALL_PROXY": "http://all:1"}, "https://gpu:1", "ALL_PROXY", "http://all:1"),
        ({"ALL_PROXY": "http://all:1", **PROXY}, "http://gpu:1", "HTTP_PROXY", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:1"}, "http://gpu:1", "http_proxy", "http://b:1"),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://a:1"}, "http://gpu:1", "HTTP_PROXY", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "no_proxy": "gpu", "NO_PROXY": ""}, "http://gpu:1", None, None),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http://gpu:1", None, None),
        ({"HTTP_PROXY": "http://[fd12::1]:3128"}, "http://gpu:1", "HTTP_PROXY", "http://[fd12::1]:3128"),
        ({"HTTP_PROXY": "http://me:hunter2@a:1"}, "http://gpu:1", "HTTP_PROXY", "http://me:hunter2@a:1"),
    ],
)
def test_the_variables(environment: dict[str, str], url: str, variable: str | None, proxy: str | None) -> None:
    found = proxy_of(url, environment)
    assert (found and found.variable, found and found.url) == (variable, proxy)
    assert "hunter2" not in f"{found!r} {found and found.shown}"


@pytest.mark.parametrize(
    "value",
    ["http://", "http://a:port", "http://a:0", "ftp://a:1", "http://[::1", "http://a b:1", "::"],
)
def test_a_proxy_that_is_none_is_one_sentence_that_repeats_nothing(value: str) -> None:
    with pytest.raises(InvalidProxyError) as invalid:
        proxy_of("http://gpu:1", {"HTTP_PROXY": value})
    words = "HTTP_PROXY is not valid, expected http://HOST:PORT: fix it, or name gpu in NO_PROXY"
    assert str(invalid.value) == words
    assert proxy_of("http://gpu:1", {"HTTP_PROXY": value, "NO_PROXY": "gpu"}) is None


def test_socks_is_one_sentence_where_nothing_speaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"ALL_PROXY": "socks5h://me:hunter2@127.0.0.1:1080"}
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(InvalidProxyError) as invalid:
        proxy_of("http://gpu:1", environment)
    assert str(invalid.value) == (
        "ALL_PROXY names the SOCKS proxy socks5h://127.0.0.1:1080, and this Python has no package socksio to speak "
        "SOCKS: install it, or name gpu in NO_PROXY"
    )
    monkeypatch.setattr(proxies, "find_spec", lambda _: object())
    found = proxy_of("http://gpu:1", environment)
    assert found is not None
    assert found.url == environment["ALL_PROXY"]


TEXTS: Any = st.text(st.sampled_from("ab1:[]/@.*,- %#?\x00é"), max_size=12)


@given(TEXTS, TEXTS, st.sampled_from(["http://gpu.example:1", "http://10.0.0.1:1", "http://[fd00::1]:1"]))
def test_whatever_the_variables_say_is_a_proxy_that_can_be_used_or_one_error(
    proxy: str, excepted: str, url: str
) -> None:
    for prefix in ("", "http://"):
        with contextlib.suppress(InvalidProxyError):
            if found := proxy_of(url, {"HTTP_PROXY": prefix + proxy, "NO_PROXY": excepted}):
                httpx.AsyncHTTPTransport(verify=False, proxy=found.url)
