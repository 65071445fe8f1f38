"""`ollama-policy drift` beside a real Ollama: each drift made by a real client, told with its place, and mended by the
command that is shown; and nothing that it does changes the server."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StackMaker, TerraformMaker
from tests.engines.clock_proxy import ClockProxy
from tests.engines.observing import call, installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_stack import configuration
from tests.engines.toolchain import Engines

pytestmark = pytest.mark.engines
PROGRAM = Path(sys.executable).parent / "ollama-policy"


class Checkout:
    """A folder of declarations, and the real command line in it."""

    def __init__(self, folder: Path, ollama: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "NETRC"))}
        path = os.pathsep.join([str(PROGRAM.parent), str(ollama.parent), kept["PATH"]])
        self.environment = kept | {"PATH": path, "HOME": str(folder)}

    def declare(self, **models: dict[str, Any]) -> None:
        """A file of models in the plain form, by name."""
        (self.folder / "models.yaml").write_text(json.dumps({"models": [{"name": n} | m for n, m in models.items()]}))

    def run(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        command = [PROGRAM, "drift", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def drift(self, *arguments: str) -> list[dict[str, Any]]:
        """The findings, but for models on disk that nobody declares."""
        done = self.run("--host", self.url, "--format", "json", *arguments)
        assert done.returncode in (0, 1), (done.stdout, done.stderr)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["undecided"] == []
        return [one for one in report["findings"] if one["rule"] != "OLL510"]

    def mend(self, advice: str) -> None:
        """Runs what the report shows, as a person would paste it."""
        done = subprocess.run(
            ["/bin/sh", "-c", advice],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (advice, done.stdout, done.stderr)


@pytest.fixture
def checkout(engines: Engines, ollama: OllamaServer, tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder, engines.ollama, ollama.url)


MANUAL = {"memory_management": "manual"}
AUTOMATIC = {"memory_management": "automatic"}
Ggufs = Callable[..., Path]
Made = Callable[[OllamaServer, Ggufs], dict[str, dict[str, Any]]]


def not_resident(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    call(ollama, "chat", keep_alive=0)
    wait_until(lambda: not resident(ollama), "the model is gone")
    return {"chat": MANUAL}


def pin_lost_by_keep_alive(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    call(ollama, "chat", keep_alive="5m")
    return {"chat": MANUAL}


def pin_lost_by_context(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    call(ollama, "chat", options={"num_ctx": 1024, "num_predict": 2})
    return {"chat": MANUAL}


def in_memory(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat")
    return {"chat": MANUAL | {"resident": False}}


def pinned_by_a_client(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    return {"chat": AUTOMATIC | {"keep_alive": "5m"}}


def held_by_a_client(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive="2h")
    return {"chat": AUTOMATIC | {"keep_alive": "5m"}}


def orphan_that_another_name_reaches(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    ollama.call("POST", "/api/copy", {"source": "chat", "destination": "kept"}).raise_for_status()
    ollama.create_from_gguf("chat", ggufs(2))
    return {"chat": AUTOMATIC | {"keep_alive": "5m"}, "kept": AUTOMATIC}


def undeclared(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    ollama.create_from_gguf("other", ggufs(2))
    call(ollama, "other")
    return {"chat": AUTOMATIC}


def grown_context(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("base", ggufs(1))
    body = {"model": "chat", "from": "base", "parameters": {"num_ctx": 512}, "stream": False}
    ollama.call("POST", "/api/create", body).raise_for_status()
    call(ollama, "chat", options={"num_ctx": 2048, "num_predict": 2})
    return {"chat": AUTOMATIC | {"base": "base", "parameters": {"num_ctx": 512}}}


@pytest.mark.parametrize(
    ("make", "rule", "words"),
    [
        (not_resident, "OLL503", "is not in memory"),
        (pin_lost_by_keep_alive, "OLL504", "its context is 2048"),
        (pin_lost_by_context, "OLL504", "its context is 1024"),
        (in_memory, "OLL505", "is declared not to be in memory"),
        (pinned_by_a_client, "OLL506", "pinned, never released"),
        (held_by_a_client, "OLL506", "without a call"),
        (orphan_that_another_name_reaches, "OLL507", "its name has other content now"),
        (undeclared, "OLL508", '"other:latest" is in memory'),
        (grown_context, "OLL511", "declares a context of 512"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_drift_is_found_at_its_place_and_mended_by_the_command_that_is_shown(
    make: Made, rule: str, words: str, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs
) -> None:
    checkout.declare(**make(ollama, ggufs))
    (found,) = checkout.drift()
    assert (found["rule"], words in found["message"]) == (rule, True), found
    if rule == "OLL508":
        assert (found["file"], found["start"]) == (ollama.url, None)
    else:
        assert (found["file"], found["start"]["line"]) == ("models.yaml", 1)
    assert f"OLLAMA_HOST={ollama.url} ollama " in found["advice"]
    checkout.mend(found["advice"])
    wait_until(lambda: checkout.drift() == [], "the drift is mended")


def test_what_is_missing_or_of_other_content_is_pulled(
    ollama: OllamaServer, checkout: Checkout, registry: Registry, ggufs: Ggufs
) -> None:
    name = registry.reference("tiny:latest")
    checkout.declare(**{name: AUTOMATIC | {"insecure": True}})
    (found,) = checkout.drift()
    assert (found["rule"], found["advice"]) == (
        "OLL501",
        f"OLLAMA_HOST={ollama.url} ollama pull --insecure {name}",
    )
    checkout.mend(found["advice"])
    assert checkout.drift() == []
    wanted = registry.push("tiny:latest", ggufs(1))
    checkout.declare(**{name: AUTOMATIC | {"insecure": True, "digest": wanted}})
    (found,) = checkout.drift()
    assert found["rule"] == "OLL502"
    checkout.mend(found["advice"])
    assert checkout.drift() == []
    assert installed(ollama) == {name: wanted}


def test_an_orphan_that_no_name_reaches_is_told_whoever_declares_what(
    ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs
) -> None:
    ollama.create_from_gguf("gone", ggufs(1))
    call(ollama, "gone", keep_alive=-1)
    ollama.call("DELETE", "/api/delete", {"model": "gone"}).raise_for_status()
    checkout.declare(other=AUTOMATIC)
    orphan = next(one for one in checkout.drift() if one["rule"] == "OLL507")
    assert (orphan["file"], orphan["address"]) == (ollama.url, "gone:latest")
    assert orphan["advice"] == f"ollama-policy reclaim --host {ollama.url}"
    text = checkout.run("--host", ollama.url, "--format", "openmetrics").stdout
    assert f'ollama_policy_orphans{{server="{ollama.url}"}} 1\n' in text
    assert f'ollama_policy_models_pinned{{server="{ollama.url}"}} 1\n' in text
    ollama.restart()


def test_it_changes_nothing_and_arms_no_timer(ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs) -> None:
    for number, keep_alive in ((1, "5m"), (2, -1), (3, "1h")):
        ollama.create_from_gguf(f"m{number}", ggufs(number))
        call(ollama, f"m{number}", keep_alive=keep_alive)
    checkout.declare(m1=MANUAL, m2=AUTOMATIC | {"keep_alive": "1m"}, gone=AUTOMATIC)

    def state() -> list[str]:
        return sorted(map(json.dumps, ollama.ps() + ollama.tags()))

    time.sleep(1)  # a call is answered before its timer is armed
    before, since = state(), ollama.mark()
    for form in ("text", "json", "openmetrics"):
        checkout.run("--host", ollama.url, "--format", form, "--record", "seen.json")
    assert state() == before, "expires_at included"
    seen = {(request.method, request.path) for request in ollama.requests(since)}
    assert seen == {("GET", "/api/version"), ("GET", "/api/tags"), ("GET", "/api/ps")}


def test_a_recorded_snapshot_gives_the_same_findings(ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs) -> None:
    ollama.create_from_gguf("chat", ggufs(1))
    ollama.create_from_gguf("other", ggufs(2))
    call(ollama, "other", keep_alive=-1)
    checkout.declare(chat=MANUAL)
    live = checkout.run("--host", ollama.url, "--format", "json", "--record", "../seen.json")
    ollama.call("DELETE", "/api/delete", {"model": "chat"})
    again = checkout.run("--from", "../seen.json", "--format", "json")
    assert json.loads(again.stdout) == json.loads(live.stdout)
    assert (again.returncode, live.returncode) == (1, 1)


@pytest.mark.parametrize("hours", [1, -1])
def test_clocks_that_differ_by_an_hour(hours: int, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs) -> None:
    ollama.create_from_gguf("bound", ggufs(1))
    ollama.create_from_gguf("held", ggufs(2))
    call(ollama, "bound", keep_alive="30m")
    call(ollama, "held", keep_alive="2h")
    thirty = AUTOMATIC | {"keep_alive": "30m"}
    checkout.declare(bound=thirty, held=thirty)
    with ClockProxy(ollama.port, hours * 3600) as proxy:
        checkout.url = proxy.url
        (found,) = checkout.drift()
    assert (found["rule"], found["address"]) == ("OLL506", "held")
    assert "released in 1h59m" in found["message"] or "released in 2h" in found["message"]


def test_a_server_that_restarts_loses_its_pins_and_is_told_so_before_and_after(
    ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs
) -> None:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    checkout.declare(chat=MANUAL)
    assert checkout.drift() == []
    ollama.stop()
    down = checkout.run("--host", ollama.url)
    assert down.returncode == 2
    assert f"{ollama.url} unreadable: no connection" in down.stdout
    ollama.start()
    assert [one["rule"] for one in checkout.drift()] == ["OLL503"]


def mended(advice: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Runs an engine's command as it is shown, and says yes."""
    yes = "-auto-approve" if advice.startswith("terraform ") else "--yes"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{advice} {yes}"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (advice, done.stdout, done.stderr)


