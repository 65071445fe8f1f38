"""What a declaration may not be: each refusal says where, what was found and what is accepted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.model import (
    InvalidDeclarationError,
    MemoryManagement,
    ModelDeclaration,
    declare,
    missing_file,
    problems_of,
)
from tests.provider.gguf_writing import write_keys

A_DIGEST = "ab" * 32
EVERYTHING: dict[str, Any] = {
    "name": "mine",
    "memory_management": "automatic",
    "keep_alive": "5m",
    "resident": True,
    "digest": A_DIGEST,
    "pull_policy": "missing",
    "insecure": False,
    "base": "llama3",
    "gguf": "model.gguf",
    "parameters": {"num_ctx": 2048},
    "system": "You are terse.",
    "template": "{{ .Prompt }}",
    "on_destroy": "delete",
    "timeouts": {"pull": "1h"},
    "host": "example.com",
}


def named(**values: Any) -> dict[str, Any]:
    return {"name": "llama3", **values}


def texts(values: Mapping[str, Any]) -> list[str]:
    return [str(problem) for problem in problems_of(values)]


def only_problem(values: Mapping[str, Any]) -> str:
    found = texts(values)
    assert len(found) == 1, found
    assert found[0].isprintable()
    with pytest.raises(InvalidDeclarationError) as refused:
        declare(values)
    assert str(refused.value) == found[0]
    return found[0]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "name: found nothing, expected a value: it is required"),
        ({"name": None}, "name: found nothing, expected a value: it is required"),
        ({"name": ""}, 'name: found "", expected a model name [registry[:port]/][namespace/]model[:tag]; its model is'),
        ({"name": "my model"}, 'name: found "my model", expected a model name'),
        ({"name": "llama3:"}, "its tag is empty"),
        ({"name": "a/b/c/d"}, "at most 3"),
        ({"name": 5}, "name: found 5, which is not text, expected a text"),
        (named(base="b c"), 'base: found "b c", expected a model name'),
        ({"name": "chat:local"}, 'name: found "chat:local", expected a tag other than local: from 0.18.0 on '),
        ({"name": "chat:Local"}, "and reaches chat:latest"),
        (named(base="llama3:local"), 'base: found "llama3:local", expected a tag other than local'),
        (named(name="a:prod-cloud", base="llama3"), "sends every call of this name to a:prod on ollama.com"),
        (named(name="a:cloud", memory_management="manual", base="llama3"), 'name: found "a:cloud", expected a tag'),
        (
            {"name": "gpt-oss:120b-cloud", "memory_management": "manual"},
            'memory_management: found "manual", expected "automatic" for a model that runs on ollama.com ("gpt-oss:',
        ),
        (named(base="gpt-oss:120b-cloud", memory_management="manual", resident=False), 'expected "automatic"'),
        (named(keep_alive="10 minutes"), 'keep_alive: found "10 minutes", expected a Go duration such as "5m"; '),
        (
            named(keep_alive="-1"),
            'found "-1", expected a finite Go duration such as "5m"; to hold a model forever say',
        ),
        (named(keep_alive="-1m"), 'forever say memory_management = "manual"'),
        (named(keep_alive="forever"), 'forever say memory_management = "manual"'),
        (named(keep_alive="1.5 days"), "Go durations have no days: write hours, such as 24h"),
        (named(keep_alive="300"), 'found "300", expected a Go duration such as "5m"; a unit is missing: write 300s'),
        (named(keep_alive=300), 'keep_alive: found 300, which is not text, expected a text such as "300s"'),
        (named(keep_alive=300.0), 'such as "300s"'),
        (named(keep_alive=True), "keep_alive: found true, which is not text"),
        (named(keep_alive=""), 'keep_alive: found ""'),
        (
            named(memory_management="automatic", resident=True),
            'resident: found true, expected no resident if memory_management is "automatic": use',
        ),
        (named(resident=False), "resident: found false, expected no resident if"),
        (
            named(memory_management="manual", keep_alive="5m"),
            'keep_alive: found "5m", expected no keep_alive if memory_management is "manual": use',
        ),
        (
            named(memory_management="Manual"),
            'memory_management: found "Manual", expected "automatic" or "manual" (did you mean \'manual\'?)',
        ),
        (named(memory_management="auto"), "(did you mean 'automatic'?)"),
        (named(memory_management=""), 'memory_management: found "", expected "automatic" or "manual"'),
        (named(memory_management=["manual"]), 'found ["manual"], expected "automatic" or "manual"'),
        (named(memory_management="manual", resident="true"), 'resident: found "true", expected a valid boolean'),
        (named(parameters={"num_ctx": 1}), 'parameters: found {"num_ctx": 1}, expected a base or a gguf'),
        (named(system="x"), 'system: found "x", expected a base or a gguf that it belongs to'),
        (named(template="x"), 'template: found "x", expected a base or a gguf that it belongs to'),
        (named(digest="latest"), 'digest: found "latest", expected the manifest\'s sha256 in 64 hex digits'),
        (named(digest="sha512:" + A_DIGEST), "64 hex digits"),
        (named(digest=A_DIGEST + "\n"), "64 hex digits"),
        (named(digest=A_DIGEST.upper()), "64 hex digits"),
        (named(pull_policy="Always"), 'expected "missing" or "always" or "never" (did you mean \'always\'?)'),
        (named(on_destroy="remove"), 'on_destroy: found "remove", expected "delete" or "unload" or "keep"'),
        (named(insecure="yes"), 'insecure: found "yes", expected a valid boolean'),
        (named(keepalive="5m"), "(did you mean 'keep_alive'?)"),
        (named(keepAlive="5m"), "keepAlive: found a property of that name, expected one of name, memory_management, "),
        (named(quantum=1), "quantum: found a property of that name, expected one of name, "),
        (named(base="llama3:latest"), 'base: found "llama3:latest", expected another model than the one'),
        (named(base="LLAMA3"), "another model than the one that is declared"),
        (
            named(base="b", parameters={"num_ctxt": 1}),
            "parameters: found \"num_ctxt\", expected a parameter that Ollama knows: did you mean 'num_ctx'?",
        ),
        (named(base="b", parameters={"stop": {"a": 1}}), 'found {"a": 1} for "stop", expected a list of texts'),
        (named(base="b", parameters={"stop": [1]}), 'found [1] for "stop", expected a list of texts'),
        (named(base="b", parameters={"top_p": float("nan")}), 'found NaN for "top_p", expected a finite number'),
        (named(base="b", parameters={"num_ctx": "8k"}), 'found "8k" for "num_ctx", expected a whole number without'),
        (named(base="b", parameters="num_ctx 1"), 'parameters: found "num_ctx 1"'),
        (named(timeouts={"pull": "1 hour"}), 'timeouts.pull: found "1 hour", expected a Go duration'),
        (named(timeouts={"load": "0s"}), 'timeouts.load: found "0s", expected a duration over zero'),
        (named(timeouts={"unload": "-1m"}), 'timeouts.unload: found "-1m", expected a duration that is not negative'),
        (named(timeouts={"load": 60}), 'timeouts.load: found 60, which is not text, expected a text such as "60s"'),
        (
            named(timeouts={"pul": "1h"}),
            "timeouts.pul: found a property of that name, expected one of pull, load, unload (did you mean 'pull'?)",
        ),
        (named(timeouts="1h"), 'timeouts: found "1h"'),
        (named(host="ftp://x"), "host: found \"ftp://x\", expected an address as in OLLAMA_HOST; its scheme is 'ftp'"),
        (named(host="x:99999"), 'host: found "x:99999"'),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_what_was_found_and_what_is_accepted(
    values: dict[str, Any], text: str
) -> None:
    assert text in only_problem(values)


def test_base_and_gguf_exclude_each_other(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write_keys(file, {})
    assert "expected either base or gguf, and base is given too" in only_problem(named(base="b", gguf=str(file)))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04", "does not begin with the letters GGUF"),
        (b"GGU", "does not begin with the letters GGUF"),
    ],
)
def test_a_gguf_must_be_one(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    text = only_problem(named(gguf=str(file)))
    assert text.startswith(f'gguf: found "{file}", expected a GGUF file; ')
    assert why in text


def test_a_missing_gguf_is_a_problem_only_where_no_model_was_made_of_it(tmp_path: Path) -> None:
    values = named(gguf=str(tmp_path / "gone.gguf"))
    assert problems_of(values) == []
    problem = missing_file(values)
    assert str(problem) == f'gguf: found "{tmp_path}/gone.gguf", expected a GGUF file; No such file or directory'
    assert missing_file(values, before=named(gguf="another.gguf")) == problem
    assert missing_file(values, before=values) is None
    assert missing_file(named()) is None


def test_a_gguf_may_not_be_a_folder_or_nonsense(tmp_path: Path) -> None:
    assert "it is not a regular file" in only_problem(named(gguf=str(tmp_path)))
    assert "gguf:" in only_problem(named(gguf="a\0b"))
    assert "gguf:" in only_problem(named(gguf=""))


@pytest.mark.parametrize(
    "values",
    [
        named(token="hunter2"),
        named(passwort={"value": "hunter2"}),
        named(timeouts={"token": "hunter2"}),
        named(host="http://user:hunter2@example.com"),
        named(host="user:hunter2/x@example.com"),
        named(host="http://user:x/hunter2@example.com"),
        named(host="http://example.com/?key=hunter2"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(values: dict[str, Any]) -> None:
    assert "hunter2" not in only_problem(values)
    assert "hunter2" not in repr(problems_of(values))


@pytest.mark.parametrize(
    "values",
    [
        {"name": "ev\x1b[31mil"},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        named(keep_alive="5m\x1b]0;x\x07"),
        named(**{"na\x1b[31mme": 1}),
        named(host="x\x1b[31m"),
        named(base="b", parameters={"num_ctx\x07t": 1}),
        named(base="b", parameters={"stop": ["x", "\x1b", 5]}),
    ],
)
def test_control_characters_are_shown_escaped(values: dict[str, Any]) -> None:
    assert "\\" in only_problem(values)


def test_a_long_value_is_cut() -> None:
    assert len(only_problem(named(digest="x" * 10_000))) < 250


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = named(keep_alive="1d", digest="x", timeouts={"pull": "x", "load": "y"}, nmae="z")
    paths = [".".join(map(str, problem.path)) for problem in problems_of(wrong)]
    assert sorted(paths) == ["digest", "keep_alive", "nmae", "timeouts.load", "timeouts.pull"]


@pytest.mark.parametrize("unknown", EVERYTHING)
def test_a_value_that_is_not_known_yet_passes(unknown: str) -> None:
    companions = {"name", "parameters", "system", "template", "base"}
    others = {name: EVERYTHING[name] for name in companions - {unknown}}
    mode = {"resident": "manual"}.get(unknown, "automatic")
    values = {"memory_management": mode, **others, unknown: "a placeholder: 04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
    assert problems_of(values, {unknown}) == []
    assert problems_of({key: value for key, value in values.items() if key != unknown}, [unknown]) == []


def test_all_values_may_be_unknown() -> None:
    assert problems_of({}, EVERYTHING.keys()) == []
    assert problems_of(dict.fromkeys(EVERYTHING, "?"), set(EVERYTHING)) == []
    assert set(EVERYTHING) == set(ModelDeclaration.model_fields)


def test_an_unknown_value_hides_no_other_mistake() -> None:
    assert [problem.path for problem in problems_of({"keep_alive": "1d"}, {"name"})] == [("keep_alive",)]
    # A companion of a mode, or of a source, that is not known yet may turn out to be right.
    assert problems_of(named(resident=True), {"memory_management"}) == []
    assert problems_of(named(system="x"), {"gguf"}) == []


def test_nulls_are_what_was_not_declared() -> None:
    nulls = dict.fromkeys(EVERYTHING) | {"name": "llama3", "timeouts": {"pull": None, "load": "1m", "unload": None}}
    assert declare(nulls) == declare({"name": "llama3", "timeouts": {"load": "1m"}})


def test_the_defaults_are_those_that_are_documented() -> None:
    declared = declare({"name": "llama3"})
    assert declared.memory_management is MemoryManagement.AUTOMATIC
    assert (declared.pull_policy, declared.on_destroy, declared.insecure) == ("missing", None, False)
    assert declared.timeouts.in_seconds() == {"pull": 6 * 3600, "load": 600, "unload": 60}
    assert (declared.must_be_resident, declared.must_be_absent) == (False, False)


@pytest.mark.parametrize(
    ("resident", "must_be_resident", "must_be_absent"), [(None, True, False), (True, True, False), (False, False, True)]
)
def test_manual_is_resident_unless_it_says_no(
    resident: bool | None, must_be_resident: bool, must_be_absent: bool
) -> None:
    declared = declare(named(memory_management="manual", resident=resident))
    assert (declared.must_be_resident, declared.must_be_absent) == (must_be_resident, must_be_absent)


def test_numbers_that_engines_hand_over_as_floats_become_integers_again() -> None:
    parameters = {"num_ctx": 2048.0, "temperature": 0.7, "use_mmap": True, "stop": ["a"], "seed": 3}
    kept = declare(named(base="b", parameters=parameters)).parameters
    assert kept == parameters
    assert kept and isinstance(kept["num_ctx"], int)
    assert kept["use_mmap"] is True


def test_a_number_as_text_is_the_number() -> None:
    given = {"num_ctx": "1024", "temperature": "0.5", "use_mmap": "true", "stop": "x", "seed": None}
    wanted = {"num_ctx": 1024, "temperature": 0.5, "use_mmap": True, "stop": ["x"]}
    assert declare(named(base="b", parameters=given)).parameters == wanted


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = {"keep_alive": -1, "use_mlock": True, "num_ctx": "8k", "wholly_new_thing": 1, "seed": 3}
    problems = problems_of(named(keep_alive="1d", resident=True, gguf=str(Path(__file__)), parameters=wrong))
    assert [problem.path[0] for problem in problems] == ["keep_alive", "resident", "gguf", *["parameters"] * 4]
    told = "\n".join(map(str, problems))
    for text in (
        "this belongs to the declaration itself",
        "LLAMA_ARG_LOAD_MODE",
        "such as 8192",
        "one of draft_num_pr",
    ):
        assert text in told


def test_a_state_from_before_parameters_were_checked_can_be_read() -> None:
    assert ModelDeclaration.model_validate(named(base="b", parameters={"num_ctx": "8k", "new": 1}))


def test_a_declared_digest_may_have_its_prefix() -> None:
    assert declare(named(digest="sha256:" + A_DIGEST)).expected_digest == A_DIGEST
    assert declare(named()).expected_digest is None
