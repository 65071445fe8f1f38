"""The command line: what it says, where it says it, and how it ends."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from ollama_policy.cli import cli
from ollama_policy.commands.init.starter import FILES
from ollama_policy.commands.options import rule_ids
from ollama_policy.rules.log_rules import MemoryKept
from ollama_policy.text.terminal import progress, terminal
from tests.policies.conftest import AUTOMATIC, MANUAL, UNDECIDED, Command
from tests.promptness import assert_took_less

PROGRAM = Path(sys.executable).parent / "ollama-policy"
QUIET = ("--select", "OLL001")


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (MANUAL, (), 0),
        (AUTOMATIC, (), 1),
        (AUTOMATIC, ("--ignore", "OLL001,OLL004"), 0),
        (AUTOMATIC, ("--select", "OLL002"), 0),
        (AUTOMATIC, ("--select", "oll0"), 1),
        (UNDECIDED, (), 0),
        (UNDECIDED, ("--strict",), 1),
        (MANUAL, ("--fail-on", "info"), 0),
        (AUTOMATIC + "}", (), 2),
        (None, (), 3),
        (AUTOMATIC, ("--select", "OLL777"), 2),
        (AUTOMATIC, ("--select", "automatic"), 2),
        (AUTOMATIC, ("--config", "nothing.toml"), 2),
        (AUTOMATIC, ("--baseline", "nothing.json"), 2),
        (AUTOMATIC, ("--target-version", "new"), 2),
        (AUTOMATIC, ("--format", "yaml"), 2),
        (AUTOMATIC, ("--fix", "--diff"), 2),
        (AUTOMATIC, ("-",), 2),
        (AUTOMATIC, ("nothing.tf",), 2),
        (AUTOMATIC, ("--output", "nothing/report"), 2),
    ],
    ids=str,
)
def test_exit_codes(tree: Path, command: Command, content: str | None, arguments: tuple[str, ...], code: int) -> None:
    if content is not None:
        (tree / "a.tf").write_text(content)
    result = command("check", *arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_mistake_in_a_rule_is_met_with_what_was_meant(tree: Path, command: Command) -> None:
    assert "no rule begins with OLL010; did you mean OLL" in command("check", "--select", "OLL010").stderr
    assert "there is no rule OLL011; did you mean OLL" in command("explain", "OLL011").stderr
    assert "did you mean automatic-without-bound?" in command("explain", "automatic-with-bound").stderr


def test_the_documents_own_diff(tree: Path, command: Command) -> None:
    file = tree / "models.yaml"
    file.write_text('memory_management: "automatic"\n')
    found = command("check", *QUIET)
    assert "models.yaml:1:20 error OLL001 automatic-without-bound: " in found.stdout
    assert '  = fix: - memory_management: "automatic"\n         + memory_management: "manual"' in found.stdout, (
        found.stdout
    )
    diff = command("check", "--diff")
    assert diff.exit_code == 1
    assert '-memory_management: "automatic"\n+memory_management: "manual"\n' in diff.stdout
    assert file.read_text() == 'memory_management: "automatic"\n'
    fixed = command("check", "--fix")
    assert (fixed.exit_code, file.read_text()) == (0, 'memory_management: "manual"\n')
    assert "fixed 1 in 1 files" in fixed.stderr
    assert command("check", "--fix").stderr == "fixed 0 in 0 files\n"


def test_the_documents_own_block_has_two_ways_out(tree: Path, command: Command) -> None:
    (tree / "models.tf").write_text(AUTOMATIC)
    assert '+ memory_management = "manual"          (or: keep_alive' in command("check").stdout
    (tree / "models.tf").write_text(AUTOMATIC.replace('"automatic"\n', '"automatic"\n  keep_alive = "5m"\n'))
    assert command("check", "--fail-on", "info").exit_code == 0


# Output.


def test_a_report_is_written_whole_or_not_at_all(tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    result = command("check", "--format", "json", "--output", "report.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("1 error, ")
    assert json.loads((tree / "report.json").read_text())["summary"]["errors"] == 1

    def replace(*_paths: str, **_folders: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    before = (tree / "report.json").read_text()
    result = command("check", "--format", "sarif", "--output", "report.json")
    assert (result.exit_code, "cannot write report.json: No space left" in result.stderr) == (2, True)
    assert (tree / "report.json").read_text() == before
    assert sorted(path.name for path in tree.iterdir()) == [".git", "a.tf", "report.json"]


def test_a_report_may_go_to_what_is_no_file(tree: Path, command: Command) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    assert command("check", "--output", os.devnull).exit_code == 1


def in_a_terminal(*arguments: str, **environment: str) -> str:
    parent, child = pty.openpty()
    subprocess.run([PROGRAM, *arguments], stdout=child, stderr=child, env=os.environ | environment, check=False)
    os.close(child)
    output = b""
    try:
        while chunk := os.read(parent, 65536):
            output += chunk
    except OSError:
        pass
    finally:
        os.close(parent)
    return output.decode()


def test_colour_only_in_a_terminal_and_not_where_it_is_refused(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    assert "\x1b[1;31merror" in in_a_terminal("check", TERM="xterm", NO_COLOR="")
    refused = in_a_terminal("check", TERM="xterm", NO_COLOR="1")
    assert ("\x1b[1;31m" in refused, "\x1b]8;;" in refused) == (False, True)
    assert "\x1b" not in in_a_terminal("check", TERM="dumb")
    assert "\x1b" not in subprocess.run([PROGRAM, "check"], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("command", ["check", "logs", "drift"])
def test_colour_by_option(tree: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "server.log").write_text(re.sub("[«»]", "", MemoryKept.bad[0].text))
    paths = {"check": ["."], "logs": ["server.log"], "drift": [".", "--host", "http://127.0.0.1:9"]}[command]
    monkeypatch.setenv("NO_COLOR", "1")

    def shown(when: str) -> str:
        line = [str(PROGRAM), command, *paths, "--color", when]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        return done.stdout

    assert ("\x1b[1;3" in shown("always"), "\x1b" in shown("never")) == (True, False)


def test_a_reader_that_goes_away_is_no_crash(tree: Path) -> None:
    for index in range(300):
        (tree / f"{index}.tf").write_text(AUTOMATIC)
    done = subprocess.run(["bash", "-c", f"{PROGRAM} check | head -1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("rules",), ("explain", "OLL001"), ("init",), ("--help",), ("baseline", "b.json"), ("fit",)],
)
def test_a_closed_standard_output_is_quiet_and_ends_as_a_closed_pipe_does(
    arguments: tuple[str, ...], tree: Path
) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PROGRAM, *arguments], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    if arguments == ("init",):
        assert all((tree / name).is_file() for name in FILES)


# Standard input.


def test_standard_input_has_the_name_that_it_is_given(tree: Path, command: Command) -> None:
    (tree / "infra").mkdir()
    (tree / "infra/variables.tf").write_text('variable "mode" { default = "automatic" }\n')
    stdin = AUTOMATIC.replace('"automatic"', "var.mode").encode()
    result = command("check", *QUIET, "--stdin-filename", "infra/models.tf", "-", stdin=stdin)
    assert result.exit_code == 1
    assert "OLL001" in result.stdout
    assert "0 undecided" in result.stdout, "the variable's default is in the file beside it"
    assert command("check", "--stdin-filename", "a.tf", "--fix", "-", stdin=stdin).exit_code == 2
    diff = command("check", "--stdin-filename", "a.tf", "--diff", "-", stdin=AUTOMATIC.encode())
    assert '+  memory_management = "manual"' in diff.stdout
    assert sorted(path.name for path in tree.iterdir()) == [".git", "infra"]


def test_empty_standard_input_is_said(tree: Path, command: Command) -> None:
    result = command("check", "--stdin-filename", "a.tf", "-", stdin=b"")
    assert (result.exit_code, "a.tf unreadable: the file is empty" in result.stdout) == (2, True)


# Configuration and baseline.


def test_the_configuration_is_found_and_the_command_line_wins(tree: Path, command: Command) -> None:
    (tree / "ollama-policy.toml").write_text('ignore = ["OLL001"]\n')
    (tree / "infra").mkdir()
    (tree / "infra/a.tf").write_text(AUTOMATIC)
    assert command("check", "infra").exit_code == 0
    assert command("check", "infra", "--select", "OLL001", "--ignore", "OLL00").exit_code == 0
    (tree / "ollama-policy.toml").write_text('[severity]\nOLL001 = "warning"\n')
    assert "0 errors, 1 warning" in command("check", "infra", *QUIET).stdout
    assert command("check", "infra", *QUIET, "--fail-on", "error").exit_code == 0
    (tree / "ollama-policy.toml").write_text("slect = []\n")
    result = command("check", "infra")
    assert result.exit_code == 2
    assert "ollama-policy.toml: unknown key 'slect' at the top; did you mean select?" in result.stderr


def test_a_baseline_accepts_what_was_there_and_no_more(tree: Path, command: Command) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    assert "1 findings accepted in base.json" in command("baseline", "base.json").stdout
    assert command("check", "--baseline", "base.json").exit_code == 0
    (tree / "a.tf").write_text("# moved\n\n" + AUTOMATIC)
    assert "1 suppressed" in command("check", "--baseline", "base.json").stdout
    (tree / "b.tf").write_text(AUTOMATIC.replace('"m"', '"n"'))
    assert command("check", *QUIET, "--baseline", "base.json").exit_code == 1
    (tree / "a.tf").write_text(MANUAL)
    (tree / "b.tf").unlink()
    result = command("check", "--baseline", "base.json", "--ignore", "OLL004")
    assert (result.exit_code, "base.json:4:5 info OLL904" in result.stdout) == (0, True)
    (tree / "base.json").write_text("[]")
    assert "base.json: no baseline, expected" in command("check", "--baseline", "base.json").stderr


def test_a_baseline_that_is_no_file_is_not_opened(tree: Path, command: Command) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "ollama-policy.toml").write_text('baseline = "/dev/zero"\n')
    result = command("check")
    assert (result.exit_code, "cannot read the baseline /dev/zero" in result.stderr) == (2, True)


def test_a_baseline_that_the_configuration_names_can_be_written_first(tree: Path, command: Command) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    (tree / "ollama-policy.toml").write_text('baseline = "base.json"\n')
    assert command("check").exit_code == 2
    assert command("baseline", "base.json").exit_code == 0
    assert command("check").exit_code == 0


# The other commands.


def test_rules_and_explain(command: Command) -> None:
    rules = command("rules").stdout
    assert "OLL001  error    automatic-without-bound" in rules
    for name in ("OLL001", "oll001", "automatic-without-bound"):
        text = command("explain", name).stdout
        assert text.startswith("# OLL001 automatic-without-bound\n\n*error*: ")
        assert "«" not in text
        assert 'memory_management: "manual"' in text


def test_every_rule_explains_itself(command: Command) -> None:
    for line in command("rules").stdout.splitlines():
        assert command("explain", line.split()[0]).exit_code == 0


def test_the_version(command: Command) -> None:
    assert command("--version").stdout == "ollama-policy 0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(command: Command, shell: str) -> None:
    assert "_OLLAMA_POLICY_COMPLETE" in command("completion", shell).stdout


def test_completion_completes(tree: Path) -> None:
    environment = {"_OLLAMA_POLICY_COMPLETE": "bash_complete", "COMP_WORDS": "ollama-policy ch", "COMP_CWORD": "1"}
    done = subprocess.run([PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,check\n"


# The process.

HEAVY = ("pydantic", "httpx", "jsonschema", "asyncio", "pulumi", "yaml", "tomllib", "pathlib")
SLOW = ("click", "dataclasses", "datetime", "inspect", "json")  # each a tenth of the time, or more


def test_a_clean_file_needs_nothing_heavy(tree: Path) -> None:
    (tree / "clean.tf").write_text(MANUAL)
    program = (
        "import sys; sys.argv = ['ollama-policy', 'check', 'clean.tf']\n"
        "from ollama_policy.__main__ import _run\n"
        f"print(_run(sys.argv[1:]), [name for name in {HEAVY + SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_clean_file_takes_little_more_than_the_command_line_itself(tree: Path) -> None:
    (tree / "clean.tf").write_text(MANUAL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(tree.parent / "cache")}

    def best(*arguments: str | Path) -> float:
        def once() -> float:
            before = os.times()
            subprocess.run(arguments, env=environment, capture_output=True, check=True)
            after = os.times()
            return after.children_user + after.children_system - before.children_user - before.children_system

        return min(once() for _ in range(7))

    ratio = best(PROGRAM, "check", "clean.tf") / best(sys.executable, "-c", "import click")
    assert ratio < 4, "0.06 s are about twice and a half of what Python and click take"


def test_progress_is_shown_to_a_person_who_waits(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys, "stderr", type("Terminal", (), {"isatty": lambda _: True, "flush": lambda _: None})())
    monkeypatch.setattr(sys.stderr, "write", written.append, raising=False)
    now = iter([0.0, 0.1, 0.6, 0.7])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    show = progress()
    for done in (64, 1280, 2000):
        show(done, 2000)
    assert written == ["\r\x1b[K1,280 of 2,000 files", "\r\x1b[K"]


def test_an_interrupt_ends_the_run_within_a_second(tree: Path) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    process = subprocess.Popen(
        [PROGRAM, "check", "--stdin-filename", "a.tf", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert_took_less(1, start)
    process.communicate()


def test_the_list_of_commands_says_each_in_one_line(command: Command) -> None:
    told = command("--help").output
    assert all(f"\n{title}:\n" in told for title in ("Check", "Inspect", "Measure", "Act"))
    for name in cli.list_commands(click.Context(cli)):
        (line,) = [line for line in told.splitlines() if line.startswith(f"  {name} ")]
        assert 0 < len(line.split(maxsplit=1)[1]) <= 45, line


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_each_option_says_what_it_does(name: str) -> None:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    for option in found.params:
        if isinstance(option, click.Option):
            assert option.help is not None, option.name
            assert len(option.help.split()) > 2, option.help
            assert option.help.endswith((".", "]")), option.help


def test_a_shell_completes_the_ids_of_rules() -> None:
    found = [item.value for item in rule_ids(click.Context(cli), click.Argument(["id"]), "oll00")]
    assert found[0] == "OLL001"
    assert all(one.startswith("OLL00") for one in found)


@pytest.mark.parametrize(
    ("variables", "is_terminal", "has_colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "0"}, False, False),
    ],
)
def test_colour_follows_the_variables_that_people_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_terminal: bool, has_colour: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    class Stream:
        def isatty(self) -> bool:
            return is_terminal

    assert terminal(Stream()) == (has_colour, is_terminal)
