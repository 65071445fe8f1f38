"""Pulumi programs in Python: what is decided, where it stands, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Insertion, SourceFile, Style, Subject, Unknown, apply, insert, rewrite
from ollama_policy.sources.pulumi.python import PulumiPython
from tests.policies.sources.trees import Files

IMPORT = "from ollama_provider import OllamaModel\n"
EXAMPLES = Path(__file__).parents[3] / "examples"


def read(text: str | bytes, **others: str) -> list[Subject]:
    """`others` are the files beside it, with `_` for a dot."""
    file = SourceFile("infra/__main__.py", text.encode() if isinstance(text, str) else text)
    beside = [SourceFile(f"infra/{name.replace('_', '.')}", text.encode()) for name, text in others.items()]
    source = PulumiPython()
    return list(source.read(file, Files(file, *beside))) if source.accepts(file) else []


def mode(text: str, **others: str) -> Any:
    """The value of memory_management in the one call of a program; of an Unknown, its reason."""
    [subject] = read(IMPORT + text, **others)
    value = subject.settings["memory_management"].value
    return value.reason if isinstance(value, Unknown) else value


@pytest.mark.parametrize(
    "program",
    [
        'from ollama_provider import OllamaModel\nOllamaModel("m", name="x")',
        'from ollama_provider import OllamaModel as Model\nModel("m", name="x")',
        'import ollama_provider\nollama_provider.OllamaModel("m", name="x")',
        'import ollama_provider as o\no.OllamaModel("m", name="x")',
        'import ollama_provider.pulumi_dynamic\nollama_provider.pulumi_dynamic.OllamaModel("m", name="x")',
        'import ollama_provider.pulumi_dynamic as d\nd.OllamaModel("m", name="x")',
        'from ollama_provider.pulumi_dynamic import OllamaModel\nOllamaModel(resource_name="m", name="x")',
        'from ollama_provider import pulumi_dynamic\npulumi_dynamic.OllamaModel("m", name="x")',
        'from ollama_provider import *\nOllamaModel("m", name="x")',
        'from ollama_provider import OllamaModel\nM = OllamaModel\nM("m", name="x")',
        'import pulumi_ollama as ollama\nollama.Model("m", name="x")',
        'from pulumi_ollama import Model\nModel("m", name="x")',
        "try:\n    from ollama_provider import OllamaModel\nexcept ImportError:\n    OllamaModel = None\n"
        'OllamaModel("m", name="x")',
        'def main():\n    from ollama_provider import OllamaModel\n    return [OllamaModel("m", name="x")]',
    ],
)
def test_the_resource_is_known_by_every_way_to_import_it(program: str) -> None:
    [subject] = read(program)
    assert subject.address == 'OllamaModel("m")'
    assert subject.file.data[subject.span.start : subject.span.end].decode().endswith(("Model", "M"))
    assert subject.settings["name"].value == "x"


@pytest.mark.parametrize(
    "program",
    [
        'from pydantic_ai.models import OllamaModel\nOllamaModel("m", name="x")  # not of ollama_provider',
        'import ollama_provider\nclass OllamaModel: ...\nOllamaModel("m", memory_management="automatic")',
        'import ollama_provider\n# OllamaModel("m", memory_management="automatic")',
        'from .ollama_provider import OllamaModel\nOllamaModel("m", name="x")',
        'from ollama_provider import OllamaModel\nfrom other import OllamaModel\nOllamaModel("m", name="x")',
        "from ollama_provider import OllamaModel\ndef names(models: list[OllamaModel]) -> None: ...",
        "from ollama_provider import OllamaModel\nif False:\n    OllamaModel('m', name='x')",
    ],
)
def test_other_things_of_that_name_are_left_alone(program: str) -> None:
    assert read(program) == []


@pytest.mark.parametrize(
    ("program", "value"),
    [
        ('OllamaModel("m", memory_management="automatic")', "automatic"),
        ('OllamaModel("m", memory_management="auto" "matic")', "automatic"),
        ('MODE = "manual"\nOllamaModel("m", memory_management=MODE)', "manual"),
        ('MODE: str = "manual"\ndef f():\n    OllamaModel("m", memory_management=MODE)', "manual"),
        ('A, B = "x", "manual"\nOllamaModel("m", memory_management=B)', "manual"),
        ('A = "manual"\nB = A\nOllamaModel("m", memory_management=B)', "manual"),
        ('K = "auto"\nOllamaModel("m", memory_management=f"{K}matic")', "automatic"),
        ('K = "auto"\nOllamaModel("m", memory_management=K + "matic")', "automatic"),
        ('PIN = True\nOllamaModel("m", memory_management="manual" if PIN else "automatic")', "manual"),
        ('E = "dev"\nOllamaModel("m", memory_management="manual" if E != "dev" else "automatic")', "automatic"),
        ('E = "dev"\nOllamaModel("m", memory_management="manual" if E in ("dev", "x") else "automatic")', "manual"),
        ('M = {"chat": "manual"}\nOllamaModel("m", memory_management=M["chat"])', "manual"),
        ('M = {"chat": "manual"}\nOllamaModel("m", memory_management=M.get("other", "automatic"))', "automatic"),
        ('M = ["manual"]\nOllamaModel("m", memory_management=M[-1])', "manual"),
        ('OllamaModel("m", memory_management=None or "manual")', "manual"),
        ('OllamaModel("m", memory_management=(mode := "manual"))', "manual"),
        ('OllamaModel("m", **{"memory_management": "manual"})', "manual"),
        ('COMMON = {"memory_management": "manual"}\nOllamaModel("m", **COMMON)', "manual"),
        ('OllamaModel("m", memory_management="MANUAL".lower())', "manual"),
        (
            "from ollama_provider.model import MemoryManagement\n"
            'OllamaModel("m", memory_management=MemoryManagement.MANUAL)',
            "manual",
        ),
        ('OllamaModel("m", memory_management=None)', None),
        ('OllamaModel("m", memory_management=-5)', -5),
    ],
)
def test_literals_and_what_is_made_of_them_are_decided(program: str, value: Any) -> None:
    assert mode(program) == value


CONFIG = "import os, pulumi\nconfig = pulumi.Config()\n"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ('config.require("mode")', "configuration value mode is only known at deployment"),
        ('pulumi.Config("ollama").get("mode")', "configuration value mode is only known at deployment"),
        (
            'config.get("mode") or "automatic"',
            "configuration value mode is only known at deployment (otherwise 'automatic')",
        ),
        ('os.environ["MODE"]', "environment variable MODE is only known at deployment"),
        ('os.environ.get("MODE", "manual")', "environment variable MODE is only known at deployment"),
        ('os.getenv("MODE")', "environment variable MODE is only known at deployment"),
        ('"manual" if config.get_bool("pin") else "automatic"', "configuration value pin is only known at deployment"),
        ("unheard_of", "unheard_of is not defined in this file"),
        ("choose()", "choose() is only known when the program runs"),
        ('f"{choose():>9}"', "it is formatted in a way that is not followed"),
        ("-----" * 200 + "1", "it is nested too deeply"),
    ],
)
def test_what_only_a_deployment_knows_is_undecided_and_says_why(expression: str, reason: str) -> None:
    assert mode(f"{CONFIG}OllamaModel('m', memory_management={expression})") == reason


PROJECT = """name: infra
runtime: python
config:
  mode: {type: string, default: manual}
  pin: {type: boolean, default: true}
  tokens: {type: integer, default: 8192}
  share: 0.5
  quoted: "8"
  hosts: {type: array, default: [one, "two"]}
  models: {default: [{name: a, mode: manual}, {name: b, mode: automatic}]}
  packed: '["x"]'
  needed: {type: string}
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('config.require("mode")', "manual"),
        ('config.get("mode")', "manual"),
        ('pulumi.Config().require("mode")', "manual"),
        ('pulumi.Config("infra").require("mode")', "manual"),
        ('pulumi.Config(name="infra").require("mode")', "manual"),
        ('pulumi.Config("other").require("mode")', "configuration value mode is only known at deployment"),
        ('pulumi.Config(x).require("mode")', "configuration value mode is only known at deployment"),
        ('config.get("mode") or "automatic"', "manual"),
        ('config.get("mode", "automatic")', "manual"),
        ('config.require("pin")', "true"),
        ('config.require_bool("pin")', True),
        ('"manual" if config.get_bool("pin") else "automatic"', "manual"),
        ('config.require("tokens")', "8192"),
        ('config.require_int("tokens")', 8192),
        ('config.require_int("quoted")', 8),
        ('config.require_object("tokens")', 8192),
        ('config.require_float("share")', 0.5),
        ('config.require_object("hosts")', ["one", "two"]),
        ('config.require_object("hosts")[1]', "two"),
        ('config.require_object("models")[1]["mode"]', "automatic"),
        ('config.require_object("packed")', ["x"]),
        ('config.require_int("mode")', "configuration value mode is manual, which is not an int"),
        ('config.require_bool("tokens")', "configuration value tokens is 8192, which is not a bool"),
        ('config.require_object("mode")', "configuration value mode is manual, which is not an object"),
        ('config.require("hosts")', 'configuration value hosts is [one, "two"], which is not a text'),
        ('config.require("needed")', "configuration value needed has no default in infra/Pulumi.yaml"),
        ('config.require_secret("mode")', "configuration value mode is only known at deployment"),
        ('config.require(f"mo{choose()}")', "choose() is only known when the program runs"),
        ('config.get("nowhere")', "configuration value nowhere is only known at deployment"),
    ],
)
def test_configuration_is_what_the_project_says(expression: str, value: Any) -> None:
    assert mode(f"{CONFIG}OllamaModel('m', memory_management={expression})", Pulumi_yaml=PROJECT) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('config.require("mode")', "automatic"),
        ('config.require("needed")', "x"),
        ('config.get("nowhere")', None),
        ('config.get("nowhere") or "automatic"', "automatic"),
        ('config.get("nowhere", "automatic")', "automatic"),
        ('config.get("nowhere", default="automatic")', "automatic"),
        ('config.get_bool("nowhere", True)', True),
        ('config.require("nowhere")', "configuration value nowhere is only known at deployment"),
    ],
)
def test_configuration_is_what_the_one_stack_says(expression: str, value: Any) -> None:
    stack = "config: {'infra:mode': automatic, 'infra:needed': x}\n"
    text = f"{CONFIG}OllamaModel('m', memory_management={expression})"
    assert mode(text, Pulumi_yaml=PROJECT, Pulumi_dev_yaml=stack) == value


