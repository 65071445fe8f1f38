"""OLL101 to OLL109: what a server's variables say."""

from typing import Any

import pytest

from ollama_policy.model.rule import Rule, Severity, Target
from ollama_policy.model.settings import Style
from ollama_policy.rules.bare_seconds import BareSeconds
from ollama_policy.rules.boolean_reads_true import BooleanReadsTrue
from ollama_policy.rules.invalid_duration import InvalidDuration
from ollama_policy.rules.invalid_number import InvalidNumber
from ollama_policy.rules.models_is_a_folder import ModelsIsAFolder
from ollama_policy.rules.quantised_kv_without_flash_attention import QuantisedKvWithoutFlashAttention
from ollama_policy.rules.removed_variable import RemovedVariable
from ollama_policy.rules.server_never_releases import ServerNeverReleases
from ollama_policy.rules.unknown_kv_cache_type import UnknownKvCacheType
from ollama_policy.rules.unknown_variable import UnknownVariable
from ollama_provider.ollama.settings.variables import NEVER_VARIABLES
from tests.policies.rules.subjects import ANY, UNKNOWN, fixed, judged, model, places, server, written

OLD, NEW = {"image": "ollama/ollama:0.17.4"}, {"image": "ollama/ollama:0.32.15"}
KEEP_ALIVE, LOAD_TIMEOUT, FLASH = "OLLAMA_KEEP_ALIVE", "OLLAMA_LOAD_TIMEOUT", "OLLAMA_FLASH_ATTENTION"
KV, MODELS, OVERHEAD = "OLLAMA_KV_CACHE_TYPE", "OLLAMA_MODELS", "OLLAMA_GPU_OVERHEAD"

