"""The command: what it prints, how it follows, how it ends."""

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ollama_policy.commands.logs.threshold import Threshold
from ollama_policy.errors import CannotLookError
from ollama_policy.rules.log_rules import LOG_RULES
from tests.policies.conftest import Command
from tests.policies.logs.following import PROGRAM, following
from tests.policies.logs.told import REAL
from tests.promptness import assert_took_less
from tests.schemas import valid

USUAL, DEBUG = REAL / "usual.log", REAL / "debug.log"
ALARM = "ERROR: Memory usage exceeds threshold. Current memory usage: 85%\n"
IGNORED = (
    'time=2026-01-01T12:00:00.000Z level=WARN source=config.go:238 msg="invalid environment variable, using default" '
    "key={} value=two default=1\n"
)


# Reports.


def test_text_is_a_timeline_and_findings(command: Command) -> None:
    result = command("logs", USUAL)
    assert result.exit_code == 1
    assert (
        "sha256:a86e018a6b80 (its name is not in the log; the weights call themselves tiny-1): 4 loads" in result.stdout
    )
    assert "   63  03:04:23.372  gone       left memory before: Ollama counts only 1 in memory" in result.stdout
    assert "note: without OLLAMA_DEBUG=1 Ollama does not log when and why" in result.stdout
    assert (
        "usual.log:156:68 error OLL605 runner-died: sha256:a86e018a6b80: the runner ended: signal: killed"
        in result.stdout
    )
    assert "3 errors, 2 warnings" in result.stdout


def test_json_has_every_event_with_its_line(command: Command) -> None:
    document = valid("logs", command("logs", DEBUG, "--format", "json").stdout)
    assert [model["names"] for model in document["models"]] == [["one:latest"], ["two:latest"]]
    evicted = next(event for event in document["models"][0]["events"] if event["kind"] == "evicted")
    assert evicted["raw"] == DEBUG.read_text(encoding="utf-8").splitlines()[evicted["line"] - 1]
    assert document["summary"] == {"errors": 2, "warnings": 2, "infos": 2}
    assert {finding["rule"] for finding in document["findings"]} == {"OLL601", "OLL602", "OLL606", "OLL615"}


def test_json_has_what_a_runner_keeps_of_prompts(command: Command) -> None:
    document = valid("logs", command("logs", REAL / "prompt-cache.log", "--format", "json").stdout)
    (model,) = document["models"]
    assert model["names"] == ["one:latest"]
    assert model["prompt_cache"] == {
        "prompts": 13,
        "bytes": 34051457,
        "peak_bytes": 34051457,
        "limit_bytes": 2**33,
        "limit_tokens": 2048,
        "updates": 14,
        "dropped": 0,
    }


def test_a_newer_engine_is_read_as_the_newest_known_and_that_is_said(tree: Path, command: Command) -> None:
    newer = (REAL / "prompt-cache.log").read_text(encoding="utf-8").replace("version 0.34.3", "version 9.8.7")
    (tree / "a.log").write_text(newer)
    said = "Ollama 9.8.7 is newer than "
    assert f"note: {said}" in command("logs", "a.log").stdout
    assert said in command("logs", "a.log", "--format", "markdown").stdout
    document = valid("logs", command("logs", "a.log", "--format", "json").stdout)
    assert [said in note for note in document["notes"]] == [True]
    assert document["models"][0]["loads"] == 1


def test_a_version_that_is_none_is_told_and_the_log_is_read(tree: Path, command: Command) -> None:
    other = (REAL / "prompt-cache.log").read_text(encoding="utf-8").replace("version 0.34.3", "version banana")
    (tree / "a.log").write_text(other)
    document = valid("logs", command("logs", "a.log", "--format", "json").stdout)
    note = "the server calls its version 'banana', which is not a version: the log is read without it"
    assert document["notes"] == [note]
    assert document["models"][0]["loads"] == 1


OTHERS = {
    "nginx": '10.0.0.7 - - [01/Jan/2026:12:00:00 +0000] "GET /api/chat HTTP/1.1" 200 12 "-" "curl/8"\n',
    "dockerd": 'time="2026-01-01T12:00:00.000000000Z" level=info msg="Loading containers: start."\n',
    "another slog": 'time=2026-01-01T12:00:00.000Z level=INFO msg="loaded plugins" count=3\n',
    "another GIN": '[GIN] 2026/01/01 - 12:00:29 | 200 | 2m5s | 10.0.0.7 | POST "/login"\n',
    "llama-server alone": "llama_kv_cache: CPU KV buffer size = 0.50 MiB\nsrv  update_slots: all slots are idle\n",
    "etcd": '{"level":"info","ts":"2026-01-01T12:00:00Z","msg":"starting"}\n',
}