def test_configuration_of_another_language_is_none_of_a_program_in_python() -> None:
    text = f"{CONFIG}OllamaModel('m', memory_management=config.require('mode'))"
    reason = "configuration value mode is only known at deployment"
    assert mode(text, Pulumi_yaml=PROJECT.replace("python", "nodejs")) == reason
    assert mode("class Config: ...\n" + text.replace("pulumi.Config", "Config"), Pulumi_yaml=PROJECT) == reason


def test_configuration_stands_where_it_is_written_and_is_not_rewritten() -> None:
    call = "OllamaModel('m', name=f'{config.require(\"quoted\")}b', memory_management=config.require('mode'))"
    [subject] = read(IMPORT + CONFIG + call, Pulumi_yaml=PROJECT)
    setting = subject.settings["memory_management"]
    assert (setting.file.path, setting.written, setting.is_literal) == ("infra/Pulumi.yaml", "manual", False)
    assert setting.origin == "config.require('mode')"
    name = subject.settings["name"]
    assert (name.file, name.value, name.written) == (subject.file, "8b", "f'{config.require(\"quoted\")}b'")


def test_a_loop_over_configuration_is_a_subject_a_round() -> None:
    loop = (
        'for number, model in enumerate(config.require_object("models")):\n'
        '    OllamaModel(f"m-{number}", name=model["name"], memory_management=model["mode"])\n'
    )
    first, second = read(IMPORT + CONFIG + loop, Pulumi_yaml=PROJECT)
    assert (first.address, first.value("name"), second.value("memory_management")) == (
        'OllamaModel("m-0")', "a", "automatic",
    )  # fmt: skip
    assert second.settings["memory_management"].written == "automatic"
    [subject] = read(IMPORT + CONFIG + loop.replace('"models"', '"needed"'), Pulumi_yaml=PROJECT)
    reason = "configuration value needed has no default in infra/Pulumi.yaml"
    assert subject.settings["name"].value == Unknown(reason)


