"""Servers that mean harm, or are none: each costs its own deadline, is told in one line, and the rest is reported."""

import contextlib
import gzip
import json
import os
import pty
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from ollama_policy.commands.drift.command import run
from ollama_policy.commands.drift.session import Request
from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, Fault, half_json, html, status, tag
from tests.policies.conftest import Command
from tests.promptness import assert_took_less

pytestmark = pytest.mark.slow

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeOllamaWithFaults, FakeOllamaWithFaults]]:
    """One that is made to misbehave, and one that stays well."""
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    with FakeOllamaWithFaults() as bad, FakeOllamaWithFaults() as good:
        good.tags = bad.tags = [tag("chat:latest")]
        yield bad, good


@pytest.fixture
def declared(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tree))
    (tree / "models.yaml").write_text("- name: chat\n  memory_management: automatic\n")
    return tree


def gigabyte(exchange: Exchange) -> None:
    exchange.begin_stream()
    for _ in range(1024):
        exchange.chunk(b"[" * 2**20)
    exchange.end_stream()


def packed_gigabyte(exchange: Exchange) -> None:
    """A megabyte on the way that unpacks to a gigabyte."""
    packing = zlib.compressobj(wbits=31)
    exchange.send_response(200)
    exchange.send_header("Content-Encoding", "gzip")
    exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    for _ in range(1024):
        if packed := packing.compress(b"[" * 2**20):
            exchange.chunk(packed)
    exchange.chunk(packing.flush())
    exchange.end_stream()


@cache
def twice_packed() -> bytes:
    packing = zlib.compressobj(1, wbits=31)
    once = b"".join(packing.compress(bytes(2**20)) for _ in range(256)) + packing.flush()
    return gzip.compress(once)


def twice_packed_gigabyte(exchange: Exchange) -> None:
    """A few kilobytes on the way that unpack to a quarter of one."""
    exchange.send_response(200)
    exchange.send_header("Content-Encoding", "gzip, gzip")
    exchange.send_header("Content-Length", str(len(twice_packed())))
    exchange.end_headers()
    exchange.wfile.write(twice_packed())


def nothing(exchange: Exchange) -> None:
    while exchange.client_stays(1):
        pass


def drip(exchange: Exchange) -> None:
    exchange.begin_stream()
    while exchange.client_stays(0.05):
        exchange.chunk(b" ")


def redirect(exchange: Exchange) -> None:
    exchange.send_response(302)
    exchange.send_header("Location", exchange.path)
    exchange.send_header("Content-Length", "0")
    exchange.end_headers()


def long_header(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2**20 + b"\r\n\r\n")


def text(body: bytes) -> Fault:
    return lambda exchange: exchange.send(200, body)


def running(**fields: object) -> Fault:
    entry = {"name": "chat", "digest": "ab", "size": 1, "expires_at": "2026-01-01T00:00:00Z"} | fields
    return status(200, {"models": [entry]})


