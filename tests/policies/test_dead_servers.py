"""A server that does not answer is one sentence in every command: which address, in what way, and what to do."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from ollama_policy.commands.fit import command as fit_command
from ollama_policy.commands.remedies import looking as remedies_looking
from ollama_policy.commands.report import command as report_command
from ollama_provider.ollama.http import exchange
from tests.policies.conftest import Command
from tests.policies.live_commands import CALLS, CALLS_THAT_ASK_ALWAYS

pytestmark = pytest.mark.slow


@contextmanager
def refusing() -> Iterator[str]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


@contextmanager
def nameless() -> Iterator[str]:
    yield "http://no-such-host.invalid:11434"


@contextmanager
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


NOTHING = "no connection: nothing answers there"
DEAD: dict[str, tuple[Callable[[], AbstractContextManager[str]], str, str]] = {
    "connection refused": (refusing, f"{NOTHING} (connection refused)", "start"),
    "name not found": (nameless, f"{NOTHING} (name not found)", "start"),
    "timeout": (silent, "no answer within ", "restart"),
}


@pytest.fixture(autouse=True)
def _no_server_and_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OLLAMA_HOST", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def lose_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(fit_command, "_SECONDS", 1.0)
    monkeypatch.setattr(report_command, "_LOOK_SECONDS", 1.0)
    monkeypatch.setattr(remedies_looking, "_SECONDS", 1.0)


@pytest.mark.parametrize("how", DEAD)
@pytest.mark.parametrize(
    ("named", "call"),
    [*(("--host", call) for call in CALLS), *(("OLLAMA_HOST", call) for call in CALLS_THAT_ASK_ALWAYS)],
)
def test_a_dead_server_is_one_sentence(
    call: str, how: str, named: str, tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "models.tf").write_text('resource "ollama_model" "a" {\n  name       = "chat"\n  keep_alive = "5m"\n}\n')
    (tree / "server.log").write_text("")
    dead, words, verb = DEAD[how]
    if dead is silent:
        lose_patience(monkeypatch)
    with ExitStack() as stack:
        url = stack.enter_context(dead())
        if named == "OLLAMA_HOST":
            monkeypatch.setenv("OLLAMA_HOST", url)
        result = command(*call.split(), *(("--host", url) if named == "--host" else ()))
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    told = result.stdout if CALLS[call].reports_failures else result.stderr
    sentences = [line for line in told.splitlines() if words in line]
    assert len(sentences) == 1, result.output
    places = "`host` where it is declared, OLLAMA_HOST, or --host of a command"
    cure = f"; {verb} Ollama there, or correct its address ({places})"
    assert url in sentences[0]
    assert sentences[0].endswith(cure), sentences[0]
    assert "Traceback" not in result.output
    assert "this user's" not in result.output  # nothing is said of the processes of a server that is not there