LEVELS = "".join(f"  v{n}: &v{n} [{', '.join([f'*v{n - 1}'] * 9 if n else ['x'])}]\n" for n in range(8))


@pytest.mark.parametrize("default", ["*v7", "[" * 60 + "]" * 60, "'" + "[" * 10_000 + "'", "'" + "9" * 5_000 + "'"])
def test_any_configuration_is_read_or_undecided(default: str) -> None:
    project = f"name: infra\nruntime: python\nconfig:\n{LEVELS}  mode: {default}\n"
    for kind in ("_object", "_int", "_float"):
        text = f"{CONFIG}OllamaModel('m', memory_management=config.require{kind}('mode'))"
        assert isinstance(mode(text, Pulumi_yaml=project), str)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('def f(mode="manual"):\n    OllamaModel("m", memory_management=mode)', "mode is an argument of f()"),
        ('from common import MODE\nOllamaModel("m", memory_management=MODE)', "MODE comes from common"),
        ('M = "a"\nif x:\n    M = "b"\nOllamaModel("m", memory_management=M)', "M is given a value in 2 places"),
        ('M = "a"\nM += "b"\nOllamaModel("m", memory_management=M)', "M is given a value in 2 places"),
        (
            'M = "a"\ndef f():\n    global M\n    M = "b"\nOllamaModel("m", memory_management=M)',
            "M is given a value in 2 places",
        ),
        (
            'M = {"k": "a"}\nM["k"] = "b"\nOllamaModel("m", memory_management=M["k"])',
            "M may be changed after it is written",
        ),
        (
            'M = {"k": "a"}\nM.update(k="b")\nOllamaModel("m", memory_management=M["k"])',
            "M may be changed after it is written",
        ),
        (
            'M = {"k": "a"}\nfill(M)\nOllamaModel("m", memory_management=M["k"])',
            "M may be changed after it is written",
        ),
        ('M = M2 = M\nOllamaModel("m", memory_management=M)', "it takes too long to evaluate"),
        ('a = "x"*9\nOllamaModel("m", memory_management=a)', "it is calculated in a way that is not followed"),
        (
            'for m in load():\n    OllamaModel("m", memory_management=m)',
            "m changes in the loop on line 2",
        ),
        (
            'for m in ["a", "b"]:\n    if m == x: continue\n    OllamaModel("m", memory_management=m)',
            "m changes in the loop on line 2",
        ),
        ("M = 0x" + "f" * 200 + '\nOllamaModel("m", memory_management=M)', "it is too large a number"),
    ],
)
def test_names_that_may_be_anything_are_undecided(program: str, reason: str) -> None:
    assert mode(program) == reason