@pytest.mark.parametrize(
    ("path", "fault", "words"),
    [
        (
            "/api/version",
            html(),
            "this does not look like Ollama, it sent an answer that is not a JSON object: '<!DOCTYPE",
        ),
        ("/api/version", html(404), "this does not look like Ollama: HTTP 404"),
        ("/api/version", html(), "; give the address of an Ollama"),
        ("/api/version", text(b""), 'an answer without a "version"'),
        ("/api/version", text(b'{"version": 1}'), 'an answer without a "version"'),
        ("/api/tags", half_json(), "an answer that is not a JSON object"),
        ("/api/tags", gigabyte, "an answer of more than 8 MiB"),
        ("/api/tags", text(b"[" * 100_000), "an answer that is not a JSON object"),
        ("/api/tags", text(b'{"models": 1}'), 'an answer without a list of "models"'),
        ("/api/tags", status(200, {"models": [{"name": "a b\x1b[31m"}]}), "a model name"),
        ("/api/ps", nothing, "no answer within 2s"),
        ("/api/ps", drip, "no answer within 2s"),
        ("/api/ps", Exchange.cut, "the connection broke off"),
        ("/api/ps", redirect, "HTTP 302"),
        ("/api/ps", long_header, "the connection broke off"),
        ("/api/ps", status(500, {"error": "out of memory"}), "HTTP 500, out of memory"),
        ("/api/ps", running(expires_at="soon"), "an expires_at that is not a time"),
        ("/api/ps", running(size=1e400), 'a "size" of '),
        ("/api/ps", running(name="../../etc"), "a model name"),
    ],
)
def test_one_bad_server_is_one_line_and_the_rest_is_reported(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    path: str,
    fault: Fault,
    words: str,
) -> None:
    bad, good = fakes
    bad.answer("GET", path, fault)
    start = time.monotonic()
    result = command("drift", "--host", bad.url, "--host", good.url, "--timeout", "2s")
    assert_took_less(5, start)
    assert result.exit_code == 2, result.output
    first, *_, last = result.stdout.splitlines()
    assert first.startswith(f"{bad.url} unreadable: ")
    assert words in first
    assert len(first) < 400
    assert "\x1b" not in result.stdout
    assert last == "0 errors, 0 warnings, 1 unreadable, 0 undecided, 0 suppressed, in 1 file and on 2 servers"


