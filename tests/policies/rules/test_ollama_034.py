"""Configuration for Ollama 0.34 as people write it: what is found, by file, and what is not."""

from collections.abc import Mapping

import pytest

from ollama_policy.rules import RULES
from tests.policies.rules.test_examples import run

SERVER = "services:\n  ollama:\n    image: ollama/ollama:0.34.3\n    mem_limit: {}\n"
FLAG = "    environment:\n"


def compose(limit: str, *environment: str) -> Mapping[str, str]:
    lines = [f"      {line}\n" for line in environment]
    return {"compose.yaml": SERVER.format(limit) + (FLAG if lines else "") + "".join(lines)}


def found(files: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Each finding: rule, severity as it is reported, and the text at its place."""
    result = run({path: text.encode() for path, text in files.items()}, RULES)
    assert not result.unreadable
    assert result.read == len(files)
    return [
        (one.finding.rule.id, one.severity.value, _written(files[one.finding.file.path], one.finding.span))
        for one in result.findings
    ]


def _written(text: str, span: tuple[int, int]) -> str:
    return text.encode()[slice(*span)].decode()


UNIT = "[Unit]\nDescription=Ollama\n[Service]\nExecStart=/opt/ollama-0.32.15/bin/ollama serve\n"

SCRIPT = """#!/bin/sh
curl http://localhost:11434/api/generate -d '{"model": "chat", "options": {"num_batch": 512}}'
curl http://localhost:11434/api/generate -d '{"model": "chat", "options": {"main_gpu": 0}}'
curl http://localhost:11434/api/chat -d '{"model": "chat", "messages": [], "shift": false}'
curl http://localhost:11434/api/generate -d '{"model": "chat", "options": {"draft_num_predict": 8}}'
curl http://localhost:11434/api/generate -d '{"model": "chat", "options": {"num_batch": 1024}}'
# keep_alive num_ctx ollama
curl http://localhost:11434/api/generate -d '{"model": "chat", "options": {"num_ctx": 32768}}'
"""
CHAT = "- name: chat\n  base: llama3\n  memory_management: manual\n  parameters:\n    num_ctx: 32768\n"

ENV_FILE = """# OLLAMA env, docker run --env-file
OLLAMA_KEEP_ALIVE=5m
LLAMA_ARG_CACHE_RAM="512"
LLAMA_ARG_CTX_CHECKPOINTS=4
LLAMA_ARG_CACHE_RAM_MB=512
LLAMA_ARG_CACHERAM=512
LLAMA_ARG_MLOCK=1
"""

CASES: dict[str, tuple[Mapping[str, str], list[tuple[str, str, str]]]] = {
    "a version that leaks nothing that is fixed": ({"ollama.service": UNIT}, []),
    "names and texts of every kind": (
        compose(
            "64g",
            'OLLAMA_CACHE_RAM: "1024"',
            'OLLAMA_CREATE_REMOTE: "off"',
            'OLLAMA_MLX_MAX_PAGED_OUT_BYTES: "1073741824"',
            'OLLAMA_MLX_CACHE_RAM: "1024"',
            'LLAMA_ARG_CACHE_RAM: "1GB"',
            'LLAMA_ARG_FIT_TARGET: "1GB"',
            'LLAMA_ARG_FIT: "no"',
            'LLAMA_ARG_CTX_SIZE: "8192"',
            'LLAMA_ARG_N_PARALLEL: "4"',
            'LLAMA_ARG_CACHE_TYPE_K: "q8_0"',
            'OLLAMA_MULTIUSER_CACHE: "1"',
            'OLLAMA_EXPERIMENT: "client2"',
            'OLLAMA_VULKAN: "1"',
        ),
        [
            ("OLL104", "warning", '"1024"'),
            ("OLL102", "error", '"off"'),
            ("OLL104", "warning", '"1073741824"'),
            ("OLL104", "warning", '"1024"'),
            ("OLL110", "error", '"1GB"'),
            ("OLL110", "error", '"1GB"'),
            ("OLL110", "error", '"no"'),
            ("OLL111", "info", '"8192"'),
            ("OLL111", "info", '"4"'),
            ("OLL107", "info", '"q8_0"'),
            ("OLL105", "warning", '"1"'),
        ],
    ),
    "a negative prompt cache": (compose("64g", 'LLAMA_ARG_CACHE_RAM: "-2"'), [("OLL202", "info", '"-2"')]),
    "three caches of 12 GiB in 16": (
        compose("16g", 'LLAMA_ARG_CACHE_RAM: "12288"', 'OLLAMA_MAX_LOADED_MODELS: "3"'),
        [("OLL202", "warning", '"12288"')],
    ),
    "quantised values alone, on a CPU": (compose("64g", "LLAMA_ARG_CACHE_TYPE_V: q8_0"), [("OLL107", "info", "q8_0")]),
    "a type for both wins": (
        compose("64g", "OLLAMA_KV_CACHE_TYPE: f16", "LLAMA_ARG_CACHE_TYPE_K: q8_0"),
        [("OLL111", "info", "q8_0")],
    ),
    "a quantised cache on a CPU": (compose("64g", "OLLAMA_KV_CACHE_TYPE: q8_0"), [("OLL107", "info", "q8_0")]),
    "an env file": (
        {"ollama.env": ENV_FILE},
        [
            ("OLL110", "warning", '"512"'),
            ("OLL104", "warning", "512"),
            ("OLL104", "warning", "512"),
            ("OLL104", "warning", "1"),
        ],
    ),
    "an empty text": (compose("16g", 'LLAMA_ARG_CACHE_RAM: ""'), [("OLL110", "error", '""')]),
    "options that reload, and that do not": (
        {"ask.sh": SCRIPT, "models.yaml": CHAT, **compose("64g", 'OLLAMA_KEEP_ALIVE: "-1"')},
        [
            ("OLL403", "warning", "512"),
            ("OLL403", "warning", "0"),
            ("OLL403", "warning", "false"),
            ("OLL403", "warning", "8"),
        ],
    ),
    "six caches of 8 GiB in 40": (
        compose("40g", 'OLLAMA_MAX_LOADED_MODELS: "6"', 'OLLAMA_KEEP_ALIVE: "30m"'),
        [("OLL202", "warning", "40g")],
    ),
    "three caches of 8 GiB in 32": (compose("32g"), [("OLL202", "warning", "32g")]),
    "a parameter that is refused": (
        {
            "models.tf": 'resource "ollama_model" "tp" {\n  name       = "tp"\n  base       = "llama3"\n'
            '  keep_alive = "5m"\n  parameters = { typical_p = 0.7 }\n}\n'
        },
        [("OLL404", "error", "{ typical_p = 0.7 }")],
    ),
    "a Modelfile with a parameter that is refused": (
        {"Modelfile": "FROM llama3\nPARAMETER typical_p 0.7\nPARAMETER use_mlock true\n"},
        [("OLL404", "error", "0.7"), ("OLL404", "warning", "true")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_configuration_for_034(case: str) -> None:
    files, expected = CASES[case]
    assert found(files) == expected


@pytest.mark.parametrize(
    ("text", "has_a_size"), [('LLAMA_ARG_FIT: "no"', False), ('LLAMA_ARG_CACHE_RAM: "auto"', True)]
)
def test_a_variable_that_is_no_size_is_not_advised_one(text: str, has_a_size: bool) -> None:
    result = run({path: text.encode() for path, text in compose("64g", text).items()}, RULES)
    (finding,) = [one.finding for one in result.findings if one.finding.rule.id == "OLL110"]
    assert ("1 GiB" in (finding.advice or finding.rule.fix)) == has_a_size
