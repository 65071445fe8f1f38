"""OLL401 to OLL405: what requests in scripts do to memory."""

from typing import Any

import pytest

from ollama_policy.model.rule import Severity
from ollama_policy.model.settings import Style
from ollama_policy.pipeline.check import Options, check
from ollama_policy.rules.invalid_declaration import InvalidDeclaration
from ollama_policy.rules.invalid_parameter import InvalidParameter
from ollama_policy.rules.keep_alive_through_v1 import KeepAliveThroughV1
from ollama_policy.rules.refused_keep_alive import RefusedKeepAlive
from ollama_policy.rules.reload_by_options import ReloadByOptions
from ollama_policy.rules.removed_parameter import RemovedParameter
from tests.policies.rules.subjects import UNKNOWN, fixed, judged, model, places, request, server, written

API = {"endpoint": "/api/generate", "model": "llama3"}
V1 = {"endpoint": "/v1/chat/completions", "model": "llama3"}


@pytest.mark.parametrize(
    ("value", "place", "wanted"),
    [
        ("-1", '"-1"', '"-1m"'),
        ("300", '"300"', '"300s"'),
        ("10 minutes", '"10 minutes"', '"10m"'),
        ("1d", '"1d"', '"24h"'),
        ("", '""', None),
        ("soon", '"soon"', None),
        (True, "true", None),
        ({}, "{}", None),
        (["5m"], '["5m"]', None),
        (9223372037, "9223372037", None),
        (float("nan"), "NaN", None),
    ],
)
def test_refused(value: Any, place: str, wanted: str | None) -> None:
    (finding,) = judged(RefusedKeepAlive, [request(API | {"keep_alive": value})])
    assert written(finding) == place
    assert [fix.is_safe for fix in finding.fixes] == ([True] if wanted else [])
    if wanted:
        assert fixed(finding).endswith(f"keep_alive = {wanted}\n")
        assert places(RefusedKeepAlive, request(API | {"keep_alive": wanted.strip('"')})) == []


@pytest.mark.parametrize("value", [-1, 0, 0.5, 300, "0", "5m", "-1m", "1h30m", None, UNKNOWN])
def test_accepted(value: Any) -> None:
    assert places(RefusedKeepAlive, request(API | {"keep_alive": value})) == []


@pytest.mark.parametrize(("value", "wanted"), [("-1", "-1m"), ("300", "300s"), ("soon", None)])
def test_the_commands_own_flag(value: str, wanted: str | None) -> None:
    command = request({"endpoint": "ollama run", "model": "m", "keep_alive": value}, style=Style.BARE)
    (finding,) = judged(RefusedKeepAlive, [command])
    assert "command" in finding.message
    assert [fixed(finding, number).rpartition("= ")[2] for number in range(len(finding.fixes))] == (
        [f"{wanted}\n"] if wanted else []
    )


def test_an_empty_flag_is_none() -> None:
    assert places(RefusedKeepAlive, request({"endpoint": "ollama run", "keep_alive": ""})) == []


def test_a_text_with_escapes_is_not_edited() -> None:
    call = request(API | {"keep_alive": "-1"})
    call.settings["keep_alive"].file.data = call.file.data.replace(b'"-1"', b'"\\u002d1"')
    call.settings["keep_alive"].span = type(call.span)(call.file.data.rindex(b'"\\'), len(call.file.data) - 1)
    (finding,) = judged(RefusedKeepAlive, [call])
    assert finding.fixes == ()


def test_no_keep_alive_is_asked_for() -> None:
    assert places(RefusedKeepAlive, request(API)) == []


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (V1 | {"keep_alive": "5m"}, '"5m"'),
        (V1 | {"keep_alive": "-1"}, '"-1"'),
        (V1, None),
        (API | {"keep_alive": "5m"}, None),
        ({"endpoint": UNKNOWN, "keep_alive": "5m"}, None),
        ({"keep_alive": "5m"}, None),
    ],
)
def test_through_v1(values: dict[str, Any], place: str | None) -> None:
    assert places(KeepAliveThroughV1, request(values)) == ([] if place is None else [place])
    if place:
        assert places(RefusedKeepAlive, request(values)) == []


PINNED = {"name": "llama3", "memory_management": "manual"}
VARIANT = PINNED | {"base": "phi3", "parameters": {"num_ctx": 8192, "num_gpu": 20}}


