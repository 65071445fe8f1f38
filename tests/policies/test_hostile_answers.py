"""A server's answer beyond all bounds is one line and exit code 2 in every command that asks, and costs little."""

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, Fault, packed, resident, tag
from tests.policies.conftest import Command
from tests.policies.live_commands import ASKS_ALWAYS

pytestmark = pytest.mark.slow


@pytest.fixture
def fake(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllamaWithFaults]:
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    (tree / "models.tf").write_text('resource "ollama_model" "a" {\n  name       = "chat"\n  keep_alive = "5m"\n}\n')
    with FakeOllamaWithFaults() as fake:
        fake.tags = [tag("chat:latest")]
        fake.running = [resident("chat:latest")]
        fake.answer("POST", "/api/show", lambda one: one.send_json(200, {"model_info": {}, "modelfile": "FROM x"}))
        yield fake


def much_packed() -> bytes:
    """A quarter of a gigabyte of zeros."""
    packing = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join(packing.compress(bytes(1 << 20)) for _ in range(256)) + packing.flush()


def with_number(digits: str) -> Fault:
    """In each place where Ollama has a number."""
    entry = json.dumps(resident("chat:latest") | {"size": "N", "context_length": "N"}).replace('"N"', digits)
    details = f'{{"model_info": {{"general.architecture": "llama", "llama.context_length": {digits}}}}}'
    body = {"/api/tags": f'{{"models": [{entry}]}}', "/api/ps": f'{{"models": [{entry}]}}', "/api/show": details}
    return lambda one: one.send(200, body.get(one.path, f'{{"version": {digits}}}').encode())


def text(body: str) -> Fault:
    return lambda one: one.send(200, body.encode())


def refused(words: str) -> Fault:
    return lambda one: one.send_json(500, {"error": words})


ONCE = much_packed()
FAULTS = {
    "packed twice": (
        packed("gzip, gzip", gzip.compress(ONCE)),
        "an answer compressed as 'gzip, gzip', expected one that is not compressed",
    ),
    "packed once": (packed("gzip", ONCE), " MiB"),
    "packed unlike it says": (
        packed("deflate", b"{}"),
        "an answer that claims to be compressed as deflate, and is not",
    ),
    "packed by brotli": (packed("br", b"{}"), "an answer compressed as 'br', expected one that is not compressed"),
    "a number of 4,000 digits": (with_number("9" * 4000), "an answer with a number of 4,000 digits"),
    "a number of 40,000 digits": (with_number("-" + "9" * 40_000), "an answer with a number of 40,000 digits"),
    "a number beyond 64 bits": (with_number("1e300"), "expected a whole number from 0"),
    "a number below 0": (with_number("-5"), "expected a whole number from 0"),
    "nested 90 deep": (text('{"models":' * 90 + "1" + "}" * 90), "it is nested more than 64 deep"),
    "nested without end": (text('{"models":' * 100_000), "it is nested more than 64 deep"),
    "millions of values": (
        text('{"models":[' + "[]," * 2_000_001 + "[]]}"),
        "an answer with more values than fit into 256 MiB of memory",
    ),
    "half a surrogate pair": (text(r'{"modelfile": "FROM \ud800"}'), "an answer with a text that is not Unicode"),
    "a long error": (refused("x" * 1_000_000), "HTTP 500, xxx"),
}
EVERY_COMMAND_ASKS = ("GET /api/version", "GET /api/tags", "GET /api/ps")
FINE = {("a number beyond 64 bits", "GET /api/version"), ("a number beyond 64 bits", "POST /api/show")}
FINE |= {("a number below 0", "GET /api/version"), ("a number below 0", "POST /api/show")}
FINE |= {("a long error", "POST /api/show")}  # adopt writes a comment of it


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("which", ASKS_ALWAYS)
def test_an_answer_beyond_all_bounds_is_one_line(
    which: str, name: str, command: Command, fake: FakeOllamaWithFaults
) -> None:
    fault, words = FAULTS[name]
    tried = ASKS_ALWAYS[which]
    for asked in (*EVERY_COMMAND_ASKS, *(["POST /api/show"] if tried.shows_models else [])):
        method, path = asked.split()
        if (name, asked) in FINE:
            continue
        fine = fake.answers[method, path]
        fake.answer(method, path, fault)
        fake.requests.clear()
        result = command(*tried.call.split(), "--host", fake.url)
        fake.answer(method, path, fine)
        assert result.exception is None or isinstance(result.exception, SystemExit), asked
        if any(request.path == path for request in fake.requests):
            told = result.output
            assert (result.exit_code, words in told, fake.url in told) == (2, True, True), (asked, told[:2000])
            assert len(told) < 4000, asked


def test_an_answer_that_is_given_up_leaves_no_noise(tree: Path, fake: FakeOllamaWithFaults) -> None:
    fake.answer("GET", "/api/tags", text("x" * 2**25))
    program = [sys.executable, "-m", "ollama_policy", "drift", "--host", fake.url]
    done = subprocess.run(program, cwd=tree, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")


def test_a_registry_is_bounded_as_a_server_is(tree: Path, command: Command, fake: FakeOllamaWithFaults) -> None:
    registry = f"127.0.0.1:{fake.port}"
    (tree / "models.tf").write_text(
        f'resource "ollama_model" "a" {{\n  name     = "{registry}/library/x"\n  insecure = true\n}}\n'
    )
    manifest = ("GET", "/v2/library/x/manifests/latest")
    for name in ("packed twice", "a number of 4,000 digits", "nested without end", "nested 90 deep"):
        fault, words = FAULTS[name]
        fake.answer(*manifest, fault)
        result = command("fit", ".", "--host", fake.url, "--memory", "8GiB")
        assert result.exit_code == 2, result.output
        assert f"{registry}: what it answers is not a model: it sent an answer " in result.stdout
        assert words in result.stdout