def test_doubling_texts_are_given_up() -> None:
    lines = ['a0 = "xxxxxxxxxx"'] + [f"a{n + 1} = a{n} + a{n}" for n in range(50)]
    assert mode("\n".join(lines) + '\nOllamaModel("m", memory_management=a50)').startswith("it ")


def test_values_stand_at_their_exact_bytes() -> None:
    text = (
        IMPORT
        + 'MODE = "manual"\né = OllamaModel("ü", name=\'x\', memory_management=MODE, resident=True, host=f"{1}")\n'
    )
    for data in (text.encode(), text.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + text.encode()):
        [subject] = read(data)
        assert subject.address == 'OllamaModel("ü")'
        assert {key: setting.written for key, setting in subject.settings.items()} == {
            "name": "'x'",
            "memory_management": '"manual"',
            "resident": "True",
            "host": 'f"{1}"',
        }
        places = {key: (setting.is_literal, setting.origin) for key, setting in subject.settings.items()}
        assert places == {
            "name": (True, ""),
            "memory_management": (False, "MODE"),
            "resident": (True, ""),
            "host": (False, ""),
        }


@pytest.mark.parametrize(
    ("loop", "found"),
    [
        ('for n in ["a", "b"]:\n    OllamaModel(n, name=n)', [("a", "a"), ("b", "b")]),
        ('for i, n in enumerate(["a", "b"]):\n    OllamaModel(f"c-{i}", name=n)', [("c-0", "a"), ("c-1", "b")]),
        ('for i, n in enumerate(["a"], start=5):\n    OllamaModel(f"c-{i}", name=n)', [("c-5", "a")]),
        ('for i in range(2):\n    OllamaModel(f"c-{i}", name="a")', [("c-0", "a"), ("c-1", "a")]),
        ('M = {"a": "x", "b": "y"}\nfor k, v in M.items():\n    OllamaModel(k, name=v)', [("a", "x"), ("b", "y")]),
        ('[OllamaModel(n, name=n) for n in ("a", "b")]', [("a", "a"), ("b", "b")]),
        (
            'for h in ["x", "y"]:\n    for n in ["a"]:\n        OllamaModel(f"{n}-{h}", name=n)',
            [("a-x", "a"), ("a-y", "a")],
        ),
        (
            'for n in ["a"]:\n    OllamaModel(n, name=n)\nfor n in ["b"]:\n    OllamaModel(n, name=n)',
            [("a", "a"), ("b", "b")],
        ),
        ('for m in [{"n": "a"}, {"n": "b"}]:\n    OllamaModel(m["n"], name=m["n"])', [("a", "a"), ("b", "b")]),
        ('for m in [{"name": "a"}]:\n    OllamaModel(m["name"], **m)', [("a", "a")]),
        ('for n in ["a", "b"]:\n    if n == "b":\n        OllamaModel(n, name=n)', [("b", "b")]),
    ],
)
def test_a_loop_over_literals_is_a_subject_a_round(loop: str, found: list[tuple[str, str]]) -> None:
    subjects = read(IMPORT + loop)
    assert [(subject.address, subject.value("name")) for subject in subjects] == [
        (f'OllamaModel("{resource}")', name) for resource, name in found
    ]