PEAK = """import sys
from ollama_policy.__main__ import _run
print(_run(sys.argv[1:]), *(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_mib(*arguments: str) -> tuple[int, float]:
    """The exit code of a run of its own, and the most that was resident of it, in MiB."""
    command = [sys.executable, "-c", PEAK, "drift", *arguments, "-o", "report.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    code, peak = done.stdout.split()
    return int(code), int(peak) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's mark of the peak is Linux's")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (gigabyte, "an answer of more than 8 MiB"),
        (packed_gigabyte, "an answer of more than 8 MiB"),
        (twice_packed_gigabyte, "an answer compressed as 'gzip, gzip', expected one that is not compressed"),
    ],
)
def test_a_gigabyte_is_neither_read_nor_kept(
    declared: Path, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults], fault: Fault, words: str
) -> None:
    bad, good = fakes
    code, usual = peak_mib("--host", bad.url, "--host", good.url)
    assert code == 0
    bad.answer("GET", "/api/tags", fault)
    start = time.monotonic()
    code, peak = peak_mib("--host", bad.url, "--host", good.url, "--timeout", "5s")
    ended = time.monotonic()
    assert (code, peak - usual < 48) == (2, True), (usual, peak)
    assert_took_less(5, start, ended)
    assert words in (declared / "report.txt").read_text()


def test_answers_at_the_edge_are_judged(
    declared: Path, command: Command, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults]
) -> None:
    bad, _ = fakes

    def odd_date(exchange: Exchange) -> None:
        body = json.dumps({"models": [{"name": "chat", "digest": "ab" * 32, "expires_at": "9999-12-31T23:59:59Z"}]})
        exchange.send_response_only(200)
        exchange.send_header("Date", "Fri, 31 Dec 9999 23:59:59 -1200")
        exchange.send_header("Content-Length", str(len(body)))
        exchange.end_headers()
        exchange.wfile.write(body.encode())

    bad.answer("GET", "/api/ps", odd_date)
    (declared / "models.yaml").write_text("- {name: chat, memory_management: automatic, keep_alive: 2540400h}\n")
    result = command("drift", "--host", bad.url, "--record", "seen.json")
    assert (result.exit_code, "OLL506" in result.stdout) == (1, True), result.output
    assert command("drift", "--from", "seen.json").stdout == result.stdout


def test_nobody_there_and_no_such_name(declared: Path, command: Command) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        result = command("drift", "--host", address, "--host", "no-such-host.invalid", "--timeout", "5s")
    assert result.exit_code == 2
    assert f"http://{address} unreadable: no connection" in result.stdout
    places = "`host` where it is declared, OLLAMA_HOST, or --host of a command"
    cure = f"; start Ollama there, or correct its address ({places})\n"
    assert f"nothing answers there (connection refused){cure}" in result.stdout
    assert f"nothing answers there (name not found){cure}" in result.stdout
    assert "http://no-such-host.invalid:11434 unreadable: " in result.stdout


def test_many_silent_servers_cost_one_deadline(
    declared: Path, command: Command, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults]
) -> None:
    bad, good = fakes
    bad.answer("GET", "/api/version", nothing)
    hosts = [f"http://127.0.0.1:{bad.port}/{number}" for number in range(40)]
    (declared / "hosts").write_text("\n".join(["# the fleet", *hosts, "", good.url]))
    for number in range(40):
        bad.answer("GET", f"/{number}/api/version", nothing)
    start = time.monotonic()
    result = command("drift", "--hosts-file", "hosts", "--timeout", "3s", "--format", "json")
    assert_took_less(6, start)
    report = json.loads(result.stdout)
    assert [one["is_up"] for one in report["servers"]] == [False] * 40 + [True]


# TLS, tokens, IPv6.


@contextmanager
def behind_tls(fake: FakeOllamaWithFaults, authority: trustme.CA, name: str) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True)
    yield f"https://localhost:{fake.port}"


def test_a_private_authority(
    declared: Path, command: Command, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults]
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(declared / "ca.pem"))
    right, wrong = fakes
    with behind_tls(right, authority, "localhost") as url, behind_tls(wrong, authority, "elsewhere.example") as other:
        assert command("drift", "--host", url, "--ca-file", "ca.pem").exit_code == 0
        unknown = command("drift", "--host", url)
        assert (unknown.exit_code, "CERTIFICATE_VERIFY_FAILED" in unknown.stdout) == (2, True)
        assert unknown.stdout.splitlines()[0].endswith("; trust a private authority with --ca-file")
        named = command("drift", "--host", other, "--host", url, "--ca-file", "ca.pem")
        assert (named.exit_code, "CERTIFICATE_VERIFY_FAILED" in named.stdout) == (2, True)
        plain = command("drift", "--host", f"http://localhost:{right.port}")
        assert plain.exit_code == 2
    refused = command("drift", "--host", "x", "--ca-file", "models.yaml")
    assert (refused.exit_code, "--ca-file models.yaml: expected a file with the certificates" in refused.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_of_the_environment_that_are_a_fifo(
    variable: str, declared: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(declared / "fifo")
    monkeypatch.setenv(variable, "fifo")
    seen = command("drift", "--host", "https://localhost:9")
    assert seen.exit_code == 2
    assert f"no connection: {variable} names 'fifo', expected a f" in seen.stdout


def wanting_a_token(fake: FakeOllamaWithFaults, token: str = TOKEN) -> None:
    def guarded(answer: Fault) -> Fault:
        def fault(exchange: Exchange) -> None:
            sent = exchange.request_seen.headers.get("Authorization", "")
            if sent == f"Bearer {token}":
                answer(exchange)
            else:
                exchange.send_json(401, {"error": f"not you: {sent}"})

        return fault

    fake.answers = {key: guarded(answer) for key, answer in fake.answers.items()}


def everything_said(command: Command, declared: Path, *arguments: str) -> tuple[int, str]:
    """All formats, the record and what goes to standard error, of one run each."""
    said, code = "", 0
    for form in ("text", "json", "sarif", "junit", "github", "gitlab", "markdown", "openmetrics"):
        result = command("drift", *arguments, "--format", form, "--record", "seen.json", "-v")
        said += result.output + (declared / "seen.json").read_text()
        code = result.exit_code
    return code, said


def test_a_token_from_the_environment_or_a_netrc_is_in_no_output(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, _ = fakes
    wanting_a_token(bad)
    code, said = everything_said(command, declared, "--host", bad.url)
    assert (code, "it requires a token: set OLLAMA_API_KEY, or write it in a netrc" in said) == (2, True)
    monkeypatch.setenv("OLLAMA_API_KEY", TOKEN)
    code, said = everything_said(command, declared, "--host", bad.url)
    assert (code, TOKEN in said) == (0, False)
    monkeypatch.setenv("OLLAMA_API_KEY", f"wrong-{TOKEN}")
    code, said = everything_said(command, declared, "--host", bad.url)
    assert (code, TOKEN in said, "the token that was sent is not accepted" in said) == (2, False, True)
    (declared / ".netrc").write_text(f"machine 127.0.0.1 login me password {TOKEN}\n")
    code, said = everything_said(command, declared, "--host", bad.url)
    assert (code, TOKEN in said) == (0, False)
    (declared / ".netrc").write_text(f"machine 127.0.0.1 pasword {TOKEN}\n")
    result = command("drift", "--host", bad.url)
    assert (result.exit_code, TOKEN in result.output, ".netrc, line 1: it is not a netrc" in result.stderr) == (
        2,
        False,
        True,
    )


def test_each_server_has_a_token_of_its_own(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = fakes
    wanting_a_token(one, f"{TOKEN}-1")
    wanting_a_token(two, f"{TOKEN}-2")
    hosts = ("--host", one.url, "--host", f"http://localhost:{two.port}")
    (declared / "secrets").write_text(
        f"machine 127.0.0.1 password {TOKEN}-1\nmachine localhost login me password {TOKEN}-2\n"
    )
    monkeypatch.setenv("NETRC", "secrets")
    monkeypatch.setenv("OLLAMA_API_KEY", f"{TOKEN}-3")
    code, said = everything_said(command, declared, *hosts)
    assert (code, TOKEN in said) == (0, False)
    (declared / "secrets").write_text(f"machine 127.0.0.1 password {TOKEN}-1\n")
    code, said = everything_said(command, declared, *hosts)
    assert (code, TOKEN in said, two.requests[-1].headers["Authorization"]) == (2, False, f"Bearer {TOKEN}-3")


def test_a_proxy_that_wants_a_login(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy, good = fakes
    for path in ("version", "tags", "ps"):
        inside = proxy.answers["GET", f"/api/{path}"]

        def guarded(exchange: Exchange, inside: Fault = inside) -> None:
            has_login = "Proxy-Authorization" in exchange.headers
            (inside if has_login else status(407, {"error": "who are you"}))(exchange)

        proxy.answer("GET", f"http://gpu.example:11434/api/{path}", guarded)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    result = command("drift", "--host", "gpu.example", "--host", good.url)
    first, *_, last = result.stdout.splitlines()
    assert (result.exit_code, first.replace(proxy.url, "PROXY")) == (
        2,
        "http://gpu.example:11434 unreadable: HTTP 407, who are you; the proxy PROXY of HTTP_PROXY requires a login: "
        "give it in HTTP_PROXY, or name the server in NO_PROXY",
    )
    assert "on 2 servers" in last
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//me:{TOKEN}@"))
    code, said = everything_said(command, declared, "--host", "gpu.example")
    assert (code, TOKEN in said) == (0, False)


def test_a_token_goes_to_no_server_that_only_a_file_names(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = fakes
    wanting_a_token(bad)
    monkeypatch.setenv("OLLAMA_API_KEY", TOKEN)
    (declared / "models.yaml").write_text(f"- {{name: chat, memory_management: automatic, host: '{bad.url}'}}\n")
    result = command("drift", "--host", good.url)
    assert "which is sent to servers of --host and --hosts-file alone" in result.stdout
    assert not any("Authorization" in request.headers for request in bad.requests)
    assert all(request.headers["Authorization"] == f"Bearer {TOKEN}" for request in good.requests)
    assert command("drift", "--host", good.url, "--host", bad.url).exit_code == 0


def test_a_password_in_an_address_is_refused_and_not_repeated(declared: Path, command: Command) -> None:
    (declared / "hosts").write_text(f"http://me:{TOKEN}@gpu1\n")
    for arguments in (("--host", f"http://me:{TOKEN}@gpu1"), ("--hosts-file", "hosts")):
        result = command("drift", *arguments)
        assert (result.exit_code, TOKEN in result.output) == (2, False)
    assert "hosts, line 1," in result.stderr


def test_ipv6(declared: Path, command: Command) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening, FakeOllamaWithFaults() as fake:
            fake.tags = [tag("chat:latest")]
            port = listening.getsockname()[1]
            threading.Thread(target=_forward, args=(listening, fake.port), daemon=True).start()
            result = command("drift", "--host", f"[::1]:{port}", "--format", "json")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["servers"][0]["url"] == f"http://[::1]:{port}"


def _forward(listening: socket.socket, port: int) -> None:
    """One connection, both ways."""
    with listening.accept()[0] as client, socket.create_connection(("127.0.0.1", port)) as server:

        def copy(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=copy, args=(server, client), daemon=True)
        thread.start()
        copy(client, server)
        thread.join(5)


NAME = "ollama.example"


class FakeResolver:
    """NOT a DNS: what a name stands for, look-up by look-up, the last forever. Other names are looked up really."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.really = socket.getaddrinfo

    def __call__(self, host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        if host != NAME:
            return self.really(host, port, *arguments, **options)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]


NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_fleet_is_every_address_of_a_name(
    declared: Path,
    command: Command,
    fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, good = fakes
    monkeypatch.setattr(socket, "getaddrinfo", FakeResolver(["127.0.0.2", "127.0.0.1", "127.0.0.2"]))
    result = command("drift", "--fleet", f"{NAME}:{good.port}", "--timeout", "1s", "--format", "json")
    urls = [one["url"] for one in json.loads(result.stdout)["servers"]]
    assert urls == [f"http://127.0.0.{number}:{good.port}" for number in (1, 2)]


def test_a_name_that_nobody_knows_or_answers_is_said_in_time(
    declared: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FakeResolver(NO_NAME))
    result = command("drift", "--fleet", NAME)
    assert (result.exit_code, f"--fleet {NAME}: Name or service not known" in result.stderr) == (2, True)
    ended = threading.Event()

    def silent(*_: object, **__: object) -> list[Any]:
        ended.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    start = time.monotonic()
    result = command("drift", "--fleet", NAME, "--timeout", "200ms")
    ended.set()
    assert (result.exit_code, f"--fleet {NAME}: no answer from DNS within 0.2 s" in result.stderr) == (2, True)
    assert_took_less(2, start)


def test_a_fleet_that_is_watched_is_looked_up_at_every_look(
    declared: Path, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, good = fakes
    first, both, second = ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2"]
    monkeypatch.setattr(socket, "getaddrinfo", FakeResolver(first, both, NO_NAME, second))
    parent, child = pty.openpty()
    frames: list[str] = []

    def drawn(seconds: float) -> None:
        picture = b""
        while b"Ctrl-C ends" not in picture:
            assert select.select([parent], [], [], 10)[0], picture
            picture += os.read(parent, 65536)
        frames.append(picture.decode())
        if len(frames) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", drawn)
    with os.fdopen(child, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        with pytest.raises(KeyboardInterrupt):
            run(Request(fleet=[f"{NAME}:{good.port}"], does_watch=True))
    os.close(parent)
    there = [[f"http://127.0.0.{number}:{good.port} " in frame for number in (1, 2)] for frame in frames]
    assert there == [[True, False], [True, True], [True, True], [False, True]]
    told = ["as it was at the last look" in frame for frame in frames]
    assert told == [False, False, True, False]


def test_every_problem_is_one_line_of_text(
    declared: Path, command: Command, fakes: tuple[FakeOllamaWithFaults, FakeOllamaWithFaults]
) -> None:
    bad, _ = fakes
    bad.answer("GET", "/api/version", status(403, {"error": "a\nb\x1b[2J"}))
    result = command("drift", "--host", bad.url)
    assert len(result.stdout.splitlines()) == 2
    assert re.search(r"unreadable: HTTP 403, a; b\\x1b\[2J", result.stdout)
