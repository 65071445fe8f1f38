"""The command `logs`, without the command line: a request in, a report or a stream of events out, an exit code back."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from ollama_policy.commands.logs.event import Event
from ollama_policy.commands.logs.findings import Findings, reported
from ollama_policy.commands.logs.lines.chunks import EVERY, STDIN, Again, chunks
from ollama_policy.commands.logs.lines.reading import Reading
from ollama_policy.commands.logs.naming import name_by_host, name_by_manifests
from ollama_policy.commands.logs.report import Account, event_json, event_line, render
from ollama_policy.commands.logs.story import Story
from ollama_policy.commands.logs.threshold import Threshold
from ollama_policy.commands.logs.timeline import Timeline
from ollama_policy.errors import CannotLookError
from ollama_policy.formats.text import summary
from ollama_policy.formats.writing import Look
from ollama_policy.model.result import FINDINGS
from ollama_policy.model.rule import Severity
from ollama_policy.text.terminal import deliver, terminal

_SHOWN_AS: Final = "<stdin>"
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_INTERVAL: Final = 1.0  # seconds between two looks at the machine's memory


class Request(NamedTuple):
    """What `logs` is asked for; the defaults are those of the command line. `path` is None where none was given."""

    path: str | None = None
    follows: bool = False
    form: str = "text"
    output: str | None = None
    threshold: float | None = None
    slow_seconds: float = 60
    host: str | None = None
    models: str | None = None
    fail_on: str = "warning"


def run(request: Request) -> int:
    """Reads, reports, and gives the exit code. Raises CannotLookError."""
    threshold = None if request.threshold is None else Threshold(request.threshold)
    path = request.path
    if path is None and threshold is not None and not request.follows:
        return _watch_only(threshold)
    if path is None:
        if sys.stdin.isatty():
            raise CannotLookError("no log was given: name a file, or `-` for standard input")
        path = STDIN
    if threshold is not None and not request.follows:
        raise CannotLookError("--threshold watches this machine now, and a log without -f is past: give -f, or no FILE")
    if request.follows and request.output is not None:
        raise CannotLookError("-f writes as it reads, and --output a whole report: give one of them")
    return _Run(request._replace(path=path), threshold).result()


def _watch_only(threshold: Threshold) -> int:
    try:
        while True:
            _write(threshold.passed())
            time.sleep(_INTERVAL)
    except KeyboardInterrupt:
        return FINDINGS if threshold.count else 0


class _Run:
    def __init__(self, request: Request, threshold: Threshold | None) -> None:
        assert request.path is not None
        self._request = request
        self._path = request.path
        self._shown = _SHOWN_AS if self._path == STDIN else self._path
        self._threshold = threshold
        self._next_look = 0.0
        self._timeline = Timeline()
        self._findings = Findings()
        self._story = Story(self._take, request.slow_seconds)
        self._reading = Reading()
        self._bytes, self._began = 0, time.monotonic()

    def result(self) -> int:
        try:
            self._read()
        except KeyboardInterrupt:
            if not self._request.follows:
                raise
        self._end_reading()
        self._story.finish()
        return self._report()

    def _read(self) -> None:
        for chunk in self._chunks():
            if isinstance(chunk, Again):
                self._end_reading()
                self._reading = Reading()
                sys.stderr.write(f"{self._shown} was replaced: line numbers start at 1 again\n")
            else:
                if not self._bytes:
                    self._refuse(chunk)
                self._bytes += len(chunk)
                for line in self._reading.feed(chunk):
                    self._story.take(*line)
                self._progress()
            self._look()

    def _chunks(self) -> Iterator[bytes | Again]:
        try:
            yield from chunks(self._path, follows=self._request.follows)
        except OSError as error:
            raise CannotLookError(f"cannot read {self._shown}: {error.strerror}") from None

    def _end_reading(self) -> None:
        for line in self._reading.finish():
            self._story.take(*line)

    def _refuse(self, chunk: bytes) -> None:
        if chunk.startswith(_COMPRESSED):
            raise CannotLookError(f"{self._shown} is compressed: unpack it into `ollama-policy logs -`")
        if chunk.startswith(_UTF_16):
            raise CannotLookError(f"{self._shown} is UTF-16, expected UTF-8: `iconv -f UTF-16 -t UTF-8` makes it that")

    def _look(self) -> None:
        if self._threshold is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _INTERVAL
        line = self._threshold.passed()
        if line and self._request.form == "json":
            line = json.dumps({"kind": "threshold", "text": line})
        _write(line)

    def _take(self, event: Event) -> None:
        self._timeline.take(event)
        found = self._findings.take(event)
        if not self._request.follows:
            return
        if self._request.form == "json":
            finding = None if found is None else found.rule.id
            _write(json.dumps(event_json(event, self._story.models) | {"finding": finding}))
            return
        line = event_line(self._shown, event, self._story.models)
        if found is not None:
            severity = reported(found, self._shown, self._story.models).severity
            line += f" [{severity.value} {found.rule.id} {found.rule.name}]"
        _write(line)

    def _progress(self) -> None:
        if not sys.stderr.isatty() or self._request.follows or time.monotonic() - self._began < EVERY:
            return
        sys.stderr.write(f"\r\x1b[K{self._bytes / 2**20:,.0f} MiB")
        sys.stderr.flush()

    def _report(self) -> int:
        request, models = self._request, self._story.models
        if sys.stderr.isatty() and not request.follows:
            sys.stderr.write("\r\x1b[K")
        if request.models is not None:
            name_by_manifests(models.values(), request.models)
        if request.host is not None:
            name_by_host(models.values(), request.host)
        result = self._findings.result(self._shown, models, self._story.known)
        account = Account(
            self._shown,
            models,
            self._timeline,
            result,
            self._reading.number,
            self._reading.cut,
            self._story.known,
            self._story.has_debug,
            self._story.notes,
        )
        if request.follows:
            sys.stderr.write("".join(f"note: {note}\n" for note in account.notes))
            sys.stderr.write(summary(result, Look()) + "\n")
        else:
            deliver(render(request.form, account, _look_of(request)), request.output)
        code = result.exit_code(Severity(request.fail_on))
        return FINDINGS if self._threshold and self._threshold.count else code


def _look_of(request: Request) -> Look:
    has_colour, _ = terminal(sys.stdout if request.output is None else None)
    return Look(has_colour)


def _write(line: str | None) -> None:
    if line is not None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