def spoiled(ollama: OllamaServer, name: str) -> None:
    """A client takes the pin of one model away, and somebody makes the other one anew."""
    call(ollama, "pinned", keep_alive="5m")
    body = {"model": "variant", "from": name, "parameters": {"num_ctx": 1024}, "stream": False}
    ollama.call("POST", "/api/create", body).raise_for_status()


def test_what_terraform_declares_is_mended_by_terraform(
    terraform_of: TerraformMaker, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs, registry: Registry
) -> None:
    ollama.create_from_gguf("pinned", ggufs(1))
    name = registry.reference("tiny:latest")
    variant = {"name": "variant", "base": name, "insecure": True, "parameters": {"num_ctx": 512}}
    stack = terraform_of(configuration(a={"name": "pinned"} | MANUAL, b=variant))
    stack.apply()
    checkout.folder = stack.project
    assert checkout.drift() == []
    spoiled(ollama, name)
    found = {one["address"]: one for one in checkout.drift()}
    assert {address: one["rule"] for address, one in found.items()} == {
        "ollama_model.a": "OLL504",
        "ollama_model.b": "OLL502",
    }
    assert {(one["file"], one["advice"]) for one in found.values()} == {
        ("main.tf", f"terraform apply -target={address}") for address in found
    }
    for one in found.values():
        mended(one["advice"], stack.project, stack.environment)
    assert checkout.drift() == []
    assert pinned(ollama) == ["pinned:latest"]