@pytest.mark.parametrize(
    ("declared", "options", "place"),
    [
        (PINNED, {"num_ctx": 8192}, "8192"),
        (PINNED, {"num_batch": 256}, "256"),
        (PINNED, {"num_batch": 1024}, None),  # may well be what Ollama chose for the context
        (VARIANT, {"num_batch": 512}, "512"),
        (VARIANT, {"num_batch": 1024}, None),
        (VARIANT | {"parameters": {"num_batch": 512}}, {"num_batch": 512}, None),
        (VARIANT | {"parameters": {"num_ctx": "8192", "use_mmap": "true"}}, {"num_ctx": 8192, "use_mmap": True}, None),
        (PINNED, {"main_gpu": 0}, "0"),
        (VARIANT | {"parameters": {"main_gpu": 0}}, {"main_gpu": 0}, None),
        (PINNED, {"draft_num_predict": 8}, "8"),
        (PINNED, {"draft_num_predict": 4}, "4"),
        (PINNED, {"draft_num_predict": 0}, None),
        (PINNED, {"num_thread": 2}, "2"),
        (PINNED, {"use_mmap": False}, None),
        (PINNED, {"num_keep": 8, "num_predict": 5}, None),
        (PINNED, {"num_gpu": 99}, "99"),
        (PINNED, {"use_mmap": True}, "true"),
        (VARIANT, {"num_ctx": 4096}, "4096"),
        (VARIANT, {"num_ctx": 32768}, "32768"),
        (PINNED, {"num_ctx": 4096}, None),  # may well be what the server took by itself
        (PINNED, {"num_batch": 512}, None),
        (PINNED, {"num_gpu": -1}, None),
        (VARIANT, {"num_gpu": -1}, None),
        (VARIANT, {"num_ctx": 8192}, None),
        (VARIANT, {"num_ctx": 8192.0}, None),
        (PINNED, {"num_ctx": UNKNOWN}, None),
        (PINNED, {"temperature": 0.1}, None),
        (PINNED | {"resident": False}, {"num_ctx": 8192}, None),
        (PINNED | {"base": "phi3", "parameters": UNKNOWN}, {"num_ctx": 8192}, None),
        (PINNED | {"base": "phi3", "parameters": {"num_ctx": UNKNOWN}}, {"num_ctx": 8192}, None),
        (PINNED | {"name": UNKNOWN}, {"num_ctx": 8192}, None),
        (PINNED | {"name": "phi3"}, {"num_ctx": 8192}, None),
        (PINNED | {"memory_management": "automatic"}, {"num_ctx": 8192}, None),
    ],
)
def test_reloads(declared: dict[str, Any], options: dict[str, Any], place: str | None) -> None:
    call = request(API | {f"options.{name}": value for name, value in options.items()})
    assert places(ReloadByOptions, model(declared), call) == ([] if place is None else [place])


@pytest.mark.parametrize(
    ("version", "options", "place"),
    [
        ("0.17.4", {"num_batch": 1024}, "1024"),
        ("0.17.4", {"num_batch": 512}, None),
        ("0.17.4", {"main_gpu": 0}, None),
        ("0.17.4", {"main_gpu": 1}, "1"),
        ("0.17.4", {"draft_num_predict": 8}, None),
        ("0.17.4", {"use_mmap": False}, "false"),
        ("0.34.3", {"num_batch": 1024}, None),
        ("0.34.3", {"main_gpu": 0}, "0"),
        ("0.34.3", {"use_mmap": False}, None),
        ("0.34.3", {"use_mmap": True}, "true"),
    ],
)
def test_what_reloads_goes_by_the_servers_version(version: str, options: dict[str, Any], place: str | None) -> None:
    call = request(API | {f"options.{name}": value for name, value in options.items()})
    server_of = server({"image": f"ollama/ollama:{version}"})
    assert places(ReloadByOptions, model(PINNED), server_of, call) == ([] if place is None else [place])


@pytest.mark.parametrize(
    ("shift", "version", "place"),
    [(False, "0.34.3", "false"), (True, "0.34.3", None), (None, "0.34.3", None), (False, "0.17.4", None)],
)
def test_a_request_that_wants_no_shifting_context(shift: bool | None, version: str, place: str | None) -> None:
    call = request(API | {"shift": shift})
    server_of = server({"image": f"ollama/ollama:{version}"})
    assert places(ReloadByOptions, model(PINNED), server_of, call) == ([] if place is None else [place])


def test_one_name_in_two_spellings() -> None:
    call = request(API | {"model": "Llama3:LATEST", "options.num_ctx": 8192})
    assert places(ReloadByOptions, model(PINNED), call) == ["8192"]


def test_what_is_no_request_reloads_nothing() -> None:
    for endpoint in ("Modelfile", "ollama run", "/v1/completions", UNKNOWN):
        call = request({"endpoint": endpoint, "model": "llama3", "options.num_ctx": 8192})
        assert places(ReloadByOptions, model(PINNED), call) == []


@pytest.mark.parametrize(
    ("values", "context", "is_found"),
    [
        ({"OLLAMA_CONTEXT_LENGTH": 8192}, 8192, False),
        ({"OLLAMA_CONTEXT_LENGTH": 8192}, 4096, True),
        ({"OLLAMA_CONTEXT_LENGTH": UNKNOWN}, 4096, False),
        ({}, 4096, False),
    ],
)
def test_the_servers_own_context(values: dict[str, Any], context: int, is_found: bool) -> None:
    call = request(API | {"options.num_ctx": context})
    assert places(ReloadByOptions, model(PINNED), server(values), call) == ([f"{context}"] if is_found else [])


