"""Whatever a server fails with, alone or in calls made at once, is one line for the person who asked."""

import asyncio

import pytest

from ollama_policy.checking import CannotLookError
from ollama_policy.reaching import answered
from ollama_provider.ollama.errors import OllamaError, UnreachableError


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