@pytest.mark.parametrize("written", OTHERS.values(), ids=OTHERS)
def test_a_log_of_another_program_is_one_clear_line(tree: Path, command: Command, written: str) -> None:
    (tree / "a.log").write_text(written * 3)
    result = command("logs", "a.log")
    assert result.exit_code == 3
    assert result.stdout.startswith("a.log: none of its ")
    assert result.stdout.endswith(" is Ollama's\n")
    assert result.stdout.count("\n") == 1


def test_markdown_has_a_table_a_model(command: Command) -> None:
    text = command("logs", DEBUG, "--format", "markdown").stdout
    assert "## one:latest \\(sha256:a86e018a6b80\\): 2 loads, not in memory at the end" in text
    assert "| 55 | 2026-11-25T03:04:33.446Z | evicted | evicted to make room: " in text
    assert "OLL602 evicted-for-another" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (b"", (), 3),
        (b"nothing of Ollama\n", (), 3),
        (ALARM.encode(), (), 1),
        (USUAL.read_bytes(), ("--fail-on", "error"), 1),
        (b'[GIN] 2026/01/01 - 12:00:29 | 200 | 2m5s | 10.0.0.7 | POST "/api/chat"\n', (), 0),
        (b'[GIN] 2026/01/01 - 12:00:29 | 200 | 2m5s | 10.0.0.7 | POST "/api/chat"\n', ("--fail-on", "info"), 1),
        (gzip.compress(b"x", mtime=0), (), 2),
        ("x".encode("utf-16"), (), 2),
    ],
    ids=str,
)
def test_exit_codes(tree: Path, command: Command, content: bytes, arguments: tuple[str, ...], code: int) -> None:
    (tree / "a.log").write_bytes(content)
    assert command("logs", "a.log", *arguments).exit_code == code
    assert subprocess.run([PROGRAM, "logs", "-", *arguments], input=content, capture_output=True).returncode == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.log",), "cannot read nothing.log: No such file or directory"),
        ((".",), "cannot read .: Is a directory"),
        (("a.log", "--threshold", "85"), "give -f, or no FILE"),
        (("a.log", "-f", "-o", "b"), "give one of them"),
        (("a.log", "--models", "nowhere"), "there is no folder `manifests` in it"),
        (("a.log", "--threshold", "0"), "--threshold"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(tree: Path, command: Command, arguments: tuple[str, ...], words: str) -> None:
    (tree / "a.log").write_text(ALARM)
    result = command("logs", *arguments)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_nothing_in_a_log_reaches_the_terminal(tree: Path, command: Command) -> None:
    evil = IGNORED.format("\x1b[2J\x1b]0;owned\x07\u202e").encode() + b"\xff\xfe panic: \x9b31m\npanic: \x1b[31m\xff\n"
    (tree / "a.log").write_bytes(evil)
    for form in ("text", "json", "markdown"):
        output = command("logs", "a.log", "--format", form).stdout
        assert not set(output) & set("\x1b\x07\x9b\u202e")
    assert "\\x1b[2J" in command("logs", "a.log").stdout


def test_rules_are_explained(command: Command) -> None:
    for rule in LOG_RULES:
        assert rule.summary in " ".join(command("explain", rule.id).stdout.split())
        assert rule.id in command("rules").stdout


# Names.


def test_manifests_give_names(tree: Path, command: Command) -> None:
    manifest = tree / "models/manifests/registry.ollama.ai/library/mistral/7b"
    manifest.parent.mkdir(parents=True)
    digest = "sha256:a86e018a6b80d859a297deee4fee2a67e78b74a754558634c57e4b0cc16bf337"
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 1}
    manifest.write_text(json.dumps({"layers": [layer, {"mediaType": "x", "digest": "y"}]}))
    (manifest.parent / "broken").write_text('{"layers": [{}')
    text = command("logs", USUAL, "--models", "models").stdout
    assert "mistral:7b (sha256:a86e018a6b80): 4 loads" in text
    assert "note: 1 model could not be named" in text


# Following.


def test_follows_a_file_that_grows_in_halves(tree: Path) -> None:
    file = tree / "a.log"
    file.write_text(IGNORED.format("OLLAMA_NUM_PARALLEL"))
    with following(file) as run, file.open("a") as log:
        first = run.wait_for("OLLAMA_NUM_PARALLEL")
        assert first.startswith(f"{file}:1 12:00:00.000 ignored: ")
        assert first.endswith(" [error OLL601 ignored-setting]\n")
        line = IGNORED.format("OLLAMA_MAX_QUEUE")
        log.write(line[:60])
        log.flush()
        time.sleep(0.6)
        log.write(line[60:])
        log.flush()
        assert run.wait_for("OLLAMA_MAX_QUEUE").startswith(f"{file}:2 ")
        assert run.interrupt() == 1
        assert run.lines[-1].startswith("2 errors, ")


