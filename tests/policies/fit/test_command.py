"""The command line of `fit`: how it ends, where its settings are from, what it makes of what it cannot know."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ollama_policy.errors import UnreadableError
from ollama_policy.live import snapshot
from ollama_policy.live.capacity import observe
from ollama_policy.live.capacity.observe import ServerDetails, from_json, to_json
from ollama_provider.ollama.answers import ModelDetails
from ollama_provider.ollama.names import ModelName
from tests.engines.faulty_ollama import FakeOllamaWithFaults
from tests.engines.tiny_models import write_llama
from tests.policies.conftest import Command
from tests.policies.drift.servers import NOW, URL, running, seen
from tests.policies.fit.test_sums import LLAMA_8B, of_architecture
from tests.provider.gguf_writing import write_keys
from tests.schemas import valid

MANUAL = 'resource "ollama_model" "m" {\n  name              = "chat"\n  memory_management = "manual"\n}\n'
CTX = 'resource "ollama_model" "m" {\n  name = "mine"\n  base = "chat"\n  parameters = { num_ctx = 8192 }\n}\n'
SERVER = "services:\n  ollama:\n    image: ollama/ollama:0.17.4\n    mem_limit: 4g\n    environment:\n      {}\n"
CACHE = "LLAMA_ARG_CACHE_RAM"
RESTART = "it takes effect with a restart"
ROOM = ("--memory", "16GiB")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def looked(metadata: Mapping[str, Any] = LLAMA_8B, num_ctx: int | None = None) -> ServerDetails:
    details = ModelDetails("/blobs/a", 131072, ("completion",), num_ctx=num_ctx, metadata=metadata)
    return ServerDetails(seen({"chat": NOW}), {ModelName.parse("chat"): details})


@pytest.fixture
def recorded(tree: Path) -> str:
    (tree / "seen.json").write_text(to_json([looked()]))
    return "seen.json"


def judged(command: Command, *arguments: str) -> dict[str, Any]:
    report = valid("fit", command("fit", "--from", "seen.json", "--format", "json", *arguments).stdout)
    assert report["version"] == 2
    return dict(report["servers"][0])


def test_growth_is_a_warning_and_fails_where_that_is_asked_for(tree: Path, command: Command) -> None:
    seen = looked()
    (tree / "seen.json").write_text(to_json([seen._replace(seen=seen.seen._replace(version="0.34.3"))]))
    (tree / "models.tf").write_text(MANUAL)
    arguments = ("fit", "--from", "seen.json", "--memory", "8GiB")
    warned = command(*arguments)
    assert warned.exit_code == 0
    assert "fits, and may outgrow the memory" in warned.stdout
    assert "may grow by 8 GiB: bound it with LLAMA_ARG_CACHE_RAM" in warned.stdout
    assert command(*arguments, "--fail-on", "growth").exit_code == 1
    assert "warning" not in command(*arguments[:-1], "64GiB").stdout
    for text in ("512", "1GB", "-1"):
        (tree / "compose.yaml").write_text(SERVER.replace("0.17.4", "0.34.3").format(f"LLAMA_ARG_CACHE_RAM: {text}"))
        assert judged(command, "--memory", "8GiB")["outgrows"] is False


@pytest.mark.parametrize("text", ["auto", "''", "99999999999", "'\"512\"'"])
def test_a_prompt_cache_at_which_llama_server_ends_lets_no_model_load(tree: Path, command: Command, text: str) -> None:
    seen = looked()
    (tree / "seen.json").write_text(to_json([seen._replace(seen=seen.seen._replace(version="0.34.3"))]))
    (tree / "models.tf").write_text(MANUAL)
    (tree / "compose.yaml").write_text(SERVER.replace("0.17.4", "0.34.3").format(f"LLAMA_ARG_CACHE_RAM: {text}"))
    for memory in ((), ("--memory", "64GiB")):
        result = command("fit", "--from", "seen.json", *memory)
        assert result.exit_code == 1, result.stdout
        assert result.stdout.splitlines()[0].endswith(", Ollama 0.34.3: no model loads")
        assert "  error: compose.yaml:6:28: LLAMA_ARG_CACHE_RAM is " in result.stdout
        assert "may grow" not in result.stdout
    told = judged(command)
    assert told["fits"] is False
    assert "no model loads" in told["refused"]


def test_a_version_that_nobody_knows_yet_is_taken_for_the_newest_known(tree: Path, command: Command) -> None:
    seen = looked()
    (tree / "models.tf").write_text(MANUAL)
    for version, words in (("0.99.0", "Ollama 0.99.0 is newer than"), ("odd", "the version of Ollama is not known")):
        (tree / "seen.json").write_text(to_json([seen._replace(seen=seen.seen._replace(version=version))]))
        told = judged(command, *ROOM)
        assert words in "".join(told["assumed"])
        assert told["evicts_for_memory"] is False


def test_the_context_of_a_server_goes_by_the_memory_of_its_gpus(tree: Path, recorded: str, command: Command) -> None:
    (tree / "models.tf").write_text(MANUAL)
    for amount, num_ctx in (("8GiB", 4096), ("24GiB", 32768), ("48GiB", 131072)):
        [one] = judged(command, *ROOM, "--gpu-memory", amount)["models"]
        assert min(one["num_ctx"], 131072) == num_ctx
        assert amount.removesuffix("GiB") in one["num_ctx_from"]


@pytest.mark.parametrize(
    ("declared", "arguments", "code"),
    [
        (MANUAL, ROOM, 0),
        (MANUAL, ("--memory", "512MiB"), 1),
        (MANUAL, (), 2),
        (MANUAL.replace("chat", "other"), ROOM, 2),
        (MANUAL.replace('"chat"', "var.x"), ROOM, 2),
        (MANUAL.replace('"manual"', "var.x"), ROOM, 2),
        (MANUAL.replace("}", '  host = "http://two:11434"\n}'), ROOM, 2),
        (MANUAL + "}", ROOM, 2),
        (MANUAL.replace("}", "  resident = false\n}"), ("--memory", "1MiB"), 0),
        (None, ROOM, 3),
        (MANUAL, ("--memory", "much"), 2),
        (MANUAL, ("--memory", "0"), 2),
        (MANUAL, (*ROOM, "--kv-cache-type", "q3"), 2),
        (MANUAL, (*ROOM, "--num-parallel", "0"), 2),
        (MANUAL, (*ROOM, "--host", "one"), 2),
        (MANUAL, (*ROOM, "nothing.tf"), 2),
    ],
)
def test_exit_codes(
    tree: Path, recorded: str, command: Command, declared: str | None, arguments: tuple[str, ...], code: int
) -> None:
    if declared is not None:
        (tree / "models.tf").write_text(declared)
    result = command("fit", "--from", recorded, *arguments)
    assert result.exit_code == code, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_the_variables_and_the_limit_are_from_the_checkers_sources_and_options_win(
    tree: Path, recorded: str, command: Command
) -> None:
    (tree / "models.tf").write_text(MANUAL)
    variables = {"NUM_PARALLEL": 3, "CONTEXT_LENGTH": 2048, "KV_CACHE_TYPE": "Q8_0", "FLASH_ATTENTION": 1}
    variables["MAX_LOADED_MODELS"] = 2
    lines = "\n      ".join(f"OLLAMA_{name}: {value}" for name, value in variables.items())
    (tree / "compose.yaml").write_text(SERVER.format(lines))
    told = judged(command)
    assert told["memory_bytes"] == 4 * 2**30
    assert told["memory_from"] == "the limit at compose.yaml:2:3"
    assert told["settings"] == {
        "num_parallel": 3,
        "kv_cache_type": "q8_0",
        "flash_attention": True,
        "max_loaded_models": 2,
        "context_length": 2048,
        "prompt_cache_bytes": 0,
    }
    assert told["settings_from"]["OLLAMA_NUM_PARALLEL"] == "compose.yaml:6:28"
    assert told["models"][0]["num_ctx"] == 2048
    options = ("--num-parallel", "1", "--context-length", "512", "--no-flash-attention", "--max-loaded", "7")
    settings = judged(command, *options)["settings"]
    assert (settings["num_parallel"], settings["flash_attention"], settings["max_loaded_models"]) == (1, False, 7)


def test_what_of_the_server_cannot_be_decided_is_assumed_and_said(tree: Path, recorded: str, command: Command) -> None:
    (tree / "models.tf").write_text(MANUAL)
    (tree / "compose.yaml").write_text(SERVER.format("OLLAMA_NUM_PARALLEL: ${COUNT}\n      OLLAMA_KV_CACHE_TYPE: q3"))
    undecided, ignored = judged(command)["assumed"]
    assert undecided.startswith("compose.yaml:6:28: OLLAMA_NUM_PARALLEL cannot be decided")
    assert "f16" in ignored
    (tree / "other").mkdir()
    (tree / "other" / "compose.yaml").write_text(SERVER.format("OLLAMA_NUM_PARALLEL: 4"))
    [several] = judged(command)["assumed"]
    assert several.startswith("2 servers are configured (")


def test_the_target_machine_of_the_configuration(tree: Path, recorded: str, command: Command) -> None:
    (tree / "models.tf").write_text(MANUAL)
    (tree / "ollama-policy.toml").write_text(
        'target-memory = "8GiB"\ntarget-gpu-memory = "24GiB"\ntarget-gpu-count = 2\n'
    )
    told = judged(command)
    assert (told["memory_bytes"], told["gpu_memory_bytes"]) == (8 * 2**30, 48 * 2**30)
    assert told["settings"]["max_loaded_models"] == 6


def test_where_num_ctx_is_from(tree: Path, command: Command) -> None:
    (tree / "seen.json").write_text(to_json([looked(num_ctx=1024)]))
    (tree / "models.tf").write_text(CTX + MANUAL.replace('"m"', '"n"'))
    (tree / "later.tf").write_text('resource "ollama_model" "l" {\n  name = "later"\n  base = "mine"\n}\n')
    told = judged(command, *ROOM)
    assert told["unknown"] == []
    assert told["models"][0]["num_ctx"] == 8192
    assert set(told["shared"]) == {"chat:latest", "later:latest"} or set(told["shared"]) == {
        "chat:latest",
        "mine:latest",
    }
    (tree / "later.tf").unlink()
    (tree / "models.tf").write_text(MANUAL)
    assert judged(command, *ROOM)["models"][0]["num_ctx_from"] == "the model's own"


def test_an_architecture_that_is_not_known(tree: Path, command: Command) -> None:
    (tree / "seen.json").write_text(to_json([looked(of_architecture("other"))]))
    (tree / "models.tf").write_text(MANUAL)
    result = command("fit", "--from", "seen.json", *ROOM)
    assert result.exit_code == 2
    assert "chat:latest (models.tf:1:1): not known: " in result.stdout


def test_a_snapshot_of_drift_knows_no_details_and_says_so(tree: Path, command: Command) -> None:
    (tree / "seen.json").write_text(snapshot.to_json([seen({"chat": NOW}, [running("stray", digest="cc" * 32)])]))
    (tree / "models.tf").write_text(MANUAL)
    result = command("fit", "--from", "seen.json", *ROOM)
    assert result.exit_code == 2
    assert "fit --record" in result.stdout
    assert "stray:latest (in memory, but not declared): pinned, takes 1 MiB" in result.stdout


@pytest.mark.parametrize(
    "details",
    [
        3,
        {"chat": {}},
        {"": {}},
        {"chat": {"blob": 1}},
        {"chat": dict.fromkeys(sorted(ModelDetails.__annotations__), 5)},
    ],
)
def test_a_snapshot_that_is_none(details: Any) -> None:
    document = json.loads(to_json([looked()]))
    document["servers"][0]["details"] = details
    with pytest.raises(UnreadableError):
        from_json(json.dumps(document).encode())


def test_no_name_is_left_out_without_a_word(tree: Path, recorded: str, command: Command) -> None:
    names = ("chat:local", "CHAT:Local", "gpt-oss:20b-cloud", "gpt-oss:20b-cloud", "chat", "chat")
    absent = "    resident: false\n"
    (tree / "models.yaml").write_text(
        "models:\n"
        + "".join(
            f"  - name: {name}\n    memory_management: manual\n{absent if number % 2 else ''}"
            for number, name in enumerate(names)
        )
    )
    (tree / "seen.json").write_text((tree / "seen.json").read_text().replace('"0.17.4"', '"0.34.3"'))
    told = judged(command, *ROOM)
    [local] = told["unknown"]
    assert local["problem"] == "an apply refuses chat:local, by which Ollama reaches chat:latest: declare another tag"
    assert [one["name"] for one in told["elsewhere"]] == ["gpt-oss:20b-cloud"]
    assert [(one["name"], one["pinned"]) for one in told["models"]] == [("chat:latest", True)]
    twice = [note for note in told["assumed"] if " is declared 2 times (models.yaml:" in note]
    assert len(twice) == 3
    assert twice[2].endswith("the sums are with models.yaml:12:11")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version": 1, "servers": [3]}', b"\xff"])
def test_a_file_that_is_no_snapshot(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        from_json(data)


def test_a_snapshot_is_read_as_it_was_written() -> None:
    servers: list[ServerDetails | snapshot.NoAnswer] = [
        looked(num_ctx=7),
        snapshot.NoAnswer("http://two:11434", True, "refused"),
    ]
    read = from_json(to_json(servers).encode())
    assert to_json(read) == to_json(servers)
    assert isinstance(read[0], ServerDetails)
    assert read[0].details[ModelName.parse("chat")].metadata == LLAMA_8B


@pytest.mark.parametrize(
    ("runs", "written", "mebibytes", "note"),
    [
        ({CACHE: "32"}, "8", 32, f"the server runs with {CACHE} 32, compose.yaml:6:28 says 8: {RESTART}"),
        ({CACHE: "32"}, None, 32, ""),
        ({CACHE: "32"}, "32", 32, ""),
        ({}, "8", 8192, f"the server runs with {CACHE} 8192, the default, compose.yaml:6:28 says 8: {RESTART}"),
        ({}, "8192", 8192, ""),
        ({CACHE: "32"}, "auto", 32, f"{RESTART}, and no model loads then"),
        (None, "8", 8, ""),
    ],
)
def test_what_the_server_itself_runs_with_counts_and_a_file_that_says_otherwise_is_said(
    tree: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    runs: dict[str, str] | None,
    written: str | None,
    mebibytes: int,
    note: str,
) -> None:
    monkeypatch.setattr(observe, "variables_of", lambda url: runs)
    (tree / "models.tf").write_text(MANUAL)
    (tree / "compose.yaml").write_text(SERVER.format(f"{CACHE}: {written}" if written else "OLLAMA_NUM_PARALLEL: 1"))
    with FakeOllamaWithFaults("0.34.3") as fake:
        told = command("fit", "--host", fake.url, "--format", "json", *ROOM).stdout
    [server] = valid("fit", told)["servers"]
    assert server["settings"]["prompt_cache_bytes"] == mebibytes * 2**20
    assert [one for one in server["assumed"] if CACHE in one] == ([] if not note else [server["assumed"][0]])
    assert note in server["assumed"][0] if note else True
    where = "the server's process" if runs else "compose.yaml:6:28" if runs is None else None
    assert server["settings_from"].get(CACHE) == where


@pytest.mark.parametrize(
    ("runs", "written", "settings", "note"),
    [
        ({"OLLAMA_NUM_PARALLEL": "4"}, "", {"num_parallel": 4}, ""),
        ({}, "OLLAMA_NUM_PARALLEL: 2", {"num_parallel": 1}, "OLLAMA_NUM_PARALLEL not set, compose.yaml:6:28 says 2"),
        (None, "OLLAMA_NUM_PARALLEL: 2", {"num_parallel": 2}, ""),
        ({"OLLAMA_KV_CACHE_TYPE": "q4_0", "LLAMA_ARG_CACHE_TYPE_K": "f32"}, "", {"kv_cache_type": "q4_0"}, ""),
        (None, "{LLAMA_ARG_CACHE_TYPE_K: q8_0, LLAMA_ARG_CACHE_TYPE_V: q8_0}", {"kv_cache_type": "q8_0"}, ""),
        ({"LLAMA_ARG_CACHE_TYPE_K": "q8_0"}, "", {"kv_cache_type": "f16"}, "keys are cached as q8_0 and values as f16"),
        ({"LLAMA_ARG_CACHE_TYPE_K": "f32"}, "", {"kv_cache_type": "f16"}, "'f32' is not known: f16 is assumed"),
        ({"OLLAMA_FLASH_ATTENTION": "0"}, "OLLAMA_FLASH_ATTENTION: 0", {"flash_attention": False}, ""),
    ],
)
def test_each_variable_is_what_the_server_runs_with(
    tree: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    runs: dict[str, str] | None,
    written: str,
    settings: dict[str, Any],
    note: str,
) -> None:
    monkeypatch.setattr(observe, "variables_of", lambda url: runs)
    (tree / "models.tf").write_text(MANUAL)
    (tree / "compose.yaml").write_text(SERVER.format(written or "OLLAMA_DEBUG: 1"))
    with FakeOllamaWithFaults("0.34.3") as fake:
        told = command("fit", "--host", fake.url, "--format", "json", *ROOM).stdout
    [server] = valid("fit", told)["servers"]
    assert server["settings"] | settings == server["settings"]
    assert any((note or "runs with") in one for one in server["assumed"]) is bool(note)


def test_a_server_that_is_dead_costs_only_itself(tree: Path, command: Command) -> None:
    (tree / "models.tf").write_text(MANUAL)
    with FakeOllamaWithFaults() as fake:
        result = command("fit", "--host", "http://127.0.0.1:9", "--host", fake.url, *ROOM)
    assert result.exit_code == 2
    assert "not looked at: http://127.0.0.1:9: no connection" in result.stdout
    assert f"{fake.url}, Ollama " in result.stdout
    assert URL not in result.stdout


def test_a_models_name_in_place_of_a_file_is_told_what_is_taken(recorded: str, command: Command) -> None:
    result = command("fit", "llama3.2", "--from", recorded, *ROOM)
    assert result.exit_code == 2
    assert "llama3.2: no such file or directory; fit takes files and folders that declare models" in result.stdout


@pytest.mark.parametrize(("option", "amount"), [("--memory", "16"), ("--gpu-memory", "24")])
def test_an_amount_without_a_unit_is_not_taken_for_bytes(
    tree: Path, recorded: str, command: Command, option: str, amount: str
) -> None:
    (tree / "models.tf").write_text(MANUAL)
    result = command("fit", "--from", recorded, option, amount)
    assert (result.exit_code, f"write the unit, such as {amount}GiB" in result.stderr) == (2, True)
    assert command("fit", "--from", recorded, option, str(64 * 2**30)).exit_code != 2 or option != "--memory"


def test_a_gguf_that_is_cut_off_in_its_weights_is_told(tree: Path, recorded: str, command: Command) -> None:
    write_llama(tree / "whole.gguf", seed=0)
    whole = (tree / "whole.gguf").read_bytes()
    for name, data in (("whole", whole), ("cut", whole[:-1])):
        (tree / f"{name}.gguf").write_bytes(data)
        (tree / "models.tf").write_text(MANUAL.replace('"chat"', f'"{name}"\n  gguf = "{name}.gguf"'))
        result = command("fit", "--from", recorded, *ROOM)
        words = f"is cut off: it has {len(whole) - 1:,} bytes of the {len(whole):,} that its tensors need"
        assert (words in result.stdout) is (name == "cut"), result.output
        assert result.exit_code == (2 if name == "cut" else 0)


def test_a_gguf_that_an_apply_refuses_is_told_with_its_words(tree: Path, recorded: str, command: Command) -> None:
    (tree / "models.tf").write_text(MANUAL.replace('"chat"', '"mine"\n  gguf = "mine.gguf"'))
    write_keys(tree / "mine.gguf", {"split.count": 2**64 - 1})
    result = command("fit", "--from", recorded, *ROOM)
    assert "is refused by an apply: the file is one of 18446744073709551615, and Ollama takes" in result.stdout
    assert result.exit_code == 2


def test_all_that_is_wrong_with_the_options_is_said_at_once(command: Command) -> None:
    options = ("--memory", "much", "--gpu-memory", "8", "--fit-params", "/no/such", "--from", "x", "--host", "http://a")
    result = command("fit", ".", *options)
    assert result.exit_code == 2
    for words in ("--memory much: expected", "--gpu-memory 8 is 8 bytes", "--from judges", "--fit-params /no/such: it"):
        assert words in result.stderr, result.stderr
