"""What in a client's request loses a pin, on a real Ollama, one at a time: `drift` tells it, an apply pins again."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ollama_policy.cli import cli
from ollama_provider.apply.drift import PIN_LOST
from ollama_provider.apply.states import State
from ollama_provider.ollama.reloading import reloading_fields
from ollama_provider.ollama.versions import Behavior, version_in
from tests.engines.observing import call, pinned
from tests.engines.ollama_server import OllamaServer
from tests.engines.one_lifecycle import run_on
from tests.engines.toolchain import Ollama

pytestmark = [pytest.mark.engines, pytest.mark.both_engines]
VALUES = {"name": "chat", "memory_management": "manual"}
REQUESTS: dict[str, dict[str, Any]] = {
    "num_ctx": {"options": {"num_ctx": 1024, "num_predict": 2}},
    "num_batch": {"options": {"num_batch": 128, "num_predict": 2}},
    "num_gpu": {"options": {"num_gpu": 0, "num_predict": 2}},
    "num_thread": {"options": {"num_thread": 1, "num_predict": 2}},
    "use_mmap: true": {"options": {"use_mmap": True, "num_predict": 2}},
    "use_mmap": {"options": {"use_mmap": False, "num_predict": 2}},
    "main_gpu": {"options": {"main_gpu": 0, "num_predict": 2}},
    "draft_num_predict": {"options": {"draft_num_predict": 2, "num_predict": 2}},
    "shift: false": {"shift": False},
    # None of these loads anything anew, on any version.
    "num_keep": {"options": {"num_keep": 8, "num_predict": 2}},
    "temperature": {"options": {"temperature": 0.1, "num_predict": 2}},
    "truncate: false": {"truncate": False},
    "raw": {"raw": True},
}

IN_ITS_PROCESS = {"num_batch": "128", "num_gpu": "0", "num_thread": "1", "main_gpu": "0"}


@pytest.mark.parametrize("field", REQUESTS)
def test_drift_tells_the_lost_pin_and_the_next_apply_pins_again(
    field: str, ollama: OllamaServer, engine: Ollama, tiny: Path, tmp_path: Path
) -> None:
    ollama.create_from_gguf("chat", tiny)
    state: State = run_on(ollama.url, lambda lifecycle: lifecycle.create(VALUES))
    runners = [runner.pid for runner in ollama.runners()]
    call(ollama, "chat", **REQUESTS[field])
    reloading = reloading_fields(version_in(engine.version))
    # Where `use_mmap: false` reloads, it is named without its value, and `true` does, too.
    reloads = field in reloading or (field == "use_mmap: true" and "use_mmap" in reloading)
    assert ([runner.pid for runner in ollama.runners()] != runners) is reloads
    declared = tmp_path / "models.yaml"
    declared.write_text(json.dumps({"models": [VALUES]}))
    said = CliRunner().invoke(cli, ["drift", "--host", ollama.url, "--format", "json", str(declared)]).stdout
    found = json.loads(said)["findings"]
    assert [one["rule"] for one in found] == (["OLL504"] if reloads else [])
    if reloads:
        message = found[0]["message"]
        assert field.partition(":")[0] in message
        if not Behavior.LLAMA_SERVER.holds(version_in(engine.version), if_unknown=True):
            return
        if value := IN_ITS_PROCESS.get(field):
            assert f"its process was started with {field} {value}, which a client's options set" in message
        else:
            assert not [option for option in IN_ITS_PROCESS if option in message]
    seen: State = run_on(ollama.url, lambda lifecycle: lifecycle.read(state))
    assert seen["drift"] == (PIN_LOST if reloads else "")
    fixed: State = run_on(ollama.url, lambda lifecycle: lifecycle.update(seen, VALUES))
    assert (fixed["drift"], pinned(ollama)) == ("", ["chat:latest"])