@pytest.mark.parametrize(
    ("parameter", "version", "severity"),
    [
        ("typical_p", "0.34.1", Severity.ERROR),
        ("typical_p", "latest", Severity.ERROR),
        ("typical_p", "0.34.0", None),
        ("use_mlock", "0.34.3", Severity.WARNING),
        ("use_mlock", "0.6.8", None),
        ("mirostat", "0.17.4", Severity.WARNING),
        ("mirostat", "0.17.3", None),
        ("top_p", "0.34.3", None),
    ],
)
def test_parameters_that_are_gone(parameter: str, version: str, severity: Severity | None) -> None:
    on = server({"image": f"ollama/ollama:{version}"})
    for subject in (
        request(API | {f"options.{parameter}": 0.5}),
        request({"endpoint": "Modelfile", "model": "llama3", f"options.{parameter}": 0.5}),
        request({"endpoint": "/api/create", "model": "m", "parameters": {parameter: 0.5}}),
    ):
        found = judged(RemovedParameter, [subject, on])
        assert [one.severity or one.rule.severity for one in found] == ([severity] if severity else [])
        assert places(InvalidParameter, subject) == []


def test_a_declaration_is_refused_for_what_is_ignored_and_told_by_version_of_what_is_refused() -> None:
    old, new = (server({"image": f"ollama/ollama:{version}"}) for version in ("0.17.4", "0.34.3"))
    for parameter, of_declarations, of_new in (("typical_p", 0, 1), ("use_mlock", 1, 0), ("top_p", 0, 0)):
        subject = model(PINNED | {"base": "phi3", "parameters": {parameter: 0.5}})
        assert len(places(InvalidDeclaration, subject)) == of_declarations
        assert len(judged(RemovedParameter, [subject, new])) == of_new
        assert judged(RemovedParameter, [subject, old]) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("num_ctx", "8192", "Ollama refuses this request because of its num_ctx, with HTTP 500"),
        ("num_ctx", 0.5, "Ollama refuses this request because of its num_ctx, with HTTP 500"),
        ("stop", "x", "Ollama refuses this request because of its stop, with HTTP 500"),
        ("keep_alive", -1, "Ollama ignores keep_alive and only logs a warning"),
        ("num_ctxx", 1, "Ollama ignores num_ctxx and only logs a warning"),
        ("num_ctx", 8192.0, None),
        ("num_ctx", None, None),
        ("num_ctx", UNKNOWN, None),
        ("stop", ["x"], None),
    ],
)
def test_what_a_request_has_among_its_options(name: str, value: Any, told: str | None) -> None:
    found = judged(InvalidParameter, [request(API | {f"options.{name}": value})])
    assert [one.message for one in found] == ([told] if told else [])
    assert judged(InvalidParameter, [request({"endpoint": "/v1/x", f"options.{name}": value})]) == []


@pytest.mark.parametrize(
    ("line", "is_right"),
    [
        ("num_ctx 8192", True),
        ('num_ctx "8192"', True),
        ("num_ctx 8k", False),
        ("num_ctx 8192.0", False),
        ("num_ctx 8192 # tokens", False),
        ("temperature 1", True),
        ("temperature warm", False),
        ("use_mmap true", True),
        ("use_mmap 1", True),
        ("use_mmap yes", False),
        ("stop <|end|>", True),
        ("keep_alive -1", False),
        ("num_ctxx 1", False),
    ],
)
def test_what_a_modelfile_has_as_a_parameter(line: str, is_right: bool) -> None:
    result = check(
        ["Modelfile"], Options((InvalidParameter,), overlay={"Modelfile": f"FROM a\nPARAMETER {line}\n".encode()})
    )
    assert [str(one.finding.message)[:34] for one in result.findings] == ["`ollama create` refuses this Model"] * (
        not is_right
    )


def test_each_line_of_a_modelfile_counts() -> None:
    text = "FROM a\nPARAMETER stop x\nPARAMETER num_ctx 8k\nPARAMETER stop y\nPARAMETER num_ctx 1024\n"
    result = check(["Modelfile"], Options((InvalidParameter,), overlay={"Modelfile": text.encode()}))
    assert [one.finding.value for one in result.findings] == ["8k"]


def test_what_create_takes_and_each_call_then_fails_by() -> None:
    [found] = judged(
        InvalidParameter, [request({"endpoint": "/api/create", "model": "m", "parameters": {"num_ctx": "8k"}})]
    )
    assert "answers each call of the model with HTTP 500" in found.message


def test_what_is_sent_nowhere_or_says_nothing_is_no_removed_parameter() -> None:
    call = {"endpoint": "/v1/chat/completions", "model": "llama3", "options.typical_p": 1}
    assert places(RemovedParameter, request(call)) == []
    assert places(RemovedParameter, request(API | {"options.typical_p": None})) == []
    assert places(RemovedParameter, model(PINNED | {"parameters": {"typical_p": None}})) == []
    assert places(RemovedParameter, model(PINNED | {"parameters": UNKNOWN})) == []
