"""LLAMA_ARG_*: how llama.cpp's server reads each text."""

import pytest

from ollama_provider.ollama.settings.llama_arguments import (
    ARGUMENTS,
    OVERRIDDEN,
    REMOVED,
    Kind,
    is_opposite,
    misreading,
    name_of,
    whole,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512", 512),
        ("-1", -1),
        ("+5", 5),
        (" \t7", 7),
        ("1GB", 1),
        ("512MB", 512),
        ("1.5", 1),
        ("1e3", 1),
        ("0x10", 0),
        ("007", 7),
        ("2147483647", 2**31 - 1),
        ("2147483648", None),
        ("9" * 400, None),
        ("", None),
        (" ", None),
        ("auto", None),
        ('"512"', None),
        ("-", None),
        ("--1", None),
        ("\u0661", None),  # a digit, but not one of C's
    ],
)
def test_whole_numbers_are_read_as_stoi_reads_them(text: str, number: int | None) -> None:
    assert whole(text) == number


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("CACHE_RAM", "99999999999", "digits only, in MiB, from -2147483648 to 2147483647"),
        ("N_CPU_MOE", "2147483648", "digits only, from 0 to 2147483647"),
        ("FIT_TARGET", "9" * 20, "digits only, in MiB, at most 18446744073709551615"),
        ("CACHE_RAM", "auto", "digits only, in MiB"),
    ],
)
def test_a_number_that_is_too_large_is_told_what_is_taken(name: str, text: str, expected: str) -> None:
    wrong = misreading(f"LLAMA_ARG_{name}", text)
    assert wrong is not None
    assert (wrong.is_refused, wrong.expected) == (True, expected)


@pytest.mark.parametrize(
    ("name", "text", "is_refused"),
    [
        ("CACHE_RAM", "512", None),
        ("CACHE_RAM", "512 ", None),
        ("CACHE_RAM", "1GB", False),
        ("CACHE_RAM", "auto", True),
        ("CACHE_RAM", "", True),
        ("CACHE_RAM", '"512"', True),
        ("CACHE_RAM", "-1", None),
        ("N_PARALLEL", "0", True),
        ("N_PARALLEL", "-1", None),
        ("THINK_BUDGET", "-1", None),
        ("THINK_BUDGET", "-2", True),
        ("N_CPU_MOE", "-1", True),
        ("FIT_TARGET", "1024", None),
        ("FIT_TARGET", "1024,2048", None),
        ("FIT_TARGET", "1GB", False),
        ("FIT_TARGET", "1024,", None),
        ("FIT_TARGET", "1,,2", None),
        ("FIT_TARGET", ",1024", True),
        ("FIT_TARGET", "", True),
        ("FIT_TARGET", "-1", False),
        ("FIT_TARGET", "half", True),
        ("FIT", "on", None),
        ("FIT", "0", None),
        ("FIT", "no", True),
        ("FIT", "auto", True),
        ("FIT", "ON", True),
        ("FLASH_ATTN", "auto", None),
        ("FLASH_ATTN", "-1", None),
        ("FLASH_ATTN", "yes", True),
        ("KV_OFFLOAD", "true", None),
        ("KV_OFFLOAD", "True", True),
        ("KV_OFFLOAD", "", True),
        ("SWA_FULL", "1", None),
        ("SWA_FULL", "off", None),
        ("SWA_FULL", "yes", False),
        ("CACHE_TYPE_K", "q8_0", None),
        ("CACHE_TYPE_K", "Q8_0", True),
        ("LOAD_MODE", "mlock", None),
        ("LOAD_MODE", "lock", True),
        ("NUMA", "", None),
        ("N_GPU_LAYERS", "all", None),
        ("N_GPU_LAYERS", "20", None),
        ("N_GPU_LAYERS", "most", True),
        ("ROPE_SCALE", "0.5", None),
        ("ROPE_SCALE", "half", True),
        ("TENSOR_SPLIT", "3,1", None),
        ("TENSOR_SPLIT", "3,x", True),
        ("TENSOR_SPLIT", "1,", None),
        ("TENSOR_SPLIT", ",1", True),
        ("TENSOR_SPLIT", ",".join("1" * 15), None),
        ("TENSOR_SPLIT", ",".join("1" * 16), True),
        ("TENSOR_SPLIT", "inf", None),
        ("TENSOR_SPLIT", "0x1p3", None),
        ("ROPE_SCALE", ".5", None),
        ("ROPE_SCALE", "nan", None),
        ("ROPE_SCALE", "1e999", True),
        ("ROPE_SCALE", "1e-50", True),
        ("ROPE_SCALE", ".", True),
        ("ROPE_SCALE", "-e", True),
        ("ROPE_SCALE", "0x1p99999", True),
        ("ROPE_SCALE", "1_0", False),
        ("ROPE_SCALE", "0.5x", False),
        ("SPEC_TYPE", "ngram-mod,ngram-cache", None),
        ("SPEC_TYPE", "none,of these", None),
        ("SPEC_TYPE", "", True),
        ("SPEC_TYPE", "ngram-mod,", True),
        ("CHAT_TEMPLATE_KWARGS", '{"a": 1}', None),
        ("CHAT_TEMPLATE_KWARGS", "{a", True),
        ("CHAT_TEMPLATE_KWARGS", "", True),
        ("DRAFT_MAX", "8", True),
        ("NO_SUCH_THING", "x", None),
    ],
)
def test_texts(name: str, text: str, is_refused: bool | None) -> None:
    found = misreading(f"LLAMA_ARG_{name}", text)
    assert (None if found is None else found.is_refused) is is_refused
    if found is not None:
        assert found.what
        assert found.expected


def test_names() -> None:
    assert name_of("LLAMA_ARG_NO_KV_OFFLOAD") == "LLAMA_ARG_KV_OFFLOAD"
    assert name_of("LLAMA_ARG_NO_HOST") == "LLAMA_ARG_NO_HOST"  # an argument of its own
    assert is_opposite("LLAMA_ARG_NO_UI")
    assert not is_opposite("LLAMA_ARG_UI")
    assert not REMOVED.keys() & ARGUMENTS.keys()
    assert OVERRIDDEN.keys() <= ARGUMENTS.keys()
    assert all(argument.choices for argument in ARGUMENTS.values() if argument.kind is Kind.CHOICE)
