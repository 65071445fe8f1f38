"""`ollama-policy drift` beside a real Ollama: each drift made by a real client, told with its place, and fixed by the
command that is shown; and nothing that it does changes the server."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ollama_policy.commands.drift.session import Request, Session
from ollama_provider.apply.drift import second_name
from ollama_provider.ollama.names import ModelName
from tests.conftest import StackMaker, TerraformMaker
from tests.engines.busy import LOOKS, SECONDS_A_LOAD, busy, false_drifts
from tests.engines.clock_proxy import ClockProxy
from tests.engines.observing import call, installed, pinned, resident, wait_until
from tests.engines.ollama_server import OllamaServer
from tests.engines.registry import Registry
from tests.engines.terraform_stack import configuration
from tests.engines.toolchain import Ollama

pytestmark = [pytest.mark.engines, pytest.mark.both_engines]
PROGRAM = Path(sys.executable).parent / "ollama-policy"


ANSWERS = {"ollama-policy": b"y\n", "terraform": b"yes\n"}


def pasted(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Runs a command as it is shown, in a terminal where it asks, and gives what it said."""
    program = command.partition(" ")[0]
    person, terminal = pty.openpty()
    os.write(person, ANSWERS.get(program, b""))
    more = " --yes" if program == "pulumi" else ""  # whose question is a menu
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command + more],
            cwd=folder,
            env=environment,
            stdin=terminal if program in ANSWERS else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        os.close(person)
        os.close(terminal)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


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

    def drift(self, *arguments: str, with_info: bool = False) -> list[dict[str, Any]]:
        """The findings, but for models on disk that nobody declares."""
        done = self.run("--host", self.url, "--format", "json", *arguments)
        assert done.returncode in (0, 1), (done.stdout, done.stderr)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["undecided"] == []
        return [one for one in report["findings"] if with_info or one["rule"] != "OLL510"]

    def fix(self, advice: str) -> str:
        """Runs what the report shows, as a person would paste it."""
        return pasted(advice, self.folder, self.environment)


@pytest.fixture
def checkout(engine: Ollama, ollama: OllamaServer, tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder, engine.program, ollama.url)


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


def derive(ollama: OllamaServer, name: str, base: str, **fields: Any) -> None:
    body = {"model": name, "from": base, "stream": False} | fields
    ollama.call("POST", "/api/create", body).raise_for_status()


def delete(ollama: OllamaServer, name: str) -> None:
    ollama.call("DELETE", "/api/delete", {"model": name}).raise_for_status()


SMALL = {"num_ctx": 512}