@pytest.mark.parametrize("how", ["moved", "truncated"])
def test_follows_through_rotation(tree: Path, how: str) -> None:
    file = tree / "a.log"
    file.write_text(IGNORED.format("OLLAMA_NUM_PARALLEL") + ALARM)
    with following(file) as run:
        run.wait_for("memory is at 85%")
        if how == "moved":
            file.rename(tree / "a.log.1")
            with (tree / "a.log.1").open("a") as old:
                old.write(IGNORED.format("OLLAMA_LATE"))
            run.wait_for("OLLAMA_LATE")
            (tree / "new").write_text(IGNORED.format("OLLAMA_MAX_QUEUE"))
            (tree / "new").rename(file)
        else:
            os.truncate(file, 0)
            with file.open("a") as log:
                log.write(IGNORED.format("OLLAMA_MAX_QUEUE"))
        assert run.wait_for("OLLAMA_MAX_QUEUE").startswith(f"{file}:1 ")
        run.wait_for("was replaced: line numbers start at 1 again")


def test_follows_standard_input_to_its_end_and_until_ctrl_c() -> None:
    with following("-", "--format", "json", stdin=subprocess.PIPE) as run:
        assert run.process.stdin is not None
        run.process.stdin.write(ALARM.encode())
        run.process.stdin.flush()
        event = json.loads(run.wait_for("alarm"))
        assert (event["line"], event["finding"], event["facts"]) == (1, "OLL612", {"percent": "85"})
        assert run.interrupt() == 1
    ended = subprocess.run([PROGRAM, "logs", "-f"], input=ALARM.encode(), capture_output=True)
    assert (ended.returncode, b"memory is at 85%" in ended.stdout) == (1, True)


def test_whoever_reads_may_go_away() -> None:
    with subprocess.Popen(
        [PROGRAM, "logs", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdin and run.stdout and run.stderr
        run.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            for number in range(100):
                run.stdin.write(IGNORED.format(f"OLLAMA_{number}").encode())
            run.stdin.close()
        assert run.wait(60) == 141  # as a shell has it for what SIGPIPE ended
        assert b"Traceback" not in run.stderr.read()


@pytest.mark.slow
def test_endless_input_takes_bounded_memory() -> None:
    """25 MiB of lines, each an event of a model of its own, and one line of 32 MiB."""
    line = 'time=1 level=INFO source=x msg="Load failed" model=/m/blobs/sha256-{:064x} error="x {}"\n'
    with subprocess.Popen([PROGRAM, "logs", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
        assert run.stdin is not None
        most = 0
        for start in range(0, 25_000, 1000):
            lines = [line.format(number, "y" * 900) for number in range(start, start + 1000)]
            run.stdin.write("".join(lines).encode())
            most = max(most, psutil.Process(run.pid).memory_info().rss)
        for _ in range(32):
            run.stdin.write(b"x" * 2**20)
            most = max(most, psutil.Process(run.pid).memory_info().rss)
        run.stdin.close()
        assert run.wait(60) == 1
    assert most < 256 * 2**20


# The document's alarm.


class _Memory:
    def __init__(self, percent: float) -> None:
        self.percent = percent


def test_the_threshold_is_passed_once_a_crossing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([50, 84.9, 85.3, 99, 81, 85.1, 80.1, 86, 80, 85])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: _Memory(next(values)))
    threshold = Threshold(85)
    said = [threshold.passed() for _ in range(10)]
    assert [number for number, line in enumerate(said) if line] == [2, 9]
    assert said[2] == ALARM.rstrip("\n")


def test_the_threshold_prints_exactly_the_documents_line_and_nothing_else() -> None:
    run = subprocess.Popen(
        [PROGRAM, "logs", "--threshold", "1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    try:
        assert run.stdout is not None
        line = run.stdout.readline().decode()
        time.sleep(1.2)
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
        assert (run.wait(30), rest) == (1, b"")
        assert_took_less(1, began)
    finally:
        run.kill()
        run.wait()
    percent = int(
        line.removeprefix("ERROR: Memory usage exceeds threshold. Current memory usage: ").removesuffix("%\n")
    )
    assert abs(percent - psutil.virtual_memory().percent) < 15


def test_the_threshold_beside_a_log(tree: Path) -> None:
    (tree / "a.log").write_text(IGNORED.format("OLLAMA_NUM_PARALLEL"))
    with following(tree / "a.log", "--threshold", "1") as run:
        assert run.wait_for("ERROR: ").startswith("ERROR: Memory usage exceeds threshold. Current memory usage: ")
        run.wait_for("OLLAMA_NUM_PARALLEL")
        assert run.interrupt() == 1


def test_psutil_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(CannotLookError, match=r"python -m pip install 'psutil>=6'"):
        Threshold(85)
