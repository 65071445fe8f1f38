"""What a command line and an environment say of a runner, of each engine."""

import pytest

from ollama_policy.commands.probe.growth import Cause, bound_of
from ollama_policy.live.runners.runner import Engine, Runner, runner_of
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.sizes import MIB

HEX = "ab" * 32
BLOB = f"/models/blobs/sha256-{HEX}"
CHAT = ModelName.parse("chat")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ["/usr/lib/ollama/llama-server", "--model", BLOB, "--port", "1", "-c", "8192", "-np", "4"],
            Runner(1, Engine.LLAMA_SERVER, BLOB, 8192, 4),
        ),
        (["/usr/bin/ollama", "runner", "--model", BLOB, "--port", "1"], Runner(1, Engine.OLLAMA, BLOB)),
        (["ollama", "runner", "--ollama-engine", "--model", BLOB], Runner(1, Engine.OLLAMA, BLOB)),
        (["ollama", "runner", "--model", "chat:latest", "--port", "1"], Runner(1, Engine.MLX, "chat:latest")),
        (["ollama", "serve"], None),
        (["llama-server", "--version"], None),
        (["python", "serve.py", "--model", BLOB], None),
        (["llama-server", "--model"], None),
        ([], None),
    ],
)
def test_a_command_line(command: list[str], expected: Runner | None) -> None:
    assert runner_of(1, command) == expected


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        (BLOB, True),
        (f"/models/blobs/sha256-{'cd' * 32}", False),
        ("chat:latest", True),
        ("chat:v2", False),
        ("", False),
    ],
)
def test_whose_it_is(model: str, holds: bool) -> None:
    assert Runner(1, Engine.MLX, model).holds(CHAT, f"sha256:{HEX}") is holds


@pytest.mark.parametrize(
    ("environment", "size", "words"),
    [
        ({"LLAMA_ARG_CACHE_RAM": "32"}, 32 * MIB, "LLAMA_ARG_CACHE_RAM=32"),
        ({"LLAMA_ARG_CACHE_RAM": "1GB"}, MIB, "LLAMA_ARG_CACHE_RAM=1"),
        ({"LLAMA_ARG_CACHE_RAM": " +512MB"}, 512 * MIB, "LLAMA_ARG_CACHE_RAM=512"),
        ({"LLAMA_ARG_CACHE_RAM": "-1"}, 4096 * 8192, "the context of 4,096 tokens, LLAMA_ARG_CACHE_RAM=-1"),
        ({}, 8192 * MIB, "llama.cpp's default: LLAMA_ARG_CACHE_RAM is not set"),
        (None, 8192 * MIB, "if LLAMA_ARG_CACHE_RAM is not set: the runner does not show its environment"),
    ],
)
def test_what_bounds_its_prompt_cache(environment: dict[str, str] | None, size: int, words: str) -> None:
    bound = bound_of(Runner(1, Engine.LLAMA_SERVER, BLOB, 4096, 1, environment), a_token=8192)
    assert bound is not None
    assert (bound.cause, bound.size, words in bound.words) == (Cause.PROMPT_CACHE, size, True)


def test_a_runner_without_a_prompt_cache() -> None:
    off = Runner(1, Engine.LLAMA_SERVER, BLOB, 4096, 1, {"LLAMA_ARG_CACHE_RAM": "0"})
    assert bound_of(off) is None
    assert bound_of(Runner(1, Engine.OLLAMA, BLOB)) is None
    mlx = bound_of(Runner(1, Engine.MLX, "chat"))
    assert mlx is not None
    assert (mlx.cause, mlx.size) == (Cause.PREFIX_CACHE, 8 * 2**30)


@pytest.mark.parametrize(
    ("kind", "environment", "checkpoints"),
    [
        (Engine.LLAMA_SERVER, {}, 32),
        (Engine.LLAMA_SERVER, {"LLAMA_ARG_CTX_CHECKPOINTS": "3"}, 3),
        (Engine.LLAMA_SERVER, {"LLAMA_ARG_CTX_CHECKPOINTS": "-2"}, 0),
        (Engine.OLLAMA, {}, 0),
    ],
)
def test_how_many_checkpoints_it_keeps(kind: Engine, environment: dict[str, str], checkpoints: int) -> None:
    assert Runner(1, kind, BLOB, 4096, 1, environment).checkpoints == checkpoints