def derived_and_deleted(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("base", ggufs(1))
    return {"chat": AUTOMATIC | {"base": "base", "parameters": SMALL, "system": "it's brief"}}


def cut_off(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    older = str(second_name(ModelName.parse("chat")))
    ollama.call("POST", "/api/copy", {"source": "chat", "destination": older}).raise_for_status()
    return {"chat": AUTOMATIC}


def orphan_on_the_weights_of_another_name(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("gone", ggufs(1))
    derive(ollama, "twin", "gone", system="be brief")
    call(ollama, "gone", keep_alive=-1)
    delete(ollama, "gone")
    return {"twin": AUTOMATIC}


def orphan_whose_name_has_other_weights(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    derive(ollama, "twin", "chat", system="be brief")
    call(ollama, "chat", keep_alive=-1)
    ollama.create_from_gguf("chat", ggufs(2))
    return {"chat": AUTOMATIC, "twin": AUTOMATIC}


def grown_context(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("base", ggufs(1))
    derive(ollama, "chat", "base", parameters=SMALL)
    call(ollama, "chat", options={"num_ctx": 2048, "num_predict": 2})
    return {"chat": AUTOMATIC | {"base": "base", "parameters": SMALL}}


def grown_and_pinned(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    declared = grown_context(ollama, ggufs)["chat"]
    call(ollama, "chat", options={"num_ctx": 2048, "num_predict": 2}, keep_alive=-1)
    return {"chat": declared | MANUAL}


def undeclared_on_disk(ollama: OllamaServer, ggufs: Ggufs) -> dict[str, dict[str, Any]]:
    ollama.create_from_gguf("chat", ggufs(1))
    ollama.create_from_gguf("other", ggufs(2))
    return {"chat": AUTOMATIC}


RUN, STOP, RUBBISH = "ollama run --keepalive ", "ollama stop ", "ollama rm "


@pytest.mark.parametrize(
    ("make", "rule", "words", "command"),
    [
        (derived_and_deleted, "OLL501", "but is not on", "curl "),
        (cut_off, "OLL502", "is kept under a second name", RUBBISH),
        (not_resident, "OLL503", "is not in memory", RUN),
        (pin_lost_by_keep_alive, "OLL504", "its context is 2048", RUN),
        (pin_lost_by_context, "OLL504", "its context is 1024", RUN),
        (in_memory, "OLL505", "is declared not to be in memory", STOP),
        (pinned_by_a_client, "OLL506", "pinned, never released", RUN),
        (held_by_a_client, "OLL506", "without a call", RUN),
        (orphan_that_another_name_reaches, "OLL507", "its name has other content now", f"{STOP}kept"),
        (orphan_on_the_weights_of_another_name, "OLL507", "its name is gone", "ollama-policy reclaim "),
        (orphan_whose_name_has_other_weights, "OLL507", "its name has other content now", "ollama-policy reclaim "),
        (undeclared, "OLL508", '"other:latest" is in memory', STOP),
        (undeclared_on_disk, "OLL510", '"other:latest" is on disk', RUBBISH),
        (grown_context, "OLL511", "declares a context of 512", STOP),
        (grown_and_pinned, "OLL511", "declares a context of 512", RUN),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_drift_is_found_at_its_place_and_fixed_by_the_command_that_is_shown(
    make: Made, rule: str, words: str, command: str, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs
) -> None:
    checkout.declare(**make(ollama, ggufs))
    with_info = rule == "OLL510"
    (found,) = checkout.drift(with_info=with_info)
    assert (found["rule"], words in found["message"]) == (rule, True), found
    if rule in ("OLL508", "OLL510") or "its name is gone" in words:
        assert (found["file"], found["start"]) == (ollama.url, None)
    else:
        assert (found["file"], found["start"]["line"]) == ("models.yaml", 1)
    assert ollama.url in found["advice"]
    assert command in found["advice"]
    checkout.fix(found["advice"])
    wait_until(lambda: checkout.drift(with_info=with_info) == [], "the drift is fixed")


def test_a_pin_that_nothing_bounds_is_told_with_both_cures(
    ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs
) -> None:
    ollama.create_from_gguf("chat", ggufs(1))
    checkout.declare(chat=AUTOMATIC)
    call(ollama, "chat")
    assert checkout.drift() == []
    call(ollama, "chat", keep_alive=-1)
    (found,) = checkout.drift()
    assert (found["rule"], found["severity"], found["start"]["line"]) == ("OLL513", "warning", 1)
    assert checkout.run("--host", ollama.url).returncode == 1
    checkout.declare(chat=AUTOMATIC | {"keep_alive": "5m"})
    assert [one["rule"] for one in checkout.drift()] == ["OLL506"], "which an apply ends"
    checkout.declare(chat=MANUAL)
    assert checkout.drift() == []


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
    checkout.fix(found["advice"])
    assert checkout.drift() == []
    wanted = registry.push("tiny:latest", ggufs(1))
    checkout.declare(**{name: AUTOMATIC | {"insecure": True, "digest": wanted}})
    (found,) = checkout.drift()
    assert found["rule"] == "OLL502"
    checkout.fix(found["advice"])
    assert checkout.drift() == []
    assert installed(ollama) == {name: wanted}


def test_an_orphan_that_no_name_reaches_is_told_whoever_declares_what_and_goes_where_its_registry_has_it_still(
    ollama: OllamaServer, checkout: Checkout, registry: Registry
) -> None:
    name = registry.reference("tiny:latest")
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False}).raise_for_status()
    call(ollama, name, keep_alive=-1)
    delete(ollama, name)
    checkout.declare(other=AUTOMATIC)
    orphan = next(one for one in checkout.drift() if one["rule"] == "OLL507")
    assert (orphan["file"], orphan["address"]) == (ollama.url, name)
    assert orphan["advice"] == f"ollama-policy reclaim --host {ollama.url}"
    text = checkout.run("--host", ollama.url, "--format", "openmetrics").stdout
    assert f'ollama_policy_orphans{{server="{ollama.url}"}} 1\n' in text
    assert f'ollama_policy_models_pinned{{server="{ollama.url}"}} 1\n' in text
    said = checkout.fix(f"{orphan['advice']} || true")
    assert "its weights are under no name of the server: only a restart frees it" in said
    [shown] = re.findall(r"where its registry still has them: (.*)", said)
    checkout.fix(shown.replace("ollama pull", "ollama pull --insecure"))  # the tests' registry has no TLS
    wait_until(lambda: not [one for one in checkout.drift() if one["rule"] == "OLL507"], "the orphan is gone")


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
    ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama.create_from_gguf("chat", ggufs(1))
    call(ollama, "chat", keep_alive=-1)
    checkout.declare(chat=MANUAL)
    assert checkout.drift() == []
    monkeypatch.chdir(checkout.folder)
    session, told, ended = Session(Request(hosts=[ollama.url])), list[str](), threading.Event()

    def look() -> None:
        while not ended.is_set():
            result = session.judged(session.look())
            told.extend(problem.message for problem in result.unreadable)
            told.extend(reported.finding.rule.id for reported in result.findings)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    ollama.stop()
    down = checkout.run("--host", ollama.url)
    assert down.returncode == 2
    assert f"{ollama.url} unreadable: no connection" in down.stdout
    ollama.start()
    assert [one["rule"] for one in checkout.drift()] == ["OLL503"]
    ended.set()
    looking.join(10)
    broken = ("no connection", "the connection broke off")
    assert {one for one in told if not one.startswith(broken)} == {"OLL503"}, "no other drift in the middle of it"
    assert any(one.startswith(broken) for one in told)


def pull(ollama: OllamaServer, name: str) -> None:
    ollama.call("POST", "/api/pull", {"model": name, "insecure": True, "stream": False}).raise_for_status()


class Registered:
    """Models of a registry: one that a variant is made of, one whose tag moves, one that somebody deletes."""

    def __init__(self, registry: Registry, ggufs: Ggufs) -> None:
        self.base, self.moved, self.gone = map(registry.reference, ("tiny:latest", "moved:latest", "gone:latest"))
        for seed, name in enumerate(("moved", "gone"), 3):
            registry.push(name, ggufs(seed))
        self._registry, self._other = registry, ggufs(5)

    def move(self) -> None:
        self._registry.push("moved", self._other)


def spoiled(ollama: OllamaServer, names: Registered) -> None:
    """A client takes the pin of one model away, somebody makes one anew, pulls a tag that moved, and deletes one."""
    call(ollama, "pinned", keep_alive="5m")
    derive(ollama, "variant", names.base, parameters={"num_ctx": 1024})
    names.move()
    pull(ollama, names.moved)
    delete(ollama, names.gone)


@pytest.mark.newest
def test_what_terraform_declares_is_fixed_by_terraform(
    terraform_of: TerraformMaker, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs, registry: Registry
) -> None:
    for seed, name in enumerate(("pinned", "bound", "absent", "idle"), 6):
        ollama.create_from_gguf(name, ggufs(seed))
    names = Registered(registry, ggufs)
    declared: dict[str, dict[str, Any]] = {
        "a_pinned": {"name": "pinned"} | MANUAL,
        "b_variant": {"name": "variant", "base": names.base, "insecure": True, "parameters": SMALL},
        "c_moved": {"name": names.moved, "insecure": True},
        "d_gone": {"name": names.gone, "insecure": True},
        "e_bound": {"name": "bound", "keep_alive": "5m"},
        "f_absent": {"name": "absent", "resident": False} | MANUAL,
        "g_idle": {"name": "idle"} | MANUAL,
    }
    stack = terraform_of(configuration(**declared))
    stack.apply()
    checkout.folder = stack.project
    assert checkout.drift() == []
    spoiled(ollama, names)
    call(ollama, "idle", keep_alive=0)
    call(ollama, "bound", keep_alive=-1)
    call(ollama, "absent")
    rules = {
        "a_pinned": "OLL504",
        "b_variant": "OLL502",
        "c_moved": "OLL502",
        "d_gone": "OLL501",
        "e_bound": "OLL506",
        "f_absent": "OLL505",
        "g_idle": "OLL503",
    }
    found = {one["address"].removeprefix("ollama_model."): one for one in checkout.drift()}
    assert {address: one["rule"] for address, one in found.items()} == rules
    lines = (stack.project / "main.tf").read_text().splitlines()
    places = [(one["file"], lines[one["start"]["line"] - 1].split()[0]) for one in found.values()]
    wanted = "memory_management base name name keep_alive resident memory_management".split()
    assert places == [("main.tf", key) for key in wanted]
    # A plan and a state, each alone and elsewhere, say the same.
    stack.run("plan", "-out", "plan")
    for name, arguments in (("plan.json", ("show", "-json", "plan")), ("state.json", ("show", "-json"))):
        (checkout.folder.parent / name).write_text(stack.run(*arguments).text)
        alone = checkout.drift(f"../{name}")
        assert {one["address"].removeprefix("ollama_model.") for one in alone} >= rules.keys() - {
            "b_variant",
            "c_moved",
        }
        assert {one["file"] for one in alone if one["start"]} == {f"../{name}"}
    for address in rules:
        only = " -refresh-only" if address == "c_moved" else ""
        assert found[address]["advice"] == f"terraform apply{only} -target=ollama_model.{address}"
        pasted(found[address]["advice"], stack.project, stack.environment)
    assert checkout.drift() == []
    assert sorted(pinned(ollama)) == ["idle:latest", "pinned:latest"]


PROGRAM_TEXT = """from ollama_provider import OllamaModel
OllamaModel("a", name="pinned", memory_management="manual")
OllamaModel("b", name="variant", base={0.base!r}, insecure=True, parameters={{"num_ctx": 512}})
OllamaModel("c", name={0.moved!r}, insecure=True)
OllamaModel("d", name={0.gone!r}, insecure=True)
"""


@pytest.mark.newest
def test_what_pulumi_declares_is_fixed_by_pulumi(
    stack_of: StackMaker, ollama: OllamaServer, checkout: Checkout, ggufs: Ggufs, registry: Registry
) -> None:
    ollama.create_from_gguf("pinned", ggufs(6))
    names = Registered(registry, ggufs)
    stack = stack_of(PROGRAM_TEXT.format(names))
    stack.up()
    checkout.folder = stack.project
    stack.run("stack", "export", "--file", "export.json")
    assert checkout.drift() == []
    spoiled(ollama, names)
    found = {one["start"]["line"]: one for one in checkout.drift()}
    assert {line: (one["file"], one["rule"], one["advice"]) for line, one in found.items()} == {
        2: ("__main__.py", "OLL504", "pulumi up --refresh --target '**::a'"),
        3: ("__main__.py", "OLL502", "pulumi up --refresh --target '**::b'"),
        4: ("__main__.py", "OLL502", "pulumi refresh"),
        5: ("__main__.py", "OLL501", "pulumi up --refresh --target '**::d'"),
    }
    # An export and a preview, each alone and elsewhere, say the same of the same.
    (checkout.folder.parent / "preview.json").write_text(stack.run("preview", "--json", "--show-sames").text)
    (checkout.folder / "export.json").rename(checkout.folder.parent / "export.json")
    for name in ("preview.json", "export.json"):
        alone = [one for one in checkout.drift(f"../{name}") if one["start"]]
        assert sorted(one["rule"] for one in alone) == ["OLL501", "OLL502", "OLL502", "OLL504"]
        assert {one["file"] for one in alone} == {f"../{name}"}
    for line in sorted(found):
        pasted(found[line]["advice"], stack.project, stack.environment)
    stack.run("stack", "export", "--file", "export.json")
    assert checkout.drift() == []
    assert pinned(ollama) == ["pinned:latest"]


LOADS = 6


def test_no_false_drift_in_500_looks_at_a_busy_healthy_server(
    ollama: OllamaServer, registry: Registry, ggufs: Ggufs, tmp_path: Path
) -> None:
    with busy(ollama, registry, ggufs) as at_work:
        assert false_drifts(ollama, tmp_path, at_work, LOOKS, LOADS * SECONDS_A_LOAD) == []
        assert "pinned:latest" in pinned(ollama)
    assert len(at_work.done) == 5
    assert at_work.done["loads and expiries"] >= LOADS // 2