# rule, settings, the place that is found; None: nothing
CASES: list[tuple[type[Rule], dict[str, Any], str | None]] = [
    (InvalidDuration, {KEEP_ALIVE: "1d"}, '"1d"'),
    (InvalidDuration, {KEEP_ALIVE: "10 minutes"}, '"10 minutes"'),
    (InvalidDuration, {KEEP_ALIVE: "24h # a day"}, '"24h # a day"'),
    (InvalidDuration, {LOAD_TIMEOUT: "forever"}, '"forever"'),
    (InvalidDuration, {KEEP_ALIVE: 1.5}, "1.5"),
    (InvalidDuration, {KEEP_ALIVE: True}, "true"),
    *((InvalidDuration, {KEEP_ALIVE: good}, None) for good in ("5m", " 5m ", "'24h'", "-1", -1, 300, "0", "", None)),
    (InvalidDuration, {KEEP_ALIVE: UNKNOWN}, None),
    (InvalidDuration, {KEEP_ALIVE: "1d", "image": "ollama/ollama:0.1.20"}, None),
    (InvalidDuration, {LOAD_TIMEOUT: "1d", "version": "0.3.9"}, None),
    *((BooleanReadsTrue, {FLASH: bad}, f'"{bad}"') for bad in ("off", "no", "disabled", "fAlse", "auto", "0 # no")),
    *((BooleanReadsTrue, {FLASH: good}, None) for good in ("1", "0", "true", "False", "on", "Yes", "TrUe", "2", "")),
    *((BooleanReadsTrue, {FLASH: good}, None) for good in (True, False, 0, 1, None, UNKNOWN, '"0"', " false ")),
    (BooleanReadsTrue, {"OLLAMA_NOPRUNE": "never"}, '"never"'),
    (BooleanReadsTrue, {"OLLAMA_DEBUG": "off"}, None),
    (BooleanReadsTrue, {"OLLAMA_VULKAN": "off", **OLD}, '"off"'),
    (BooleanReadsTrue, {"OLLAMA_VULKAN": "off", "version": "0.12.10"}, None),
    (BooleanReadsTrue, {"OLLAMA_NEW_ENGINE": "off"}, None),  # OLL105
    (BooleanReadsTrue, {"OLLAMA_NEW_ENGINE": "off", **OLD}, '"off"'),
    *((InvalidNumber, {OVERHEAD: bad}, f'"{bad}"') for bad in ("1GB", "-1", "1e9", "0x10", "1.0", "auto", "1_000")),
    (InvalidNumber, {"OLLAMA_NUM_PARALLEL": -1}, "-1"),
    (InvalidNumber, {"OLLAMA_CONTEXT_LENGTH": "8k"}, '"8k"'),
    *((InvalidNumber, {OVERHEAD: good}, None) for good in ("0", 0, 1073741824, "'4'", "", None, UNKNOWN)),
    (InvalidNumber, {"OLLAMA_CONTEXT_LENGTH": "8k", "image": "ollama/ollama:0.5.12"}, None),
    (InvalidNumber, {"OLLAMA_MAX_VRAM": "8GB"}, None),  # OLL105
    (UnknownVariable, {"OLLAMA_KEEPALIVE": "5m"}, '"5m"'),
    (UnknownVariable, {"OLLAMA_NUM_CTX": 8192}, "8192"),
    (UnknownVariable, {"OLLAMA_MAX_LOADED_MODEL": 1}, "1"),
    (UnknownVariable, {"OLLAMA_KEEP_ALIVES": "5m"}, '"5m"'),
    (UnknownVariable, {"OLLAMA_CONTEXT_LENGHT": 1}, "1"),
    *((UnknownVariable, {f"OLLAMA_{own}": "x"}, None) for own in ("MODEL", "BASE_URL", "URL", "TIMEOUT", "API_KEYS")),
    *((UnknownVariable, {f"OLLAMA_{own}": "x"}, None) for own in ("HOSTS", "MODELS_DIR", "DEFAULT_MODEL", "IMAGE")),
    (UnknownVariable, {"KEEP_ALIVE": "5m"}, None),
    (UnknownVariable, {KEEP_ALIVE: "5m", MODELS: "/models", "OLLAMA_HOST": "0.0.0.0"}, None),
    (UnknownVariable, {"OLLAMA_CONTEXT_LENGTH": 8192, "image": "ollama/ollama:0.5.12"}, "8192"),
    (UnknownVariable, {"LLAMA_ARG_CACHE_RAM": 512, **OLD}, "512"),
    (UnknownVariable, {"OLLAMA_CONTEXT_LENGTH": 8192, "image": "ollama/ollama:0.5.13"}, None),
    (UnknownVariable, {"OLLAMA_CONTEXT_LENGTH": 8192, "image": "mirror/thing:0.5.1"}, None),
    (UnknownVariable, {"OLLAMA_API_KEY": "secret", **OLD}, None),
    (RemovedVariable, {"OLLAMA_MAX_VRAM": 8589934592}, "8589934592"),
    (RemovedVariable, {"OLLAMA_NEW_ENGINE": 1, **NEW}, "1"),
    (RemovedVariable, {"OLLAMA_TMPDIR": "/tmp", **OLD}, '"/tmp"'),  # noqa: S108 - a setting, not a file
    (RemovedVariable, {"OLLAMA_NEW_ENGINE": 1, **OLD}, None),
    (RemovedVariable, {"OLLAMA_MAX_VRAM": 1, "image": "ollama/ollama:0.6.8-rocm"}, None),
    (RemovedVariable, {KEEP_ALIVE: "5m"}, None),
    (UnknownKvCacheType, {KV: "q8"}, '"q8"'),
    (UnknownKvCacheType, {KV: "fp16"}, '"fp16"'),
    (UnknownKvCacheType, {KV: "q5_0", **OLD}, '"q5_0"'),
    (UnknownKvCacheType, {KV: "turbo3", **NEW}, '"turbo3"'),
    *((UnknownKvCacheType, {KV: good, **OLD}, None) for good in ("f16", "q8_0", "Q4_0", "'q8_0'", "", None, UNKNOWN)),
    *((UnknownKvCacheType, {KV: good}, None) for good in ("q5_0", "bf16", "iq4_nl")),
    (UnknownKvCacheType, {KV: "q8", "version": "0.4.7"}, None),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", **OLD}, '"q8_0"'),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", FLASH: "0"}, '"q8_0"'),
    (QuantisedKvWithoutFlashAttention, {KV: "q4_0", FLASH: False, **NEW}, '"q4_0"'),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", FLASH: "1", **OLD}, None),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", FLASH: "off", **OLD}, None),  # true to Ollama: OLL102
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", FLASH: UNKNOWN, **OLD}, None),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0"}, '"q8_0"'),
    (QuantisedKvWithoutFlashAttention, {KV: "q8_0", **NEW}, '"q8_0"'),
    (QuantisedKvWithoutFlashAttention, {KV: "f16", FLASH: "0"}, None),
    (QuantisedKvWithoutFlashAttention, {KV: "turbo3", FLASH: "0"}, None),  # OLL106
    *(
        (ModelsIsAFolder, {MODELS: bad}, f'"{bad}"')
        for bad in ("llama3:8b", "llama3,mistral", "llama3 mistral", "llama3:8b, user/phi3:mini", "a1;b2")
    ),
    *(
        (ModelsIsAFolder, {MODELS: good}, None)
        for good in ("/models", "models", "llama3", "./models", "C:\\models", "D:/models", "~/m", "/my models", "")
    ),
    (ModelsIsAFolder, {MODELS: UNKNOWN}, None),
    *((ServerNeverReleases, {KEEP_ALIVE: bad}, f'"{bad}"') for bad in ("-1", "-1m", "9999999999", "'-1'")),
    (ServerNeverReleases, {KEEP_ALIVE: -1}, "-1"),
    *((ServerNeverReleases, {KEEP_ALIVE: good}, None) for good in ("24h", "0", "forever", UNKNOWN, None)),
    (ServerNeverReleases, {KEEP_ALIVE: "-1", "version": "0.1.28"}, None),
]