def test_what_rounds_share_is_edited_only_where_it_is_right_for_all() -> None:
    alike = read(IMPORT + 'for n in ["a", "b"]:\n    OllamaModel(n, name=n, memory_management="automatic")')
    assert all(subject.settings["memory_management"].is_literal and subject.insertion for subject in alike)
    apart = read(
        IMPORT + 'for m in [{"n": "a", "k": "5m"}, {"n": "b"}]:\n'
        '    OllamaModel(m["n"], name=m["n"], memory_management="automatic", keep_alive=m.get("k"))'
    )
    assert [subject.value("keep_alive") for subject in apart] == ["5m", None]
    assert not any(subject.settings["memory_management"].is_literal or subject.insertion for subject in apart)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('OllamaModel("m", name="x", **load())', "**load() is not known: load() is only known when the program runs"),
        ('OllamaModel(*given, name="x")', "the arguments *given are not followed"),
        ("class Pinned(OllamaModel): ...", "Pinned extends it, and what it is called with is not followed"),
        (
            'from functools import partial\npartial(OllamaModel, name="x")',
            "what the partial is called with is not followed",
        ),
    ],
)
def test_arguments_that_cannot_be_seen_are_said(program: str, reason: str) -> None:
    [subject] = read(IMPORT + program)
    assert subject.unknown == Unknown(reason)
    assert subject.insertion is None


