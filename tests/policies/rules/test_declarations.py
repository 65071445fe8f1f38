"""OLL001 to OLL007: what a declaration says, and two of them beside each other."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.model import declaration_table, declaration_table_generator
from ollama_policy.model.declarations import certainly_valid
from ollama_policy.model.settings import Style
from ollama_policy.rules.automatic_without_bound import AutomaticWithoutBound
from ollama_policy.rules.cloud_model import CloudModel
from ollama_policy.rules.conflicting_declarations import ConflictingDeclarations
from ollama_policy.rules.invalid_declaration import InvalidDeclaration
from ollama_policy.rules.invalid_keep_alive import InvalidKeepAlive
from ollama_policy.rules.long_keep_alive import LongKeepAlive
from ollama_policy.rules.pin_without_server_default import PinWithoutServerDefault
from ollama_provider.model import ModelDeclaration, problems_of
from ollama_provider.ollama.names import NAME_SHAPE
from tests.policies.rules.subjects import UNKNOWN, fixed, judged, model, places, server, written

AUTOMATIC = {"name": "example-model", "memory_management": "automatic"}
MANUAL = {"name": "example-model", "memory_management": "manual"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (MANUAL | {"name": "chat:local"}, f"another tag: {NAME_SHAPE}"),
        (MANUAL | {"num_ctx": -5}, "the schema in `schemas/`"),
    ],
)
def test_what_to_do_goes_by_what_is_refused(values: dict[str, Any], words: str) -> None:
    (finding,) = judged(InvalidDeclaration, [model(values)])
    assert words in finding.advice


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (AUTOMATIC, '"automatic"'),
        ({"name": "example-model"}, "ollama_model.m"),
        (AUTOMATIC | {"keep_alive": None}, '"automatic"'),
        ({"memory_management": None}, "null"),
        ({"name": UNKNOWN, "memory_management": "automatic"}, '"automatic"'),
    ],
)
def test_nothing_bounds_it(values: dict[str, Any], place: str) -> None:
    assert places(AutomaticWithoutBound, model(values)) == [place]


@pytest.mark.parametrize(
    "values",
    [
        MANUAL,
        MANUAL | {"resident": False},
        AUTOMATIC | {"keep_alive": "5m"},
        AUTOMATIC | {"keep_alive": "nonsense"},  # OLL003
        AUTOMATIC | {"keep_alive": UNKNOWN},
        {"name": "example-model", "memory_management": UNKNOWN},
        {"name": "example-model", "memory_management": "automatik"},  # OLL002
        {"name": "example-model", "keep_alive": "5m"},
    ],
)
def test_something_bounds_it(values: dict[str, Any]) -> None:
    assert places(AutomaticWithoutBound, model(values)) == []


def test_what_was_not_seen_may_bound_it() -> None:
    assert places(AutomaticWithoutBound, model(AUTOMATIC, unknown=UNKNOWN)) == []


def test_the_documents_own_words_and_its_two_ways_out() -> None:
    (finding,) = judged(AutomaticWithoutBound, [model(AUTOMATIC)])
    assert finding.message == 'nothing bounds how long "example-model" stays in memory'
    assert finding.label == "release is left to the server's default and to every client"
    head = '# ollama_model.m\nname = "example-model"\n'
    assert fixed(finding) == f'{head}memory_management = "manual"\n'
    assert fixed(finding, 1) == f'{head}memory_management = "automatic"\nkeep_alive = "5m"\n'
    assert [fix.is_safe for fix in finding.fixes] == [True, False]


def test_ways_out_where_the_mode_is_not_written() -> None:
    (finding,) = judged(AutomaticWithoutBound, [model({"name": "m"})])
    assert fixed(finding) == '# ollama_model.m\nname = "m"\nmemory_management = "manual"\n'
    assert fixed(finding, 1) == '# ollama_model.m\nname = "m"\nkeep_alive = "5m"\n'


def test_a_mode_from_elsewhere_leaves_one_way_out_for_the_user_to_choose() -> None:
    declared = model(AUTOMATIC | {"keep_alive": None})
    declared.settings["memory_management"].is_literal = False
    (finding,) = judged(AutomaticWithoutBound, [declared])
    assert [fix.is_safe for fix in finding.fixes] == [False]
    assert fixed(finding).endswith('memory_management = "automatic"\nkeep_alive = "5m"\n')


def test_no_way_out_without_a_place() -> None:
    declared = model({"name": "m"})
    declared.insertion = None
    (finding,) = judged(AutomaticWithoutBound, [declared])
    assert finding.fixes == ()


@pytest.mark.parametrize(
    ("values", "place", "says"),
    [
        (MANUAL | {"pull_policy": "allways"}, '"allways"', "did you mean 'always'?"),
        ({"name": "m", "memory_management": "Automatic"}, '"Automatic"', "did you mean 'automatic'?"),
        (MANUAL | {"insecure": "true"}, '"true"', "insecure"),
        (MANUAL | {"keepalive": "5m"}, '"5m"', "did you mean 'keep_alive'?"),
        (MANUAL | {"keepalive": UNKNOWN}, "var.x", "did you mean 'keep_alive'?"),
        (MANUAL | {"name": "a/b/c/d"}, '"a/b/c/d"', "3"),
        (MANUAL | {"digest": "sha256:12"}, '"sha256:12"', "64 hex digits"),
        (MANUAL | {"base": "example-model:latest"}, '"example-model:latest"', "another model"),
        (MANUAL | {"system": "be brief"}, '"be brief"', "a base or a gguf"),
        (MANUAL | {"base": "b", "gguf": "c.gguf"}, '"c.gguf"', "either base or gguf"),
        (AUTOMATIC | {"name": "mine:cloud", "gguf": "c.gguf"}, '"mine:cloud"', "a tag that is not cloud"),
        (MANUAL | {"timeouts": {"pull": "0"}}, '{"pull": "0"}', "over zero"),
        (MANUAL | {"host": "gpu:99999"}, '"gpu:99999"', "OLLAMA_HOST"),
        (MANUAL | {"base": "b", "parameters": {"num_ctxx": 1}}, '{"num_ctxx": 1}', "did you mean 'num_ctx'?"),
        (AUTOMATIC | {"resident": True}, "true", 'no resident if memory_management is "automatic"'),
        ({"memory_management": "manual"}, "ollama_model.m", "it is required"),
        ({"name": ""}, '""', "model is empty"),
        ({"name": 3}, "3", "a text"),
        ({"name": UNKNOWN, "on_destroy": "remove"}, '"remove"', '"delete" or "unload" or "keep"'),
    ],
)
def test_invalid_declarations(values: dict[str, Any], place: str, says: str) -> None:
    (finding,) = judged(InvalidDeclaration, [model(values)])
    assert written(finding) == place
    assert says in finding.message


@pytest.mark.parametrize(
    "values",
    [
        MANUAL,
        AUTOMATIC,
        AUTOMATIC | {"keep_alive": "1d"},  # OLL003
        MANUAL | {"keep_alive": "5m"},  # OLL003
        MANUAL | {"gguf": "/nowhere/it/is.gguf"},
        MANUAL | {"gguf": UNKNOWN, "system": "be brief"},
        MANUAL | {"base": "b", "parameters": {"num_ctx": UNKNOWN}},
        MANUAL | {"host": "https://gpu.example:8443/ollama", "timeouts": {"pull": "2h"}},
        {"name": UNKNOWN, "memory_management": UNKNOWN, "keep_alive": "5m", "resident": True},
    ],
)
def test_nothing_to_say_of_a_declaration(values: dict[str, Any]) -> None:
    assert places(InvalidDeclaration, model(values)) == []


def test_a_fragment_needs_no_name() -> None:
    fragment = model({"memory_management": "manual"}, style=Style.YAML)
    fragment.is_fragment = True
    assert places(InvalidDeclaration, fragment) == []


def test_what_was_not_seen_may_be_there() -> None:
    assert places(InvalidDeclaration, model({"system": "be brief"}, unknown=UNKNOWN)) == []


def test_several_problems_of_one_property_are_one_finding() -> None:
    (finding,) = judged(InvalidDeclaration, [model(MANUAL | {"timeouts": {"pull": "0", "load": "never"}})])
    assert "timeouts.pull" in finding.message
    assert "timeouts.load" in finding.message


def test_a_typing_error_is_fixed_in_its_own_quotes() -> None:
    (finding,) = judged(InvalidDeclaration, [model(MANUAL | {"pull_policy": "allways"})])
    assert (finding.label, finding.fixes[0].is_safe) == ('did you mean "always"?', True)
    assert fixed(finding).endswith('pull_policy = "always"\n')


def test_a_name_is_not_fixed() -> None:
    (finding,) = judged(InvalidDeclaration, [model(MANUAL | {"keepalive": "5m"})])
    assert finding.fixes == ()


@pytest.mark.parametrize(
    ("value", "place", "wanted"),
    [
        ("1d", '"1d"', '"24h"'),
        ("10 minutes", '"10 minutes"', '"10m"'),
        ("300", '"300"', '"300s"'),
        (300, "300", '"300s"'),
        ("5M", '"5M"', '"5m"'),
        ("-1", '"-1"', None),
        (-1, "-1", None),
        ("forever", '"forever"', None),
        ("nonsense", '"nonsense"', None),
        ("", '""', None),
        (True, "true", None),
        (1.5, "1.5", None),
        (["5m"], '["5m"]', None),
        ("9999999h", '"9999999h"', None),
    ],
)
def test_invalid_keep_alive(value: Any, place: str, wanted: str | None) -> None:
    (finding,) = judged(InvalidKeepAlive, [model(AUTOMATIC | {"keep_alive": value})])
    assert written(finding) == place
    texts = [fixed(finding, number) for number in range(len(finding.fixes))]
    assert texts == ([] if wanted is None else [f"{finding.file.text[: -len(place) - 1]}{wanted}\n"])
    for text in texts:
        values = AUTOMATIC | {"keep_alive": text.rpartition("= ")[2].strip().strip('"')}
        assert places(InvalidKeepAlive, model(values)) == []


def test_keep_alive_beside_manual() -> None:
    (finding,) = judged(InvalidKeepAlive, [model(MANUAL | {"keep_alive": "5m"})])
    assert "use resident instead" in finding.message


@pytest.mark.parametrize("value", ["5m", "0", "1h30m", "+5m", None, UNKNOWN])
def test_valid_keep_alive(value: Any) -> None:
    assert places(InvalidKeepAlive, model(AUTOMATIC | {"keep_alive": value})) == []


@pytest.mark.parametrize(
    ("value", "is_long"),
    [("1h", False), ("60m", False), ("1h1s", True), ("24h", True), ("61m", True), ("1d", False), (UNKNOWN, False)],
)
def test_long_keep_alive(value: Any, is_long: bool) -> None:
    found = judged(LongKeepAlive, [model({"name": "m", "keep_alive": value})])
    assert [written(finding) for finding in found] == ([f'"{value}"'] if is_long else [])
    assert places(LongKeepAlive, model({"name": "m", "memory_management": UNKNOWN, "keep_alive": value})) == []


FINITE, FOR_EVER = server({"OLLAMA_KEEP_ALIVE": "10m"}), server({"OLLAMA_KEEP_ALIVE": "-1"})


def test_a_pin_beside_a_server_that_would_lose_it() -> None:
    assert places(PinWithoutServerDefault, model(MANUAL), FINITE) == ['"manual"']
    assert places(PinWithoutServerDefault, model(MANUAL), server({"image": "ollama/ollama"})) == ['"manual"']


@pytest.mark.parametrize(
    "subjects",
    [
        [model(MANUAL)],
        [model(MANUAL), FOR_EVER],
        [model(MANUAL), FINITE, FOR_EVER],
        [model(MANUAL), server({"OLLAMA_KEEP_ALIVE": UNKNOWN})],
        [model(MANUAL), server({}, unknown=UNKNOWN)],
        [model(MANUAL | {"resident": False}), FINITE],
        [model(MANUAL | {"resident": UNKNOWN}), FINITE],
        [model(AUTOMATIC), FINITE],
        [model({"name": "m", "memory_management": UNKNOWN}), FINITE],
    ],
)
def test_no_pin_to_lose(subjects: list[Any]) -> None:
    assert places(PinWithoutServerDefault, *subjects) == []


def declared(address: str, /, **values: Any) -> Any:
    path = values.pop("path", "models.yaml")
    return model({"memory_management": "manual"} | values, address=address, path=path, style=Style.YAML)


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ({"name": "a"}, {"name": "A:latest", "memory_management": "automatic"}, '"A:latest"'),
        ({"name": "a"}, {"name": "a", "resident": False}, '"a"'),
        ({"name": "a"}, {"name": "b", "base": "a"}, '"a"'),
        ({"name": "b", "base": "a"}, {"name": "a"}, '"a"'),
        ({"name": "b", "base": "x"}, {"name": "c", "base": "x:latest"}, '"x"'),
        ({"name": "b", "gguf": "x.gguf"}, {"name": "c", "gguf": "x.gguf"}, '"x.gguf"'),
        ({"name": "a", "path": "m/one.tf"}, {"name": "b", "base": "a", "path": "m/two.tf"}, '"a"'),
    ],
)
def test_conflicts(one: dict[str, Any], other: dict[str, Any], place: str) -> None:
    assert places(ConflictingDeclarations, declared("one", **one), declared("other", **other)) == [place]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "a"}, {"name": "b"}),
        ({"name": "a"}, {"name": "a", "resident": False, "host": "gpu2"}),
        ({"name": "a"}, {"name": "a", "resident": False, "host": UNKNOWN}),
        ({"name": "a"}, {"name": UNKNOWN, "base": "a"}),
        ({"name": "a"}, {"name": "b", "base": "a", "resident": False}),
        ({"name": "a"}, {"name": "b", "base": UNKNOWN}),
        ({"name": "a"}, {"name": "a:8b", "resident": False}),
        ({"name": "a", "path": "dev/m.tf"}, {"name": "a", "resident": False, "path": "prod/m.tf"}),
        ({"name": "a", "path": "dev.yaml"}, {"name": "a", "resident": False, "path": "prod.yaml"}),
        ({"name": "b", "gguf": "x.gguf"}, {"name": "c", "gguf": "y.gguf"}),
        ({"name": "b", "gguf": "a"}, {"name": "a"}),
    ],
)
def test_no_conflicts(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert places(ConflictingDeclarations, declared("one", **one), declared("two", **other)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "a"}, {"name": "a"}),
        ({"name": "a"}, {"name": "A:latest"}),
        ({"name": "a"}, {"name": "a", "memory_management": UNKNOWN}),
        ({"name": "a"}, {"name": "a", "resident": True}),
        ({"name": "a", "host": "http://localhost:11434"}, {"name": "a", "host": "127.0.0.1/"}),
        (
            {"name": "a", "memory_management": "automatic", "keep_alive": "5m"},
            {"name": "a", "memory_management": "automatic", "keep_alive": "300s"},
        ),
    ],
)
def test_one_model_in_two_declarations_is_a_conflict_with_equal_settings_too(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    declarations = [declared("one", **one, path="m/one.tf"), declared("two", **other, path="m/two.tf")]
    found = judged(ConflictingDeclarations, declarations)
    assert [finding.message.partition(" is ")[2] for finding in found] == ["declared twice"]


def test_two_keys_of_one_block_are_two_declarations_and_its_instances_in_two_modules_are_not() -> None:
    def conflicts(first: str, second: str) -> int:
        one, other = declared(first, name="a"), declared(second, name="a")
        other.file, other.span = one.file, one.span
        return len(places(ConflictingDeclarations, one, other))

    assert conflicts('ollama_model.m["chat"]', 'ollama_model.m["rag"]') == 1
    assert conflicts("module.x.ollama_model.m[0]", "module.x.ollama_model.m[1]") == 1
    assert conflicts("module.x.ollama_model.m[0]", "module.y.ollama_model.m[0]") == 0
    assert conflicts("module.x[0].ollama_model.m", "module.x[1].ollama_model.m") == 0
    assert conflicts("ollama_model.m", "ollama_model.m") == 0


# The table.


def test_the_committed_table_is_what_the_model_gives() -> None:
    generated = declaration_table_generator.text()
    assert Path(declaration_table.__file__).read_text(encoding="utf-8") == generated


_TEXTS = st.sampled_from(["llama3", "a/b:c", "a:b/c", "", "x" * 90, "Llama3:latest", "ü", "a\n", "5m"])
_DURATIONS = st.sampled_from(["5m", "0", "-0", "-1m", "1d", "+1h", "9999999h", "5m\n", "", "1.5h", ".s", "inf"])
_ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1.5, [], {}, "x", ["5m"], float("nan")])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": _TEXTS,
    "base": _TEXTS,
    "memory_management": st.sampled_from(["automatic", "manual", "Manual"]),
    "pull_policy": st.sampled_from(["missing", "always", "never", "sometimes"]),
    "on_destroy": st.sampled_from(["delete", "unload", "keep", ""]),
    "keep_alive": _DURATIONS,
    "resident": st.booleans(),
    "insecure": st.booleans(),
    "digest": st.sampled_from(["a" * 64, "sha256:" + "0" * 64, "A" * 64, "a" * 64 + "\n"]),
    "gguf": st.sampled_from(["/nowhere.gguf", ""]),
    "system": _TEXTS,
    "template": _TEXTS,
    "host": st.sampled_from(["gpu", "gpu:1", "http://u:p@gpu", "gpu:99999", "", "ftp://x", "[::1]:2"]),
    "timeouts": st.dictionaries(st.sampled_from(["pull", "load", "unload", "other"]), _DURATIONS | _ODD, max_size=2),
    "parameters": st.dictionaries(
        st.sampled_from(["num_ctx", "top_p", "use_mmap", "stop", "num_ctxx", "new"]),
        _TEXTS | _ODD | st.sampled_from(["1", "true"]),
        max_size=2,
    ),
    "other": _TEXTS,
}


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={key: values | _ODD for key, values in _VALUES.items()}),
    st.frozensets(st.sampled_from([*_VALUES]), max_size=3),
)
def test_what_the_table_passes_is_valid(values: dict[str, Any], unknown: frozenset[str]) -> None:
    known = {key: value for key, value in values.items() if key not in unknown and value is not None}
    if certainly_valid(known, unknown):
        assert problems_of(known, unknown) == []


@pytest.mark.parametrize(
    "values",
    [
        MANUAL,
        AUTOMATIC | {"keep_alive": "5m"},
        MANUAL | {"resident": True, "digest": "a" * 64, "pull_policy": "always", "insecure": True},
        MANUAL | {"base": "llama3", "parameters": {"num_ctx": 8192, "stop": "x"}, "system": "s", "template": "t"},
        MANUAL | {"host": "gpu:11434", "timeouts": {"pull": "2h"}, "on_destroy": "keep"},
    ],
)
def test_the_table_passes_common_declarations(values: dict[str, Any]) -> None:
    assert ModelDeclaration.model_validate(values)
    assert certainly_valid(values)


def test_valid_declarations_are_judged_without_pydantic() -> None:
    program = (
        "import sys\n"
        "from tests.policies.rules.subjects import model, judged\n"
        "from ollama_policy.rules import RULES\n"
        "good = [model({'name': f'a{n}', 'memory_management': 'manual'}, path=f'{n}.tf') for n in range(2)]\n"
        "assert not [finding for rule in RULES for finding in judged(rule, good)]\n"
        "print([m for m in ('pydantic', 'httpx', 'jsonschema', 'asyncio', 'pulumi', 'yaml') if m in sys.modules])\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root)
    assert (done.stdout, done.stderr) == ("[]\n", "")


CLOUD = {"name": "gpt-oss:120b-cloud", "memory_management": "automatic", "keep_alive": "24h"}


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (CLOUD, '"gpt-oss:120b-cloud"'),
        ({"name": "kimi-k3:cloud"}, '"kimi-k3:cloud"'),
        ({"name": "mine", "base": "kimi-k3:Cloud", "keep_alive": "5m"}, '"kimi-k3:Cloud"'),
    ],
)
def test_a_cloud_model_is_told_and_asked_for_no_bound(values: dict[str, Any], place: str) -> None:
    assert places(CloudModel, model(values)) == [place]
    for rule in (AutomaticWithoutBound, LongKeepAlive, InvalidDeclaration):
        assert places(rule, model(values)) == []


def test_a_cloud_model_that_is_to_be_held_is_refused() -> None:
    values = CLOUD | {"memory_management": "manual", "keep_alive": None}
    assert places(InvalidDeclaration, model(values)) == ['"manual"']
    assert places(CloudModel, model(values)) == []
    assert places(InvalidDeclaration, model(values | {"memory_management": UNKNOWN})) == []


@pytest.mark.parametrize("key", ["name", "base"])
def test_a_local_tag_is_refused_where_it_stands(key: str) -> None:
    assert places(InvalidDeclaration, model(AUTOMATIC | {"keep_alive": "5m"} | {key: "chat:local"})) == ['"chat:local"']