@pytest.mark.parametrize(("rule", "values", "place"), CASES)
def test_variables(rule: type[Rule], values: dict[str, Any], place: str | None) -> None:
    assert places(rule, server(values)) == ([] if place is None else [place])


@pytest.mark.parametrize("name", NEVER_VARIABLES)
def test_names_that_never_were_variables(name: str) -> None:
    (finding,) = judged(UnknownVariable, [server({name: "1"})])
    assert finding.label == f"did you mean {NEVER_VARIABLES[name]}?"


@pytest.mark.parametrize(
    ("rule", "values", "wanted"),
    [
        (InvalidDuration, {KEEP_ALIVE: "1d"}, '"24h"'),
        (InvalidDuration, {KEEP_ALIVE: "forever"}, '"-1m"'),
        (InvalidDuration, {KEEP_ALIVE: "24h # a day"}, '"24h"'),
        (BooleanReadsTrue, {FLASH: "off"}, '"0"'),
        (InvalidNumber, {OVERHEAD: "1GB"}, '"1073741824"'),
        (InvalidNumber, {OVERHEAD: "512 MiB"}, '"536870912"'),
        (UnknownKvCacheType, {KV: "q8"}, '"q8_0"'),
        (UnknownKvCacheType, {KV: "Q8-0"}, '"q8_0"'),
        (ServerNeverReleases, {KEEP_ALIVE: -1}, '"5m"'),
    ],
)
def test_ways_out_change_what_was_meant(rule: type[Rule], values: dict[str, Any], wanted: str) -> None:
    (finding,) = judged(rule, [server(values)])
    (name,) = values
    assert fixed(finding) == f"# ollama\n{name} = {wanted}\n"
    assert not finding.fixes[0].is_safe
    assert places(rule, server({name: wanted.strip('"')})) == []


