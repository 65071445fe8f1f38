"""Settings of a server: what Ollama would not read as it was meant is an error at its place."""

from typing import Any

import pytest

from ollama_provider.ollama.settings.variables import VARIABLES, env_bool, env_keep_alive, env_uint, trimmed
from ollama_provider.server_environment import SETTINGS, environment_file, problems_of, variables_of


def places(settings: dict[str, Any], *unknown: str, version: str | None = None) -> list[str]:
    return [str(problem) for problem in problems_of(settings, unknown, version)]


def test_every_variable_that_is_read_today_is_a_setting_but_the_secret() -> None:
    removed = {name for name, variable in VARIABLES.items() if variable.removed}
    assert VARIABLES.keys() - set(SETTINGS.values()) == removed | {"OLLAMA_API_KEY"}
    assert SETTINGS["keep_alive"] == "OLLAMA_KEEP_ALIVE"
    assert SETTINGS["llama_arg_cache_ram"] == "LLAMA_ARG_CACHE_RAM"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("keep_alive", "24h", "24h"),
        ("keep_alive", "-1", "-1"),
        ("load_timeout", "300", "300"),
        ("num_parallel", 4, "4"),
        ("gpu_overhead", 2**64 - 1, str(2**64 - 1)),
        ("flash_attention", True, "true"),
        ("noprune", False, "false"),
        ("kv_cache_type", "F16", "F16"),
        ("llama_arg_cache_ram", -1, "-1"),
        ("models", "/data/models", "/data/models"),
        ("models", "C:\\models", "C:\\models"),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("origins", "https://a.example,http://b.example:*", "https://a.example,http://b.example:*"),
    ],
)
def test_good_settings_and_their_texts(name: str, value: Any, text: str) -> None:
    assert places({name: value}) == []
    assert variables_of({name: value}) == {SETTINGS[name]: text}


def test_ollama_reads_the_texts_as_they_were_meant() -> None:
    texts = variables_of({"keep_alive": "90m", "num_parallel": 3, "flash_attention": True, "noprune": False})
    assert env_keep_alive(texts["OLLAMA_KEEP_ALIVE"]) == 90 * 60 * 10**9
    assert env_uint(texts["OLLAMA_NUM_PARALLEL"]) == 3
    assert (env_bool(texts["OLLAMA_FLASH_ATTENTION"]), env_bool(texts["OLLAMA_NOPRUNE"])) == (True, False)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "keep_alive",
            "1d",
            'found "1d", expected a Go duration such as "5m" or "1h30m", or whole seconds; negative is forever '
            '(did you mean "24h"?)',
        ),
        (
            "load_timeout",
            "",
            'found "", expected a Go duration such as "5m" or "1h30m", or whole seconds; negative is forever',
        ),
        ("num_parallel", -1, "found -1, expected a whole number, 0 or more"),
        ("num_parallel", 1.5, "found 1.5, expected a whole number, 0 or more"),
        ("gpu_overhead", 2**64, f"found {2**64}, expected a whole number, 0 or more"),
        ("llama_arg_cache_ram", -2, "found -2, expected whole MiB, -1 or more"),
        ("flash_attention", "on", 'found "on", expected true or false'),
        (
            "kv_cache_type",
            "q8",
            'found "q8", expected one of f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl',
        ),
        ("models", "llama3:8b", 'found "llama3:8b", expected the absolute path of the folder of all models'),
        ("models", "/a\n/b", 'found "/a\\n/b", expected one line of text without single quotes'),
        ("llm_library", "it's", 'found "it\'s", expected one line of text without single quotes'),
        ("debug", "\x1b[2J", 'found "\\u001b[2J", expected one line of text without single quotes'),
        (
            "host",
            "0.0.0.0:port",
            'found "0.0.0.0:port", expected an address to listen on, as in OLLAMA_HOST; '
            "Port could not be cast to integer value as 'port'; expected [scheme://]host[:port][/path]",
        ),
    ],
)
def test_what_ollama_would_not_read_is_told_at_its_place(name: str, value: Any, problem: str) -> None:
    assert places({name: value}) == [f"{name}: {problem}"]


@pytest.mark.parametrize(
    ("settings", "unknown", "version", "is_good"),
    [
        ({"kv_cache_type": "q8_0"}, (), None, False),
        ({"kv_cache_type": "q8_0", "flash_attention": False}, (), None, False),
        ({"kv_cache_type": "q8_0", "flash_attention": True}, (), None, True),
        ({"kv_cache_type": "q8_0"}, ("flash_attention",), None, True),
        ({"kv_cache_type": "q8_0"}, (), "0.17.4", False),
        ({"kv_cache_type": "q8_0"}, (), "0.30.0", True),
        ({"kv_cache_type": "q8_0", "flash_attention": False}, (), "0.30.0", False),
        ({"kv_cache_type": "f16", "flash_attention": False}, (), None, True),
        ({"flash_attention": False}, ("kv_cache_type",), None, True),
    ],
)
def test_a_quantised_kv_cache_needs_flash_attention(
    settings: dict[str, Any], unknown: tuple[str, ...], version: str | None, is_good: bool
) -> None:
    problems = problems_of(settings, unknown, version)
    assert [problem.path for problem in problems] == ([] if is_good else [("kv_cache_type",)])


def test_a_version_says_what_it_reads() -> None:
    assert places({"igpu_enable": True}, version="0.17.4") == [
        "igpu_enable: found true, expected nothing: OLLAMA_IGPU_ENABLE is read from Ollama 0.30.0 on, "
        "and the version is 0.17.4"
    ]
    assert places({"igpu_enable": True}, version="v0.33.0-rc2") == places({"igpu_enable": True}) == []
    assert places({"kv_cache_type": "q5_1", "flash_attention": True}, version="0.17.4") == [
        'kv_cache_type: found "q5_1", expected one of f16, q8_0, q4_0'
    ]
    assert places({"keep_alive": "1d"}, version="latest") == [
        'version: found "latest", expected a version of Ollama such as "0.34.3"'
    ]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert [problem.path for problem in problems_of({"keep_alive": "1d", "max_queue": -1})] == [
        ("keep_alive",),
        ("max_queue",),
    ]


def test_a_file_quotes_what_its_readers_would_cut() -> None:
    variables = {"A": "24h", "B": "/data/my models", "C": "a #b", "D": "$HOME", "E": 'say "x"', "F": ""}
    text = environment_file(variables)
    assert text == "A=24h\nB='/data/my models'\nC='a #b'\nD='$HOME'\nE='say \"x\"'\nF=\n"
    assert trimmed("'/data/my models'") == "/data/my models", "what Docker's --env-file keeps, Ollama takes off"
