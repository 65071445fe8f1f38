"""A credential goes to servers that a person named, and to no other: a canary that only a file names never sees one."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.faulty_ollama import DIGEST, Exchange, FakeOllamaWithFaults, resident, tag
from tests.policies.conftest import Command
from tests.policies.live_commands import CALLS, CALLS_THAT_ASK_ALWAYS

KEY, OF_DEFAULT, OF_MACHINE, OF_PROXY = "key-canary", "default-canary", "machine-canary", "proxy-canary"
SECRETS = (KEY, OF_DEFAULT, OF_MACHINE, OF_PROXY)
LOGIN = b64encode(f"me:{OF_PROXY}".encode()).decode()


class FakeCanary(FakeOllamaWithFaults):
    """NOT an Ollama: it looks like one, and notes what it is sent."""

    @property
    def secrets_seen(self) -> list[str]:
        sent = [value for request in self.requests for value in (request.path, *request.headers.values())]
        return [value for value in sent if any(secret in value for secret in (*SECRETS, LOGIN))]


@pytest.fixture
def servers(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeOllamaWithFaults, FakeCanary]]:
    """One that a person names, and a canary that only a file of the tree names; all credentials there are."""
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    home = tree.parent / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    for name in ("OLLAMA_HOST", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://me:{OF_PROXY}@127.0.0.1:9")
    canary = FakeCanary()
    with FakeOllamaWithFaults() as good, canary:
        for fake in (good, canary):
            fake.tags = [tag("chat:latest")]
            fake.running = [resident("chat:latest")]
            fake.answer("POST", "/api/show", lambda one: one.send_json(200, {"model_info": {}, "modelfile": "FROM x"}))
        (tree / "models.tf").write_text(
            'resource "ollama_model" "a" {\n  name              = "chat"\n  memory_management = "automatic"\n'
            f'  keep_alive        = "5m"\n  host              = "{canary.url}"\n}}\n'
        )
        yield good, canary


def netrc(tree: Path, entry: str, secret: str) -> None:
    (tree.parent / "home" / ".netrc").write_text(f"{entry} login me password {secret}\n")


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("entry", ["default", "machine 127.0.0.1"])
def test_a_server_that_only_a_file_names_is_sent_no_credential(
    call: str,
    entry: str,
    tree: Path,
    command: Command,
    servers: tuple[FakeOllamaWithFaults, FakeCanary],
) -> None:
    good, canary = servers
    secret = OF_DEFAULT if entry == "default" else OF_MACHINE
    netrc(tree, entry, secret)
    (tree / "server.log").write_text("")
    result = command(*call.split(), "--host", good.url)
    assert canary.secrets_seen == []
    assert bool(canary.requests) == CALLS[call].asks_what_files_name, result.output
    assert good.requests or call.split(maxsplit=1)[0] in ("fit", "logs")  # which have nothing to ask of it
    assert all(request.headers["Authorization"] == f"Bearer {secret}" for request in good.requests)
    assert not any(one in result.output for one in SECRETS)
    note = f"note: only a checked file names {canary.url}: asked without OLLAMA_API_KEY and without a netrc's password"
    assert result.stderr.count(note) == CALLS[call].asks_what_files_name, result.stderr


@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_is_not_followed(
    call: str, tree: Path, command: Command, servers: tuple[FakeOllamaWithFaults, FakeCanary]
) -> None:
    good, canary = servers
    netrc(tree, "default", OF_DEFAULT)
    (tree / "models.tf").write_text('resource "ollama_model" "a" {\n  name = "chat"\n}\n')
    (tree / "server.log").write_text("")

    def away(exchange: Exchange) -> None:
        exchange.send_response(307)
        exchange.send_header("Location", f"{canary.url}{exchange.path}")
        exchange.send_header("Content-Length", "0")
        exchange.end_headers()

    for method, path in list(good.answers):
        good.answer(method, path, away)
    result = command(*call.split(), "--host", good.url)
    assert canary.requests == []
    if call in CALLS_THAT_ASK_ALWAYS:
        assert (result.exit_code, "HTTP 307" in result.output) == (2, True), result.output


@pytest.mark.parametrize("arguments", [("drift", "."), ("fit", ".", "--no-registry")], ids=["drift", "fit"])
@pytest.mark.parametrize("named", ["--host", "OLLAMA_HOST"])
def test_a_file_may_name_what_a_person_names_too(
    arguments: tuple[str, ...],
    named: str,
    tree: Path,
    command: Command,
    servers: tuple[FakeOllamaWithFaults, FakeCanary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, canary = servers
    netrc(tree, "default", OF_DEFAULT)
    more: tuple[Any, ...] = ("--host", canary.url) if named == "--host" else ()
    if not more:
        monkeypatch.setenv("OLLAMA_HOST", canary.url)
    result = command(*arguments, *more)
    assert canary.requests
    assert all(request.headers["Authorization"] == f"Bearer {OF_DEFAULT}" for request in canary.requests)
    assert "note: only a checked file" not in result.stderr


def test_without_a_credential_there_is_nothing_to_note(
    command: Command, servers: tuple[FakeOllamaWithFaults, FakeCanary], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, canary = servers
    monkeypatch.delenv("OLLAMA_API_KEY")
    result = command("drift", "--host", good.url)
    assert (bool(canary.requests), "note: " in result.stderr) == (True, False)


def test_many_servers_that_files_name_are_one_note(
    tree: Path, command: Command, servers: tuple[FakeOllamaWithFaults, FakeCanary]
) -> None:
    good, _ = servers
    block = 'resource "ollama_model" "a%d" {{\n  name = "chat"\n  host = "127.0.0.1:%d"\n}}\n'.replace("{{", "{")
    (tree / "models.tf").write_text("".join(block.replace("}}", "}") % (one, one) for one in range(1, 7)))
    result = command("drift", "--host", good.url, "--timeout", "1s")
    assert result.stderr.count("note: ") == 1
    assert "http://127.0.0.1:3 and 3 more: asked without" in result.stderr


def test_a_registry_that_a_file_names_is_asked_anonymously(
    tree: Path,
    command: Command,
    servers: tuple[FakeOllamaWithFaults, FakeCanary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good, canary = servers
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name)
    netrc(tree, "default", OF_DEFAULT)
    (tree / "models.tf").write_text(
        f'resource "ollama_model" "a" {{\n  name     = "127.0.0.1:{canary.port}/library/x"\n  insecure = true\n}}\n'
    )
    canary.answer("GET", "/v2/library/x/manifests/latest", lambda one: one.send_json(200, {"digest": DIGEST}))
    command("fit", ".", "--host", good.url)
    assert [request.path for request in canary.requests] == ["/v2/library/x/manifests/latest"]
    assert canary.secrets_seen == []