@pytest.mark.parametrize(("style", "wanted"), [(Style.BARE, "24h"), (Style.YAML, '"24h"'), (Style.HCL, '"24h"')])
def test_ways_out_keep_the_formats_quotes(style: Style, wanted: str) -> None:
    (finding,) = judged(InvalidDuration, [server({KEEP_ALIVE: "1d"}, style=style)])
    assert fixed(finding) == f"# ollama\n{KEEP_ALIVE} = {wanted}\n"


def test_a_list_of_assignments_stays_bare() -> None:
    one = server({KEEP_ALIVE: "1d"}, style=Style.BARE)
    one.style = Style.YAML
    setting = one.settings[KEEP_ALIVE]
    setting.file.data = setting.file.data.replace(b" = ", b"=")
    setting.span = type(setting.span)(setting.span.start - 2, setting.span.end - 2)
    (finding,) = judged(InvalidDuration, [one])
    assert (written(finding), fixed(finding)) == ("1d", f"# ollama\n{KEEP_ALIVE}=24h\n")


def test_no_way_out_where_nobody_knows_what_was_meant() -> None:
    for rule, values in ((InvalidDuration, {KEEP_ALIVE: "soon"}), (InvalidNumber, {OVERHEAD: "auto"})):
        (finding,) = judged(rule, [server(values)])
        assert finding.fixes == ()


def test_flash_attention_is_added() -> None:
    (finding,) = judged(QuantisedKvWithoutFlashAttention, [server({KV: "q8_0", **OLD})])
    assert fixed(finding).endswith(f'{FLASH} = "1"\n')


def test_a_server_may_keep_what_is_declared_resident() -> None:
    never = server({KEEP_ALIVE: "-1"})
    pinned = model({"name": "m", "memory_management": "manual"})
    assert places(ServerNeverReleases, never, pinned) == []
    assert places(ServerNeverReleases, never, model({"name": "m", "memory_management": UNKNOWN})) == []
    assert places(ServerNeverReleases, never, model({"name": "m", "keep_alive": "5m"})) == ['"-1"']


def test_the_users_version_counts_where_the_file_has_none() -> None:
    target = Target(version=(0, 5, 12))
    assert places(UnknownVariable, server({"OLLAMA_CONTEXT_LENGTH": 8192}), target=target) == ["8192"]
    assert places(UnknownVariable, server({"OLLAMA_CONTEXT_LENGTH": 8192, **OLD}), target=target) == []
    assert places(RemovedVariable, server({"OLLAMA_MAX_VRAM": 1}), target=target) == []


@pytest.mark.parametrize(
    ("values", "target", "severity"),
    [
        ({**NEW}, ANY, Severity.INFO),
        ({"gpu_count": 1, **NEW}, ANY, Severity.WARNING),
        ({**NEW}, Target(gpu_memory_bytes=2**34), Severity.WARNING),
        ({**OLD}, ANY, Severity.WARNING),
        ({FLASH: "0", **NEW}, ANY, Severity.WARNING),
    ],
)
def test_automatic_flash_attention_is_right_on_a_cpu_alone(
    values: dict[str, Any], target: Target, severity: Severity
) -> None:
    (found,) = judged(QuantisedKvWithoutFlashAttention, [server({KV: "q8_0", **values})], target)
    assert (found.severity or found.rule.severity) is severity


@pytest.mark.parametrize(
    ("value", "is_found"),
    [("2", True), (30, True), ("60", True), ("61", False), ("0", False), ("-1", False), ("30s", False)],
)
def test_a_small_bare_number_is_seconds(value: str | int, is_found: bool) -> None:
    found = judged(BareSeconds, [server({KEEP_ALIVE: value})])
    assert len(found) == is_found
    if found:
        assert fixed(found[0]) == f'# ollama\n{KEEP_ALIVE} = "{value}m"\n'
        assert fixed(found[0], 1) == f'# ollama\n{KEEP_ALIVE} = "{value}s"\n'
