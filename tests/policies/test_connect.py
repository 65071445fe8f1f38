"""Whatever a server fails with, alone or in calls made at once, is one line for the person who asked."""

import asyncio
from pathlib import Path

import pytest

from ollama_policy.errors import CannotLookError
from ollama_policy.live.connect import answered
from ollama_provider.ollama.errors import OllamaError, UnreachableError
from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.policies.conftest import Command
from tests.policies.live_commands import ASKS_ALWAYS, LIVE_COMMANDS


async def failing(error: Exception) -> None:
    raise error


async def at_once(*errors: Exception) -> None:
    async with asyncio.TaskGroup() as calls:
        for error in errors:
            calls.create_task(failing(error))


GONE = UnreachableError("an answer", "http://s", "no connection")


@pytest.mark.parametrize(
    ("error", "words"),
    [(GONE, str(GONE)), (OllamaError("a", "http://s", "w"), "a at http://s: w"), (TimeoutError(), "m: too late")],
)
def test_a_failure_is_one_line_alone_and_among_calls_made_at_once(error: Exception, words: str) -> None:
    for asking in (failing(error), at_once(error), at_once(error, error)):
        with pytest.raises(CannotLookError) as told:
            answered(asking, late="m: too late")
        assert str(told.value) == words


def test_a_defect_is_no_answer_of_a_server() -> None:
    with pytest.raises(ZeroDivisionError):
        answered(failing(ZeroDivisionError()))
    with pytest.raises(ExceptionGroup):
        answered(at_once(ZeroDivisionError()))


TOKEN = "s3cr3t-t0ken"


@pytest.mark.parametrize("name", ASKS_ALWAYS)
def test_the_token_of_the_environment_or_of_a_netrc_is_sent_and_in_no_output(
    name: str, tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "models.yaml").write_text("- name: chat\n  memory_management: manual\n")
    (tree / "netrc").write_text(f"machine 127.0.0.1 password {TOKEN}-of-netrc\n")
    with FakeOllamaWithFaults() as fake:
        for path in ("/api/tags", "/api/ps"):
            fake.answer("GET", path, lambda one: one.send_json(401, {"error": one.headers["Authorization"]}))
        for variable, value, sent in (
            ("OLLAMA_API_KEY", TOKEN, TOKEN),
            ("NETRC", str(tree / "netrc"), f"{TOKEN}-of-netrc"),
        ):
            monkeypatch.setenv(variable, value)
            result = command(*ASKS_ALWAYS[name].call.split(), "--host", fake.url)
            assert (result.exit_code, "HTTP 401" in result.output, TOKEN in result.output) == (2, True, False)
            assert fake.requests[-1].headers["Authorization"] == f"Bearer {sent}"


@pytest.mark.parametrize("call", [call for one in LIVE_COMMANDS.values() for call in one.acts_by])
def test_nothing_is_done_to_a_server_that_nobody_named(
    call: str, tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    result = command(*call.split())
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.endswith(": name the server with --host URL, or OLLAMA_HOST\n")


@pytest.mark.parametrize("before", [after for one in LIVE_COMMANDS.values() if (after := one.takes_model_after)])
@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("tiny:local", "an apply refuses this tag, by which Ollama reaches tiny:latest"),
        ("x:cloud", "it runs on ollama.com: this server does not hold it in memory"),
        ("gpt-oss:120b-cloud", "it runs on ollama.com: this server does not hold it in memory"),
    ],
)
def test_a_name_that_no_server_holds_is_refused_before_any_request(
    before: str, model: str, why: str, command: Command
) -> None:
    with FakeOllamaWithFaults() as fake:
        result = command(*before.split(), model, "--host", fake.url)
        option = before.rsplit(maxsplit=1)[-1]
        said = f"{option} {model}" if option.startswith("--") else model
        assert (result.exit_code, result.stderr) == (2, f"Error: {said}: {why}\n")
        assert fake.requests == []
