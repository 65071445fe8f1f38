"""Bad answers of a server: one clear error of the right class each, and never a success."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ollama_provider.ollama.answers import Connection, TransferProgress
from ollama_provider.ollama.errors import (
    NotFoundError,
    NotOllamaError,
    OllamaError,
    RefusedError,
    TransientError,
    UnreachableError,
)
from ollama_provider.ollama.http import api, exchange
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from tests.engines import faulty_ollama
from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, Fault, packed
from tests.promptness import assert_took_less

TINY = ModelName.parse("tiny")
STALL = 2.0  # a busy machine is not a stall
SECRET = "hunter2-and-more"
Call = Callable[[Ollama], Awaitable[Any]]


def ask(url: str, call: Call, *, stall: float = STALL, token: str | None = None, headers: Any = None) -> Any:
    async def asked() -> Any:
        async with Ollama(Connection(url, token, headers or {}), stall_seconds=stall) as client:
            return await call(client)

    return asyncio.run(asked())


def failure(url: str, call: Call, **options: Any) -> OllamaError:
    with pytest.raises(OllamaError) as failed:
        ask(url, call, **options)
    error = failed.value
    assert str(error).isprintable(), str(error)
    assert error.server == url
    assert str(error).startswith(f"{error.asked} at {url}: ")
    return error


def raw(*chunks: bytes) -> Fault:
    """A stream of these bytes that ends properly."""

    def fault(exchange: Exchange) -> None:
        exchange.begin_stream()
        for chunk in chunks:
            exchange.chunk(chunk)
        exchange.end_stream()

    return fault


def silent() -> Fault:
    """No answer at all until the client leaves."""

    def fault(exchange: Exchange) -> None:
        while exchange.client_stays(1):
            pass
        exchange.close_connection = True

    return fault


def endless_line() -> Fault:
    """A line that never ends."""

    def fault(exchange: Exchange) -> None:
        exchange.begin_stream()
        while exchange.client_stays(0):
            exchange.chunk(b"x" * 2**16)
            if not exchange.client_stays(0.001):
                break
        exchange.close_connection = True

    return fault


PULL_FAULTS = {
    "an error line": (faulty_ollama.error_line("no space left on device"), RefusedError, "no space left on device"),
    "a line of a broken download": (faulty_ollama.error_line("unexpected EOF"), TransientError, "unexpected EOF"),
    "tries used up": (faulty_ollama.error_line("max retries exceeded: x"), TransientError, "max retries exceeded"),
    "a wrong digest": (faulty_ollama.error_line("digest mismatch, file must be"), RefusedError, "digest mismatch"),
    "an unknown model": (
        faulty_ollama.error_line("pull model manifest: file does not exist"),
        RefusedError,
        "the server says: pull model manifest: file does not exist",
    ),
    "an error with control characters": (faulty_ollama.error_line("\x1b[31mno\n"), RefusedError, "no"),
    "a cut stream": (faulty_ollama.cut_stream(), TransientError, "the connection broke off"),
    "a stall": (faulty_ollama.stall(), TransientError, "nothing moved for 2 s; the last status was 'pulling abab"),
    "lines without progress": (faulty_ollama.slow_no_progress(), TransientError, "nothing moved for 2 s"),
    "no answer at all": (silent(), TransientError, "nothing moved for 2 s"),
    "garbage": (faulty_ollama.garbage(), NotOllamaError, "<html><body>502 Bad Gateway"),
    "a binary line": (raw(b"\xff\xfe\x00\n"), NotOllamaError, "a line that is not a JSON object"),
    "a line that is a list": (raw(b'["success"]\n'), NotOllamaError, "a line that is not a JSON object"),
    "a line of brackets": (raw(b"[" * 2**16 + b"\n"), NotOllamaError, "a line that is not a JSON object"),
    "a line nested 90 deep": (raw(b'{"a":' * 90 + b"1" + b"}" * 90 + b"\n"), NotOllamaError, "more than 64 deep"),
    "a line with a number of 4,000 digits": (
        raw(b'{"status": "pulling", "total": ' + b"9" * 4000 + b"}\n"),
        NotOllamaError,
        "a line with a number of 4,000 digits, expected at most 20",
    ),
    "a number beyond 64 bits": (
        raw(b'{"status": "pulling", "total": 1e300}\n'),
        NotOllamaError,
        'a "total" of ',
    ),
    "lines that are packed twice": (
        packed("gzip, gzip", gzip.compress(gzip.compress(b"\n"))),
        NotOllamaError,
        "an answer compressed as 'gzip, gzip', expected one that is not compressed",
    ),
    "lines that unpack without end": (
        packed("gzip", gzip.compress(b"x" * 2**24)),
        NotOllamaError,
        "a line of more than 1 MiB",
    ),
    "an error of a megabyte": (faulty_ollama.error_line("no " * 2**18), RefusedError, "no no..."),
    "numbers that are none": (
        raw(b'{"status": "pulling x", "total": "many", "completed": 1}\n'),
        NotOllamaError,
        "a \"total\" of 'many', expected a whole number from 0 to 2^63",
    ),
    "a full queue": (
        faulty_ollama.status(503, {"error": "server busy, please try again"}),
        TransientError,
        "HTTP 503, server busy, please try again",
    ),
    "a missing model": (faulty_ollama.status(404, {"error": "no tiny"}), NotFoundError, "HTTP 404, no tiny"),
    "a bad request": (faulty_ollama.status(400, {"error": "invalid name"}), RefusedError, "HTTP 400, invalid name"),
    "a login": (faulty_ollama.status(401, {"error": "unauthorized"}), RefusedError, "HTTP 401, unauthorized"),
    "a failure": (faulty_ollama.status(500, {"error": "disk"}), RefusedError, "HTTP 500, disk"),
    "a failure without words": (faulty_ollama.status(500, {}), RefusedError, "HTTP 500, '{}'"),
    "a failure in a list": (faulty_ollama.status(500, ["x"]), RefusedError, "HTTP 500, '[\"x\"]'"),
    "a proxy's page": (faulty_ollama.html(502), TransientError, "HTTP 502, '<!DOCTYPE html>"),
    "a portal's page": (faulty_ollama.html(), NotOllamaError, "'<!DOCTYPE html>"),
    "half a JSON": (faulty_ollama.half_json(), NotOllamaError, "tiny:lat"),
    "no final success": (faulty_ollama.no_success(), TransientError, "last status was 'verifying sha256 digest'"),
    "an empty stream": (raw(), TransientError, "the answer ended without success"),
    "success too early": (raw(b'{"status": "success"}\n{"status": "x"}\n'), TransientError, "last status was 'x'"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "kind", "words"), PULL_FAULTS.values(), ids=PULL_FAULTS)
def test_a_pull_that_goes_wrong_is_one_clear_error(
    fake: FakeOllamaWithFaults, fault: Fault, kind: type[OllamaError], words: str
) -> None:
    fake.answer("POST", "/api/pull", fault)
    began = time.monotonic()
    error = failure(fake.url, lambda client: client.pull(TINY))
    assert_took_less(10, began)
    assert type(error) is kind
    assert error.asked == "the pull of tiny:latest"
    assert words in str(error)
    assert len(fake.requests) == 1  # the client itself never tries again


def test_a_creation_is_followed_like_a_pull(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/create", faulty_ollama.no_success())
    error = failure(fake.url, lambda client: client.create(TINY, {"from": "base"}))
    assert (type(error), error.asked) == (TransientError, "the creation of tiny:latest")


def test_a_line_that_never_ends_is_given_up_long_before_it_fills_the_memory(
    fake: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_LINE", 2**20)
    fake.answer("POST", "/api/pull", endless_line())
    error = failure(fake.url, lambda client: client.pull(TINY), stall=60)
    assert type(error) is NotOllamaError
    assert "a line of more than 1 MiB" in str(error)


def test_lines_are_ended_by_a_newline_alone_and_may_come_in_pieces(fake: FakeOllamaWithFaults) -> None:
    statuses: list[str] = []
    pieces = [b'{"status": "a\xc2', b'\x85b\xe2\x80\xa8c"}\n\n{"sta', b'tus": "d"}\n{"status": "success"}']
    fake.answer("POST", "/api/pull", raw(*pieces))

    def progress(seen: TransferProgress) -> None:
        statuses.append(seen.status)

    ask(fake.url, lambda client: client.pull(TINY, progress=progress))
    assert statuses == ["a\x85b\u2028c", "d", "success"]


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_nothing_packed_is_asked_for_and_what_is_packed_once_is_read(
    fake: FakeOllamaWithFaults, pack: Callable[[bytes], bytes]
) -> None:
    """As a proxy may pack it that does not care."""
    lines = b"".join(b'{"status": "%d"}\n' % number for number in range(20_000)) + b'{"status": "success"}\n'
    fake.answer("POST", "/api/pull", packed("gzip" if pack is gzip.compress else "deflate", pack(lines)))
    seen: list[str] = []
    ask(fake.url, lambda client: client.pull(TINY, progress=lambda one: seen.append(one.status)))
    assert (len(seen), seen[-2:]) == (20_001, ["19999", "success"])
    assert fake.requests[0].headers["Accept-Encoding"] == "identity"


def test_layers_are_counted_and_bounded(fake: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_MOST_LAYERS", 100)
    seen: list[TransferProgress] = []
    lines = [
        b'{"status": "x", "digest": "%d", "total": 4, "completed": %d}\n' % (number % 99, 1 + number // 99)
        for number in range(99 * 4)
    ]
    fake.answer("POST", "/api/pull", raw(*lines, b'{"status": "success"}\n'))
    ask(fake.url, lambda client: client.pull(TINY, progress=seen.append))
    assert seen[-1] == TransferProgress("success", 99 * 4, 99 * 4)
    fake.answer("POST", "/api/pull", raw(*(b'{"status": "x", "digest": "%d"}\n' % number for number in range(101))))
    assert "more than 100 layers of one model" in str(failure(fake.url, lambda client: client.pull(TINY)))


def test_a_fine_pull_reports_the_bytes_of_all_layers(fake: FakeOllamaWithFaults) -> None:
    seen: list[TransferProgress] = []
    fake.answer("POST", "/api/pull", faulty_ollama.fine_pull())
    ask(fake.url, lambda client: client.pull(TINY, progress=seen.append))
    assert seen[-1] == TransferProgress("success", faulty_ollama.TOTAL, faulty_ollama.TOTAL)


@pytest.mark.slow
def test_a_pull_that_moves_slowly_is_no_stall(fake: FakeOllamaWithFaults) -> None:
    def slow(exchange: Exchange) -> None:
        exchange.progress()
        for part in range(6):
            exchange.client_stays(0.5)
            exchange.completed(part)
        exchange.finish()

    fake.answer("POST", "/api/pull", slow)
    ask(fake.url, lambda client: client.pull(TINY))


VERSION: Call = lambda client: client.version()  # noqa: E731 - a name for a case
INSTALLED: Call = lambda client: client.installed()  # noqa: E731
RUNNING: Call = lambda client: client.running()  # noqa: E731
SHOW: Call = lambda client: client.show(TINY)  # noqa: E731
A_TAG = faulty_ollama.tag("tiny:latest")
A_RUNNER = faulty_ollama.resident("tiny:latest")


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("GET", "/api/version", VERSION),
        ("GET", "/api/tags", INSTALLED),
        ("GET", "/api/ps", RUNNING),
        ("POST", "/api/show", SHOW),
    ],
)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faulty_ollama.html(), NotOllamaError),
        (faulty_ollama.half_json(), NotOllamaError),
        (raw(b"[" * 2**16), NotOllamaError),
        (raw(b"[]"), NotOllamaError),
        (raw(b"\xff\xfe"), NotOllamaError),
        (faulty_ollama.status(500, {"error": "x"}), RefusedError),
        (faulty_ollama.status(503, {"error": "x"}), TransientError),
        (faulty_ollama.html(504), TransientError),
        (faulty_ollama.cut_stream(), TransientError),
    ],
    ids=["html", "half JSON", "brackets", "a list", "binary", "HTTP 500", "HTTP 503", "a gateway's page", "cut"],
)
def test_a_bad_answer_to_a_plain_question_is_one_clear_error(
    fake: FakeOllamaWithFaults, method: str, path: str, call: Call, fault: Fault, kind: type[OllamaError]
) -> None:
    fake.answer(method, path, fault)
    assert type(failure(fake.url, call)) is kind


@pytest.mark.parametrize(
    ("path", "call", "answer", "words"),
    [
        ("/api/version", VERSION, {}, 'without a "version"'),
        ("/api/version", VERSION, {"version": 17}, 'without a "version"'),
        ("/api/tags", INSTALLED, {}, 'without a list of "models"'),
        ("/api/tags", INSTALLED, {"models": {}}, 'without a list of "models"'),
        ("/api/tags", INSTALLED, {"models": ["tiny"]}, 'without a list of "models"'),
        ("/api/tags", INSTALLED, {"models": [{}]}, "a model name ''"),
        ("/api/tags", INSTALLED, {"models": [{**A_TAG, "model": "a b\x1b"}]}, "a model name 'a b\\x1b'"),
        ("/api/tags", INSTALLED, {"models": [{**A_TAG, "size": "big"}]}, '"size" of '),
        ("/api/tags", INSTALLED, {"models": [{**A_TAG, "size": [1]}]}, '"size" of '),
        ("/api/tags", INSTALLED, {"models": [{**A_TAG, "details": "x"}]}, '"details" that is not a JSON object'),
        ("/api/ps", RUNNING, {}, 'without a list of "models"'),
        (
            "/api/ps",
            RUNNING,
            {"models": [{**A_RUNNER, "expires_at": "soon"}]},
            "an expires_at that is not a time: 'soon'",
        ),
        (
            "/api/ps",
            RUNNING,
            {"models": [{**A_RUNNER, "expires_at": "2026-01-01"}]},
            "that is not a time: '2026-01-01'",
        ),
        ("/api/ps", RUNNING, {"models": [{**A_RUNNER, "expires_at": None}]}, "that is not a time"),
        ("/api/ps", RUNNING, {"models": [{**A_RUNNER, "size_vram": "x"}]}, '"size_vram" of '),
    ],
)
def test_an_answer_of_another_shape_is_no_ollama_s(
    fake: FakeOllamaWithFaults, path: str, call: Call, answer: Any, words: str
) -> None:
    fake.answer("GET", path, faulty_ollama.status(200, answer))
    error = failure(fake.url, call)
    assert type(error) is NotOllamaError
    assert "this does not look like Ollama, it sent " in str(error)
    assert words in str(error)


def test_details_of_another_shape_are_no_ollama_s(fake: FakeOllamaWithFaults) -> None:
    for answer in ({"model_info": "x"}, {"model_info": {"general.architecture": "a", "a.context_length": "x"}}):
        fake.answer("POST", "/api/show", faulty_ollama.status(200, answer))
        assert type(failure(fake.url, SHOW)) is NotOllamaError


def test_details_keep_special_tokens_and_the_count_of_all_but_not_their_list(fake: FakeOllamaWithFaults) -> None:
    own = {"general.architecture": "bert", "tokenizer.ggml.model": "bert", "tokenizer.ggml.mask_token_id": 103}
    answer = {"model_info": {**own, "bert.context_length": 512, "tokenizer.ggml.tokens": ["a", "b", "c"]}}
    fake.answer("POST", "/api/show", faulty_ollama.status(200, answer))
    assert ask(fake.url, SHOW).metadata == {**own, "bert.context_length": 512, "bert.vocab_size": 3}


def test_nothing_installed_and_nothing_running_is_an_answer(fake: FakeOllamaWithFaults) -> None:
    fake.answer("GET", "/api/tags", faulty_ollama.status(200, {"models": None}))
    assert ask(fake.url, INSTALLED) == {}
    assert ask(fake.url, RUNNING).models == ()


@pytest.mark.parametrize("call", [VERSION, INSTALLED, RUNNING])
def test_a_server_without_ollama_s_pages_is_not_a_model_that_is_gone(fake: FakeOllamaWithFaults, call: Call) -> None:
    fake.answers.clear()
    error = failure(fake.url, call)
    assert type(error) is NotOllamaError
    assert "HTTP 404, '404 page not found'" in str(error)


def test_an_unknown_model_is_not_found(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/show", faulty_ollama.status(404, {"error": "model 'tiny' not found"}))
    error = failure(fake.url, SHOW)
    assert type(error) is NotFoundError
    assert str(error) == f"the details of tiny:latest at {fake.url}: HTTP 404, model 'tiny' not found"


def test_an_answer_that_is_too_large_is_given_up(fake: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "LARGEST_ANSWER", 2**20)
    for code in (200, 500):
        fake.answer("GET", "/api/tags", lambda exchange, code=code: exchange.send(code, b" " * (2**20 + 1)))  # type: ignore[misc]
        error = failure(fake.url, INSTALLED)
        assert type(error) is NotOllamaError
        assert "an answer of more than 1 MiB" in str(error)


def test_a_question_without_an_answer_has_a_deadline(
    fake: FakeOllamaWithFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", 0.1)
    fake.answer("GET", "/api/ps", silent())
    error = failure(fake.url, RUNNING)
    assert type(error) is UnreachableError
    assert error.words == (
        "no answer within 0.1 s (timeout); restart Ollama there, or correct its address (`host` where it is "
        "declared, OLLAMA_HOST, or --host of a command)"
    )


@pytest.mark.parametrize("call", [VERSION, INSTALLED, RUNNING, SHOW, lambda client: client.pull(TINY)])
def test_no_server_at_all_is_one_clear_error(call: Call) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = failure(url, call)
    assert type(error) is UnreachableError
    assert error.words == (
        "no connection: nothing answers there (connection refused); start Ollama there, or correct its address "
        "(`host` where it is declared, OLLAMA_HOST, or --host of a command)"
    )


def test_a_server_that_speaks_no_tls_is_one_clear_error(fake: FakeOllamaWithFaults) -> None:
    error = failure(fake.url.replace("http:", "https:"), VERSION)
    assert type(error) is UnreachableError
    assert error.words.startswith("no connection: what answers there does not speak TLS ([SSL")
    assert error.words.endswith("; Ollama itself is reached by http://")


@pytest.mark.parametrize("body", [rb'{"version": "\ud800"}', b'{"version": "\xed\xa0\x80"}'])
def test_half_of_a_surrogate_pair_is_no_text(fake: FakeOllamaWithFaults, body: bytes) -> None:
    fake.answer("GET", "/api/version", lambda exchange: exchange.send(200, body))
    assert type(failure(fake.url, VERSION)) is NotOllamaError
    fake.answer("GET", "/api/version", lambda exchange: exchange.send(200, rb'{"version": "\ud83d\ude00"}'))
    assert ask(fake.url, VERSION) == "\U0001f600"


def test_a_server_that_speaks_no_http_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def call(client: Ollama) -> None:
            asking = asyncio.create_task(client.version())
            connection, _ = await asyncio.to_thread(server.accept)
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.close()
            await asking

        error = failure(f"http://127.0.0.1:{server.getsockname()[1]}", call)
    assert isinstance(error, TransientError | NotOllamaError)


def echoing(code: int, shape: str) -> Fault:
    """Repeats in its answer what it was sent."""

    def fault(exchange: Exchange) -> None:
        sent = exchange.request_seen.headers
        words = f"not for {sent.get('Authorization')} and {sent.get('X-Api-Key')}"
        if shape == "error":
            exchange.send_json(code, {"error": words})
        elif shape == "page, cut in the secret":
            exchange.send(code, b"<" + b"-" * (200 - len("not for Bearer hunter2")) + words.encode(), "text/html")
        elif shape == "escaped":
            exchange.send_json(code, {"message": words})
        elif shape == "line":
            exchange.begin_stream()
            exchange.line({"error": words})
            exchange.end_stream()
        else:
            exchange.begin_stream()
            exchange.line({"status": words})
            exchange.end_stream()

    return fault


@pytest.mark.parametrize("headers", [{"X-Api-Key": f"{SECRET}-key"}, {"X-Api-Key": f"Basic {SECRET}-key"}])
@pytest.mark.parametrize(
    ("code", "shape"),
    [
        *((code, shape) for code in (400, 404, 503) for shape in ("error", "page, cut in the secret", "escaped")),
        *((200, shape) for shape in ("page, cut in the secret", "line", "status")),
    ],
)
def test_a_secret_that_the_server_repeats_is_in_no_error(
    fake: FakeOllamaWithFaults, code: int, shape: str, headers: dict[str, str]
) -> None:
    fake.answer("POST", "/api/pull", echoing(code, shape))
    text = str(failure(fake.url, lambda client: client.pull(TINY), token=SECRET, headers=headers))
    assert "hunter2" not in text
    assert "-key" not in text
    assert "***" in text
    assert fake.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert fake.requests[0].headers["X-Api-Key"] == headers["X-Api-Key"]


def crashed(exchange: Exchange) -> None:
    """As gin answers where a handler panics."""
    exchange.send(500, b"")


def test_a_list_of_running_models_that_broke_off_is_asked_for_once_more(fake: FakeOllamaWithFaults) -> None:
    fake.running = [faulty_ollama.resident("tiny:latest")]
    fine = fake.answers["GET", "/api/ps"]
    fake.answer("GET", "/api/ps", faulty_ollama.then(crashed, fine))
    assert [model.name for model in ask(fake.url, Ollama.running).models] == [TINY]
    fake.answer("GET", "/api/ps", faulty_ollama.then(crashed, crashed, fine))
    assert failure(fake.url, Ollama.running).words == "HTTP 500, Internal Server Error"


def test_a_list_of_models_that_met_a_deletion_is_asked_for_again(fake: FakeOllamaWithFaults) -> None:
    """Seen on 0.34.3, where several resources are destroyed at once."""
    words = "stat /models/manifests/registry.ollama.ai/library/derived/latest: no such file or directory"
    gone, fine = faulty_ollama.status(500, {"error": words}), fake.answers["GET", "/api/tags"]
    fake.answer("GET", "/api/tags", faulty_ollama.then(gone, gone, fine))
    ask(fake.url, Ollama.installed)
    fake.answer("GET", "/api/tags", gone)
    assert words in failure(fake.url, Ollama.installed).words


def test_what_a_server_says_in_lines_is_said_in_one_and_once() -> None:
    last = "error loading model: unknown model architecture: 'x'"
    error = OllamaError("the load of a", "http://h", f"terminated: exit status 1: {last}\n{last}\n\n\tsee the log")
    assert error.words == f"terminated: exit status 1: {last}; see the log"