PROGRAM_TEXT = """from ollama_provider import OllamaModel
OllamaModel("a", name="pinned", memory_management="manual")
OllamaModel("b", name="variant", base={name!r}, insecure=True, parameters={{"num_ctx": 512}})
"""


def test_what_pulumi_declares_is_mended_by_pulumi(
    stack_of: StackMaker, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs, registry: Registry
) -> None:
    ollama.create_from_gguf("pinned", ggufs(1))
    name = registry.reference("tiny:latest")
    stack = stack_of(PROGRAM_TEXT.format(name=name))
    stack.up()
    checkout.folder = stack.project
    stack.run("stack", "export", "--file", "export.json")
    assert checkout.drift() == []
    spoiled(ollama, name)
    found = {one["rule"]: one for one in checkout.drift()}
    assert {rule: (one["file"], one["start"]["line"], one["advice"]) for rule, one in found.items()} == {
        "OLL504": ("__main__.py", 2, "pulumi up --refresh --target '**::a'"),
        "OLL502": ("__main__.py", 3, "pulumi up --refresh --target '**::b'"),
    }
    for one in found.values():
        mended(one["advice"], stack.project, stack.environment)
    stack.run("stack", "export", "--file", "export.json")
    assert checkout.drift() == []
    assert pinned(ollama) == ["pinned:latest"]


@pytest.fixture
def busy(ollama: OllamaServer, registry: Registry, ggufs: Ggufs) -> Iterator[dict[str, dict[str, Any]]]:
    """A healthy server that is used: what is declared is so, all the time that clients call, load and pull."""
    for number, name in enumerate(("pinned", "bound", "short"), 1):
        ollama.create_from_gguf(name, ggufs(number))
    call(ollama, "pinned", keep_alive=-1)
    pulled = registry.reference("tiny:latest")
    ollama.call("POST", "/api/pull", {"model": pulled, "insecure": True, "stream": False})
    done = threading.Event()
    faults: list[Exception] = []

    def client(*calls: Callable[[], object]) -> threading.Thread:
        def work() -> None:
            try:
                while not done.is_set():
                    for one in calls:
                        one()
            except Exception as error:  # noqa: BLE001 - told below
                faults.append(error)

        return threading.Thread(target=work, daemon=True)

    body = {"model": pulled, "insecure": True, "stream": False}
    threads = [
        client(lambda: call(ollama, "pinned"), lambda: call(ollama, "bound", keep_alive="5m")),
        client(lambda: call(ollama, "short", keep_alive="1s"), lambda: time.sleep(1.3)),  # loads and expires
        client(lambda: ollama.call("POST", "/api/pull", body), lambda: time.sleep(0.05)),
    ]
    for thread in threads:
        thread.start()
    five = AUTOMATIC | {"keep_alive": "5m"}
    yield {"pinned": MANUAL, "bound": five, "short": five, pulled: five}
    done.set()
    for thread in threads:
        thread.join(30)
    assert faults == []


def test_no_false_drift_in_500_looks_at_a_busy_healthy_server(
    busy: dict[str, dict[str, Any]], ollama: OllamaServer, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ollama_policy.drift.command import Request, Session

    checkout.declare(**busy)
    monkeypatch.chdir(checkout.folder)
    session = Session(Request(hosts=[ollama.url]))
    end, looks, false = time.monotonic() + 50, 0, []
    while looks < 500 and time.monotonic() < end:
        result = session.judged(session.look(10))
        looks += 1
        false += [reported.finding.message for reported in result.findings] + [one.message for one in result.unreadable]
    assert false == []
    assert looks == 500, f"{looks} in 50 s"
    assert "pinned:latest" in pinned(ollama)
