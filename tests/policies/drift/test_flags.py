"""What the command line of a model's process shows of the options that it was loaded with."""

from collections.abc import Sequence

import pytest

from ollama_policy.live.observe import flags_of
from ollama_policy.live.runners.runner import Runner, runner_of
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.reloading import fields_hidden, flags_in, options_shown
from tests.policies.drift.servers import running

CHAT, RAG = ModelName.parse("chat"), ModelName.parse("rag")


def command(context: int, *more: str) -> list[str]:
    """As Ollama 0.34.3 starts one for two requests at once, on a CPU."""
    given = ["-c", str(2 * context), "-np", "2", "--load-mode", "none", "--flash-attn", "auto", "-b", "512"]
    return ["/usr/lib/ollama/llama-server", "--model", "/models/blobs/sha256-" + "a" * 64, *given, *more]


def runners(*commands: Sequence[str]) -> list[Runner]:
    return [runner for pid, one in enumerate(commands) if (runner := runner_of(pid, one))]


def test_a_model_has_the_process_with_its_context_where_no_other_has_that() -> None:
    models = [running("chat", context=2048), running("rag", context=4096)]
    found = flags_of(models, runners(command(2048, "-t", "1"), command(4096)))
    assert {name: options_shown(flags) for name, flags in found.items()} == {CHAT: {"num_thread": "1"}, RAG: {}}


@pytest.mark.parametrize(
    "commands",
    [
        [command(2048, "-t", "1"), command(2048)],
        [command(4096)],
        [["/usr/bin/ollama", "runner", "--model", "/models/blobs/sha256-" + "a" * 64]],
        [["llama-server", "--model", "x", "-c", "many"]],
        [[]],
    ],
)
def test_nothing_is_said_of_a_model_whose_process_is_not_certain(commands: Sequence[Sequence[str]]) -> None:
    assert flags_of([running("chat", context=2048)], runners(*commands)) == {}
    twice = [running("chat", context=2048), running("rag", context=2048)]
    assert flags_of(twice, runners(command(2048))) == {}


def test_a_batch_that_ollama_chooses_itself_is_no_option() -> None:
    assert options_shown({"-b": "512"}) == options_shown({"-b": "2048"}) == {}
    assert options_shown({"-b": "128", "-ngl": "0"}) == {"num_batch": "128", "num_gpu": "0"}


def test_what_a_process_shows_is_not_suspected() -> None:
    hidden = fields_hidden(flags_in(command(2048, "--context-shift")), None, knows_context=True)
    assert hidden == ("draft_num_predict",)
    hidden = fields_hidden({}, None, knows_context=False)
    assert hidden == ("num_ctx", "use_mmap: true", "draft_num_predict", "shift: false")
