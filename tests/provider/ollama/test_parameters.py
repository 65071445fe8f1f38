"""Parameters of a model: the types that Ollama demands, as JSON, as text, and as a Modelfile's text."""

from typing import Any

import pytest

from ollama_provider.ollama.parameters import (
    PARAMETERS,
    REMOVED_PARAMETERS,
    ParameterError,
    ParameterType,
    refusal_in_json,
    refusal_in_modelfile,
    refusal_of_name,
    typed,
    typed_all,
)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("num_ctx", 1024, 1024),
        ("num_ctx", 1024.0, 1024),
        ("num_ctx", "1024", 1024),
        ("num_predict", "-1", -1),
        ("num_predict", "+007", 7),
        ("seed", 2**63 - 1, 2**63 - 1),
        ("temperature", 1, 1),
        ("temperature", 0.5, 0.5),
        ("temperature", ".5", 0.5),
        ("temperature", "1e-3", 0.001),
        ("typical_p", "0.7", 0.7),
        ("use_mmap", False, False),
        ("use_mmap", "True", True),
        ("use_mmap", "0", False),
        ("stop", "x", ["x"]),
        ("stop", [], []),
        ("stop", ["a", ""], ["a", ""]),
    ],
)
def test_a_value_gets_the_type_that_ollama_demands(name: str, value: Any, read: Any) -> None:
    found = typed(name, value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_ctx", "8k", "a whole number without a unit, such as 8192"),
        ("num_ctx", "32 KiB", "a whole number without a unit, such as 32768"),
        ("num_ctx", "", "a whole number"),
        ("num_ctx", " 8192", "a whole number"),
        ("num_ctx", "8_192", "a whole number"),
        ("num_ctx", "8192.0", "a whole number"),
        ("num_ctx", "٨", "a whole number"),
        ("num_ctx", 0.5, "a whole number"),
        ("num_ctx", True, "a whole number"),
        ("num_ctx", [8192], "a whole number"),
        ("num_ctx", 2**63, "a whole number of 64 bits"),
        ("num_ctx", "9" * 400, "a whole number of 64 bits"),
        ("num_ctx", "9" * 5000, "a whole number"),
        ("num_ctx", float("inf"), "a whole number"),
        ("temperature", "warm", "a number"),
        ("temperature", "nan", "a number"),
        ("temperature", True, "a number"),
        ("temperature", float("nan"), "a finite number of 32 bits"),
        ("temperature", 1e39, "a finite number of 32 bits"),
        ("temperature", 10**400, "a finite number of 32 bits"),
        ("use_mmap", 1, "true or false"),
        ("use_mmap", "yes", "true or false"),
        ("stop", [1], "a list of texts"),
        ("stop", {"a": 1}, "a list of texts"),
        ("stop", 1, "a list of texts"),
    ],
)
def test_any_other_value_is_refused(name: str, value: Any, expected: str) -> None:
    with pytest.raises(ParameterError) as refused:
        typed(name, value)
    assert str(refused.value) == expected
    assert typed_all({name: value, "seed": None}) == {name: value}


def test_a_request_takes_no_text_for_a_number_and_a_modelfile_takes_nothing_else() -> None:
    assert refusal_in_json("num_ctx", "8192") == "a whole number, and no text"
    assert refusal_in_json("stop", "x") == "a list of texts, and no text"
    assert refusal_in_json("num_ctx", 8192.0) is None
    assert refusal_in_json("unheard_of", "8192") is None
    assert refusal_in_modelfile("num_ctx", 8192) is None
    assert refusal_in_modelfile("num_ctx", 8192.5) == "a whole number"
    assert refusal_in_modelfile("use_mmap", True) is None
    assert refusal_in_modelfile("use_mmap", 1) is None
    assert refusal_in_modelfile("stop", "x") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("keep_alive", "this belongs to the declaration itself (keep_alive, or memory_management), to the server"),
        ("KEEP_ALIVE", "OLLAMA_KEEP_ALIVE"),
        ("use_mlock", "it ignores this from 0.7.0 on; in its place there is LLAMA_ARG_LOAD_MODE=mlock"),
        ("mirostat", "it ignores this from"),
        ("think", "each request, as a field beside its options"),
        ("flash_attention", "OLLAMA_FLASH_ATTENTION"),
        ("n_ctx", "did you mean 'num_ctx'?"),
        ("NUM_CTX", "did you mean 'num_ctx'?"),
        ("wholly_new_thing", "one of draft_num_predict, frequency_penalty"),
    ],
)
def test_a_name_that_is_none_is_told_with_its_place(name: str, expected: str) -> None:
    assert expected in (refusal_of_name(name) or "")


def test_known_names() -> None:
    assert not any(map(refusal_of_name, [*PARAMETERS, "typical_p"]))
    assert not PARAMETERS.keys() & REMOVED_PARAMETERS.keys()
    assert {*PARAMETERS.values()} == {*ParameterType}
