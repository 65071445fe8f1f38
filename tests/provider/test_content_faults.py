"""A model's life on a server that misbehaves: what is tried again, what is not, and what is left behind."""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply import content
from ollama_provider.apply.drift import second_name
from ollama_provider.apply.failures import UnplacedError
from ollama_provider.apply.server import Server, Servers
from ollama_provider.apply.states import OUTPUTS, State
from ollama_provider.connections import ProviderSettings
from ollama_provider.lifecycle import Lifecycle
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import (
    LateError,
    NotFoundError,
    NotOllamaError,
    OllamaError,
    RefusedError,
    TransientError,
    UnreachableError,
)
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName
from tests.engines import faulty_ollama
from tests.engines.faulty_ollama import Exchange, FakeOllamaWithFaults, Fault, Request
from tests.promptness import assert_took_less

SECRET = "hunter2-and-more"
DIGEST = "ab" * 32
OTHER_DIGEST = "cd" * 32
SECOND = str(second_name(ModelName.parse("tiny")))


class ImpatientServers(Servers):
    """As in life, but for a stall that is over soon."""

    def at(self, connection: Connection) -> Server:
        return Server(Ollama(connection, stall_seconds=2))


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "RETRY_SECONDS", (0.01, 0.02, 0.03))


@pytest.fixture(autouse=True)
def _with_names_to_copy_and_delete(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/show", faulty_ollama.status(200, {"capabilities": ["completion"]}))
    fake.answer("POST", "/api/copy", copy)
    fake.answer("DELETE", "/api/delete", delete)


def copy(exchange: Exchange) -> None:
    body, fake = exchange.request_seen.body, exchange.fake
    digest = next(tag["digest"] for tag in fake.tags if tag["name"] == body["source"])
    others = [tag for tag in fake.tags if tag["name"] != body["destination"]]
    fake.tags = [*others, faulty_ollama.tag(body["destination"], digest)]
    exchange.send(200, b"")


def delete(exchange: Exchange) -> None:
    exchange.fake.tags = [tag for tag in exchange.fake.tags if tag["name"] != exchange.request_seen.body["model"]]
    exchange.send(200, b"")


def create(url: str, values: Mapping[str, Any], reported: list[str] | None = None, **configuration: Any) -> State:
    lines = reported if reported is not None else []

    async def work() -> State:
        settings = ProviderSettings.read({"host": url, **configuration}, {})
        return await Lifecycle(settings, ImpatientServers(), lines.append).create({"name": "tiny", **values})

    return asyncio.run(work())


def failure(
    url: str, values: Mapping[str, Any], reported: list[str] | None = None, **configuration: Any
) -> OllamaError:
    with pytest.raises(OllamaError) as failed:
        create(url, values, reported, **configuration)
    assert str(failed.value).isprintable()
    assert url in str(failed.value)
    return failed.value


def calls(fake: FakeOllamaWithFaults, path: str) -> list[Request]:
    return [request for request in fake.requests if request.path == path]


def installed(fake: FakeOllamaWithFaults) -> dict[str, str]:
    return {tag["name"]: tag["digest"] for tag in fake.tags}


TRANSIENT = {
    "a cut stream": faulty_ollama.cut_stream(),
    "a stall": faulty_ollama.stall(),
    "lines without progress": faulty_ollama.slow_no_progress(),
    "no final success": faulty_ollama.no_success(),
    "a full queue": faulty_ollama.status(503, {"error": "server busy"}),
    "a gateway's page": faulty_ollama.html(502),
    "a broken download": faulty_ollama.error_line("unexpected EOF"),
}
FINAL: dict[str, tuple[Fault, type[OllamaError]]] = {
    "a full disk": (faulty_ollama.error_line("no space left on device"), RefusedError),
    "an unknown model": (faulty_ollama.error_line("pull model manifest: file does not exist"), RefusedError),
    "garbage": (faulty_ollama.garbage(), NotOllamaError),
    "a portal's page": (faulty_ollama.html(), NotOllamaError),
    "half a JSON": (faulty_ollama.half_json(), NotOllamaError),
    "a login": (faulty_ollama.status(401, {"error": "unauthorized"}), RefusedError),
    "a failure": (faulty_ollama.status(500, {"error": "internal"}), RefusedError),
    "a missing page": (faulty_ollama.not_found, NotFoundError),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_a_pull_that_broke_off_is_tried_again_and_goes_on_to_success(fake: FakeOllamaWithFaults, fault: Fault) -> None:
    reported: list[str] = []
    fake.answer("POST", "/api/pull", faulty_ollama.then(fault, faulty_ollama.fine_pull()))
    state = create(fake.url, {}, reported)
    assert (state["id"], state["digest"], state["drift"]) == ("tiny:latest", DIGEST, "")
    assert len(calls(fake, "/api/pull")) == 2
    again = [line for line in reported if "; trying again in 0.01 s, going on from what was downloaded" in line]
    assert len(again) == 1
    assert again[0].startswith(f"the pull of tiny:latest at {fake.url}: ")
    assert reported[-1] == "tiny:latest: pulled and verified"


def test_a_pull_that_keeps_breaking_off_stops_after_the_last_try(fake: FakeOllamaWithFaults) -> None:
    reported: list[str] = []
    fake.answer("POST", "/api/pull", faulty_ollama.cut_stream())
    assert type(failure(fake.url, {}, reported)) is TransientError
    assert len(calls(fake, "/api/pull")) == 4
    waits = [line.partition("trying again in ")[2].partition(" s,")[0] for line in reported if "trying again" in line]
    assert waits == ["0.01", "0.02", "0.03"]
    assert installed(fake) == {}


@pytest.mark.parametrize(("fault", "kind"), FINAL.values(), ids=FINAL)
def test_a_pull_that_was_refused_is_not_tried_again(
    fake: FakeOllamaWithFaults, fault: Fault, kind: type[OllamaError]
) -> None:
    reported: list[str] = []
    fake.answer("POST", "/api/pull", fault)
    error = failure(fake.url, {}, reported)
    assert type(error) is kind
    assert error.asked == "the pull of tiny:latest"
    assert len(calls(fake, "/api/pull")) == 1
    assert reported == ["tiny:latest: pulling"]


def test_a_broken_and_then_refused_pull_says_the_refusal(fake: FakeOllamaWithFaults) -> None:
    refusal = faulty_ollama.error_line("no space left on device")
    fake.answer("POST", "/api/pull", faulty_ollama.then(faulty_ollama.cut_stream(), refusal))
    assert type(failure(fake.url, {})) is RefusedError
    assert len(calls(fake, "/api/pull")) == 2


def test_a_missing_base_is_pulled_with_the_same_patience(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/pull", faulty_ollama.then(faulty_ollama.cut_stream(), faulty_ollama.fine_pull()))
    fake.answer("POST", "/api/create", faulty_ollama.fine_pull("sha256:" + OTHER_DIGEST))
    state = create(fake.url, {"base": "llama3", "parameters": {"num_ctx": 2048.0, "top_k": "40", "stop": "x"}})
    assert installed(fake) == {"llama3:latest": DIGEST, "tiny:latest": OTHER_DIGEST}
    assert state["digest"] == OTHER_DIGEST
    assert calls(fake, "/api/create")[0].body["parameters"] == {"num_ctx": 2048, "top_k": 40, "stop": ["x"]}


def test_a_pull_that_never_ends_is_given_up_at_its_deadline(fake: FakeOllamaWithFaults) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.progress()
        count = 0
        while exchange.client_stays(0.02):
            exchange.completed(count := count + 1)
        exchange.close_connection = True

    fake.answer("POST", "/api/pull", endless)
    began = time.monotonic()
    error = failure(fake.url, {"timeouts": {"pull": "500ms"}})
    assert time.monotonic() - began > 0.4
    assert_took_less(2, began)
    assert type(error) is LateError
    assert str(error).endswith("not done within 500ms; what was downloaded stays for the next try")
    assert len(calls(fake, "/api/pull")) == 1


@pytest.mark.slow
def test_the_deadline_holds_over_all_tries(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/pull", faulty_ollama.stall())
    error = failure(fake.url, {"timeouts": {"pull": "3s"}})
    assert "not done within 3s" in str(error)
    assert len(calls(fake, "/api/pull")) == 2


def test_success_without_the_model_is_no_success(fake: FakeOllamaWithFaults) -> None:
    def hollow(exchange: Exchange) -> None:
        exchange.progress(1)
        exchange.finish()

    fake.answer("POST", "/api/pull", hollow)
    error = failure(fake.url, {})
    assert type(error) is NotFoundError
    assert "it was made, and is not there" in str(error)


def test_another_digest_than_the_expected_one_is_refused_and_removed(fake: FakeOllamaWithFaults) -> None:
    fake.answer("POST", "/api/pull", faulty_ollama.fine_pull())
    error = failure(fake.url, {"digest": OTHER_DIGEST})
    assert type(error) is RefusedError
    assert f"expected digest {OTHER_DIGEST}, and {DIGEST} came" in str(error)
    assert installed(fake) == {}


@pytest.mark.parametrize(
    "fault",
    [faulty_ollama.fine_pull(), faulty_ollama.cut_stream(), faulty_ollama.error_line("no space left on device")],
    ids=["another digest", "a cut stream", "a full disk"],
)
def test_what_was_there_stays_where_the_new_content_is_not_good(fake: FakeOllamaWithFaults, fault: Fault) -> None:
    fake.tags = [faulty_ollama.tag("tiny:latest", OTHER_DIGEST)]
    fake.answer("POST", "/api/pull", fault)
    failure(fake.url, {"digest": "ef" * 32, "pull_policy": "always"})
    assert installed(fake) == {"tiny:latest": OTHER_DIGEST}


def test_a_second_name_goes_when_the_new_content_is_good(fake: FakeOllamaWithFaults) -> None:
    fake.tags = [faulty_ollama.tag("tiny:latest", OTHER_DIGEST)]
    seen: list[dict[str, str]] = []

    def pull(exchange: Exchange) -> None:
        seen.append(installed(exchange.fake))
        faulty_ollama.fine_pull()(exchange)

    fake.answer("POST", "/api/pull", pull)
    assert create(fake.url, {"pull_policy": "always"})["digest"] == DIGEST
    assert seen == [{"tiny:latest": OTHER_DIGEST, SECOND: OTHER_DIGEST}]
    assert installed(fake) == {"tiny:latest": DIGEST}


def test_a_cancelled_pull_leaves_no_second_name(fake: FakeOllamaWithFaults) -> None:
    fake.tags = [faulty_ollama.tag("tiny:latest", OTHER_DIGEST)]
    pulling = threading.Event()

    def pull(exchange: Exchange) -> None:
        pulling.set()
        faulty_ollama.stall()(exchange)

    fake.answer("POST", "/api/pull", pull)

    async def work() -> None:
        settings = ProviderSettings.read({"host": fake.url}, {})
        lifecycle = Lifecycle(settings, Servers(), lambda line: None)
        task = asyncio.create_task(lifecycle.create({"name": "tiny", "pull_policy": "always"}))
        await asyncio.to_thread(pulling.wait, 30)
        assert SECOND in installed(fake)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert installed(fake) == {"tiny:latest": OTHER_DIGEST}


def made_and_then(fault: Callable[[Exchange], None]) -> Fault:
    """A create that makes the model, and what comes after it."""

    def answer(exchange: Exchange) -> None:
        exchange.fake.tags.append(faulty_ollama.tag("tiny:latest", DIGEST))
        fault(exchange)

    return answer


def no_more_lists(exchange: Exchange) -> None:
    for path in ("/api/tags", "/api/ps"):
        exchange.fake.answer("GET", path, faulty_ollama.status(500, {"error": "disk on fire"}))
    faulty_ollama.fine_pull(DIGEST)(exchange)


@pytest.mark.parametrize(
    ("after", "show", "words", "known"),
    [
        (faulty_ollama.fine_pull(DIGEST), faulty_ollama.not_found, "the details of tiny:latest", (DIGEST, None)),
        (faulty_ollama.fine_pull(DIGEST), faulty_ollama.status(500, {"error": "no"}), "HTTP 500, no", (DIGEST, None)),
        (faulty_ollama.error_line("too late"), None, "too late", (DIGEST, ["completion"])),
        (no_more_lists, None, "the look at tiny:latest, which was made, ", (None, None)),
    ],
)
def test_what_a_failed_create_has_made_is_in_the_state(
    fake: FakeOllamaWithFaults, after: Fault, show: Fault | None, words: str, known: tuple[Any, Any]
) -> None:
    fake.tags = [faulty_ollama.tag("b:latest", OTHER_DIGEST)]
    fake.answer("POST", "/api/create", made_and_then(after))
    if show:
        fake.answer("POST", "/api/show", show)
    with pytest.raises(UnplacedError, match=words) as failed:
        create(fake.url, {"base": "b"})
    state = failed.value.state
    assert {*state} >= {*OUTPUTS} - {"gguf_file"}
    assert (state["id"], state["origin"], state["digest"], state["capabilities"]) == ("tiny:latest", "derived", *known)


def test_a_create_that_fails_before_it_has_made_anything_leaves_no_state(fake: FakeOllamaWithFaults) -> None:
    fake.tags = [faulty_ollama.tag("b:latest", OTHER_DIGEST)]
    fake.answer("POST", "/api/create", faulty_ollama.error_line("no space"))
    assert type(failure(fake.url, {"base": "b"})) is RefusedError
    fake.tags.append(faulty_ollama.tag("tiny:latest", DIGEST))
    assert type(failure(fake.url, {"base": "b"})) is RefusedError, "what was there before is as it was"


def test_a_local_file_is_uploaded_once_and_a_refused_upload_is_an_error(
    fake: FakeOllamaWithFaults, tmp_path: Path
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF and more")
    blob = f"/api/blobs/sha256:{hashlib.sha256(b'GGUF and more').hexdigest()}"
    fake.answer("POST", blob, faulty_ollama.status(400, {"error": "digest mismatch"}))
    error = failure(fake.url, {"gguf": str(file)})
    assert type(error) is RefusedError
    assert str(error) == f"the upload of model.gguf at {fake.url}: HTTP 400, digest mismatch"
    assert calls(fake, "/api/create") == []
    fake.answer("HEAD", blob, lambda exchange: exchange.send(200, b""))
    fake.answer("POST", "/api/create", faulty_ollama.fine_pull())
    state = create(fake.url, {"gguf": str(file)})
    assert state["gguf_file"] == content.look_at(file)
    assert len(calls(fake, blob)) == 3  # two looks and one upload


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            faulty_ollama.status(200, {"version": "0.6.3"}),
            NotOllamaError,
            "Ollama 0.6.3 is too old, 0.6.4 or newer is needed: update the server",
        ),
        (faulty_ollama.status(200, {"version": "0.1.14"}), NotOllamaError, "Ollama 0.1.14 is too old"),
        (faulty_ollama.status(200, {"version": "latest"}), NotOllamaError, "not a version of Ollama: 'latest'"),
        (faulty_ollama.status(200, {"version": "0.²"}), NotOllamaError, "not a version of Ollama"),
        (faulty_ollama.status(200, {"name": "else"}), NotOllamaError, 'an answer without a "version"'),
        (faulty_ollama.html(), NotOllamaError, "<!DOCTYPE html>"),
        (faulty_ollama.not_found, NotOllamaError, "HTTP 404, '404 page not found'"),
        (faulty_ollama.html(403), RefusedError, "HTTP 403, '<!DOCTYPE html>"),
        (faulty_ollama.status(401, {"error": "unauthorized"}), RefusedError, "HTTP 401, unauthorized"),
        (faulty_ollama.html(502), TransientError, "HTTP 502"),
    ],
)
def test_a_server_that_is_not_fit_is_one_clear_line_before_anything_is_done(
    fake: FakeOllamaWithFaults, answer: Fault, kind: type[OllamaError], words: str
) -> None:
    reported: list[str] = []
    fake.answer("GET", "/api/version", answer)
    error = failure(fake.url, {"memory_management": "manual"}, reported)
    assert type(error) is kind
    assert words in str(error)
    assert [request.path for request in fake.requests] == ["/api/version"]
    assert reported == []


@pytest.mark.parametrize("version", ["0.6.4", "0.17.4", "0.33.0-rc2", "0.0.0", "1.0", "0.7.0+build"])
def test_a_server_that_is_new_enough_is_fit(fake: FakeOllamaWithFaults, version: str) -> None:
    fake.version = version
    fake.tags = [faulty_ollama.tag("tiny:latest")]
    assert create(fake.url, {})["digest"] == DIGEST


def test_no_server_at_all_is_one_clear_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    reported: list[str] = []
    error = failure(url, {}, reported)
    assert type(error) is UnreachableError
    assert "no connection: " in str(error)
    assert reported == []


def test_a_wrong_declaration_asks_no_server(fake: FakeOllamaWithFaults) -> None:
    with pytest.raises(InvalidDeclarationError, match="keep_alive: found"):
        create(fake.url, {"keep_alive": "forever"})
    assert fake.requests == []


@pytest.mark.parametrize("code", [401, 503])
def test_a_secret_that_the_server_repeats_is_in_no_error_and_no_report(fake: FakeOllamaWithFaults, code: int) -> None:
    def echo(exchange: Exchange) -> None:
        exchange.send_json(code, {"error": f"sent: {exchange.request_seen.headers}"})

    def version(exchange: Exchange) -> None:
        exchange.send_json(200, {"version": exchange.request_seen.headers["Authorization"]})

    reported: list[str] = []
    secrets: dict[str, Any] = {"token": SECRET, "headers": {"X-Api-Key": f"{SECRET}-key"}}
    fake.answer("POST", "/api/pull", echo)
    text = "\n".join([str(failure(fake.url, {}, reported, **secrets)), *reported])
    fake.answer("GET", "/api/version", version)
    text += str(failure(fake.url, {}, **secrets))
    assert text.count("***") >= 3
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/api/tags", faulty_ollama.not_found),
        ("/api/tags", faulty_ollama.half_json()),
        ("/api/ps", faulty_ollama.html(502)),
        ("/api/tags", faulty_ollama.cut_stream()),
    ],
)
def test_a_read_that_fails_is_never_a_model_that_is_gone(fake: FakeOllamaWithFaults, path: str, fault: Fault) -> None:
    fake.tags = [faulty_ollama.tag("tiny:latest")]
    state = create(fake.url, {})
    fake.answer("GET", path, fault)

    async def read() -> State | None:
        settings = ProviderSettings.read({"host": fake.url}, {})
        return await Lifecycle(settings, ImpatientServers(), lambda line: None).read(state)

    with pytest.raises(OllamaError) as failed:
        asyncio.run(read())
    assert not isinstance(failed.value, NotFoundError)


def test_a_read_of_a_model_that_is_gone_says_so(fake: FakeOllamaWithFaults) -> None:
    fake.tags = [faulty_ollama.tag("tiny:latest")]
    state = create(fake.url, {})
    fake.tags = []

    async def read() -> State | None:
        settings = ProviderSettings.read({"host": fake.url}, {})
        return await Lifecycle(settings, ImpatientServers(), lambda line: None).read(state)

    assert asyncio.run(read()) is None