@pytest.mark.parametrize(
    ("call", "fixed"),
    [
        ('OllamaModel("m", name="x")', 'OllamaModel("m", name="x", keep_alive="5m")'),
        (
            'OllamaModel("m", memory_management=("automatic"), name="x")',
            'OllamaModel("m", memory_management=("automatic"), keep_alive="5m", name="x")',
        ),
        (
            'OllamaModel(\n    "m",\n    name="x",  # why\n)',
            'OllamaModel(\n    "m",\n    name="x",  # why\n    keep_alive="5m",\n)',
        ),
        ('OllamaModel(\n\t"m",\n\tname="x"\n)', 'OllamaModel(\n\t"m",\n\tname="x",\n\tkeep_alive="5m"\n)'),
        (
            'OllamaModel("m",\n            name="x")',
            'OllamaModel("m",\n            name="x",\n            keep_alive="5m")',
        ),
        (
            'OllamaModel(\n    "m",\n    name="x"  # why\n)',
            'OllamaModel(\n    "m",\n    keep_alive="5m",\n    name="x"  # why\n)',
        ),
        (
            'OllamaModel(\n    "m", name="x",\n    host="h", **{}\n)',
            'OllamaModel(\n    "m", name="x",\n    host="h",\n    keep_alive="5m", **{}\n)',
        ),
    ],
)
def test_a_property_is_added_in_the_layout_of_the_call(call: str, fixed: str) -> None:
    for end in ("\n", "\r\n"):
        text = (IMPORT + call + "\n").replace("\n", end)
        [subject] = read(text)
        edit = insert(subject, "keep_alive", "5m")
        assert edit is not None
        data = apply([edit], text.encode())
        assert data.decode() == (IMPORT + fixed + "\n").replace("\n", end)
        [again] = read(data)
        assert again.value("keep_alive") == "5m"
    assert subject.style is Style.PYTHON
    assert isinstance(subject.insertion, Insertion)


@pytest.mark.parametrize(
    ("written", "fixed"),
    [
        ('"automatic"', '"manual"'),
        ("'automatic'", "'manual'"),
        ('"""automatic"""', '"manual"'),
        ('("auto"\n "matic")', '("manual")'),
        ('r"automatic"', None),
        ('f"automatic"', None),
    ],
)
def test_a_literal_is_rewritten_in_its_quotes(written: str, fixed: str | None) -> None:
    text = f'{IMPORT}OllamaModel("m", memory_management={written})'
    [subject] = read(text)
    setting = subject.settings["memory_management"]
    assert setting.value == "automatic"
    edit = rewrite(setting, "manual")
    if fixed is None:
        assert edit is None
    else:
        assert edit is not None
        assert apply([edit], text.encode()).decode() == f'{IMPORT}OllamaModel("m", memory_management={fixed})'


@pytest.mark.parametrize(
    ("rest", "place", "message"),
    [
        ('OllamaModel("m", name=)\n', ")\n", "no Python: "),
        ("é = $\n", "$\n", "no Python: invalid syntax"),
        ("a = 'x\n", "'x\n", "unterminated string"),
        ("x = '\udcff'\n", "\udcff", "UTF-8"),
        ("\0", None, "null bytes"),
        ("x = " + "(" * 10_000, None, "too many nested parentheses"),
        ("x = " + "-" * 10_000 + "1", None, "nested too deeply"),
        ("x = a" + ".b" * 10_000, None, "nested too deeply"),
        ("x = 1" + " + 1" * 10_000, None, "nested too deeply"),
        ("if x: pass\n" + "elif x: pass\n" * 5_000, None, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_program_that_does_not_parse_is_refused_at_its_place(rest: str, place: str | None, message: str) -> None:
    data = (IMPORT + rest).encode("utf-8", "surrogateescape")
    with pytest.raises(UnreadableError, match=message) as refused:
        read(data)
    if place is not None:
        assert data[refused.value.offset :].startswith(place.encode("utf-8", "surrogateescape"))
    assert read(rest.encode("utf-8", "surrogateescape")) == []  # a program that is not ours is nobody's business


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*/__main__.py")), ids=lambda path: path.parent.name)
def test_the_examples_are_read(program: Path) -> None:
    subjects = read(program.read_bytes())
    assert subjects
    for subject in subjects:
        assert subject.unknown is None
        assert set(subject.settings) >= {"name", "memory_management"}


PIECES = """OllamaModel("m", name=|x|"automatic"|)|\n|for x in |[|]|:|    |if x|**|{|}|=|lambda: |def f(x)|, |M|f'{x}'\
|enumerate(|.get('k')|class A(OllamaModel)|match x|case x|with x as M""".split("|")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_program_is_read_or_refused(text: str) -> None:
    try:
        subjects = read(IMPORT + text)
    except UnreadableError:
        return
    for subject in subjects:
        for setting in subject.settings.values():
            assert 0 <= setting.span.start < setting.span.end <= len(setting.file.data)
