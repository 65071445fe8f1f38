"""Which fixes are offered: none that changes no byte, none that an apply would refuse, and the cure that is chosen."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.commands.check.command import SAFE
from ollama_policy.live.capacity.minimum import RecordedModels
from ollama_policy.model.rule import Fix, Target
from ollama_policy.pipeline.check import Options, check
from ollama_policy.pipeline.configuration import Configuration, parse
from ollama_policy.pipeline.fixing import fix
from ollama_policy.rules import RULES
from ollama_provider.model import problems_of
from ollama_provider.ollama.names import ModelName
from tests.policies.conftest import AUTOMATIC, Command

TREE = "models.yaml"
ANY, NO_CHOICE = Target(), Configuration()


def declared(*models: str) -> str:
    """Models in YAML, `automatic` where nothing else is said."""
    values = [{"name": None, "memory_management": "automatic"} | yaml.safe_load(model) for model in models]
    return yaml.safe_dump({"models": values}, sort_keys=False)


def after_fix(text: str, path: str = TREE, configuration: Configuration = NO_CHOICE) -> str:
    """The text after `--fix`, and that a second `--fix` changes nothing."""
    tree = {path: text.encode()}
    fixed = fix([*tree], Options(RULES, configuration, overlay=tree))
    again = fix([*tree], Options(RULES, configuration, overlay=tree | fixed.after))
    assert not again.after, again.diff()
    return fixed.after.get(path, tree[path]).decode()


def offers(text: str, path: str = TREE, target: Target = ANY) -> list[Fix]:
    tree = {path: text.encode()}
    result = check([path], Options(RULES, Configuration(target=target), overlay=tree))
    return [one for reported in result.findings for one in reported.finding.fixes]


def test_the_title_says_what_the_pin_means() -> None:
    pin, bound = offers(AUTOMATIC, "models.tf")
    assert pin.title == 'memory_management = "manual": the next apply pins it until you release it'
    assert bound.title.startswith('keep_alive = "5m": ')
    assert (pin.is_safe, bound.is_safe) == (True, False)


PYTHON = """\
from ollama_provider import OllamaModel
MM = "automatic"
OllamaModel("c", name="c", memory_management=MM)
"""
HCL = """\
variable "mm" { default = "automatic" }
resource "ollama_model" "c" {
  name              = "c"
  memory_management = var.mm
}
"""


@pytest.mark.parametrize(("path", "text", "origin"), [("a.py", PYTHON, "MM"), ("a.tf", HCL, "var.mm")])
def test_a_mode_from_elsewhere_is_left_to_the_user_in_each_language(
    path: str, text: str, origin: str, tree: Path, command: Command
) -> None:
    assert after_fix(text, path) == text
    assert "keep_alive" in after_fix(text, path, Configuration(cures={"OLL001": "keep-alive"}))
    [bound] = offers(text, path)
    assert not bound.is_safe
    (tree / path).write_text(text)
    shown = command("check", ".").stdout
    assert 'the next apply restores this timer if a client has overridden it; "manual" is not offered: ' in shown
    assert origin in shown.partition("not offered: memory_management comes from ")[2].partition("\n")[0]


def test_why_a_pin_is_not_offered_is_said(tree: Path, command: Command) -> None:
    (tree / TREE).write_text(declared("{name: llama3}", "{name: long, base: llama3}"))
    words = "; manual is not offered: another that is or would be resident has the same weights\n"
    assert command("check", ".", "--select", "OLL001").stdout.count(words) == 2


def test_what_is_declared_released_is_unloaded_not_pinned() -> None:
    [manual] = offers(declared("{name: chat, resident: false, memory_management: automatic}"))
    assert manual.title == 'memory_management = "manual": the next apply unloads it'


@pytest.mark.parametrize(
    "models",
    [
        ("{name: llama3}", "{name: long, base: llama3}"),
        ("{name: llama3}", "{name: long, base: 'llama3:latest'}"),
        ("{name: llama3, memory_management: manual}", "{name: long, base: llama3}"),
        ("{name: a, gguf: a.gguf}", "{name: b, gguf: a.gguf}"),
        ("{name: a, base: llama3}", "{name: b, base: llama3}"),
        ("{name: llama3}", "{name: a, base: llama3, memory_management: manual, resident: false}", "{name: b, base: a}"),
        ("{name: a, base: llama3, host: 'http://one:11434/'}", "{name: b, base: llama3, host: one}"),
        ("{name: llama3}", "{name: 'llama3:latest'}"),
    ],
)
def test_of_two_on_one_file_of_weights_none_is_pinned(models: tuple[str, ...]) -> None:
    text = after_fix(declared(*models))
    pinned = [one["name"] for one in yaml.safe_load(text)["models"] if one["memory_management"] == "manual"]
    before = yaml.safe_load(declared(*models))["models"]
    assert pinned == [one["name"] for one in before if one["memory_management"] == "manual"]
    bounded = [one for one in yaml.safe_load(text)["models"] if one.get("keep_alive") == "5m"]
    assert len(bounded) + len(pinned) == len(models), "the other cure is written"


def test_instances_of_one_block_that_share_their_base_are_not_pinned() -> None:
    block = (
        'resource "ollama_model" "f" {\n  for_each = { a = "x", b = "y" }\n  name = each.value\n  base = "llama3"\n}\n'
    )
    assert "manual" not in after_fix(block, "main.tf")
    assert "manual" in after_fix(block.replace('  base = "llama3"\n', ""), "main.tf")


def test_variants_on_two_servers_are_pinned() -> None:
    models = "{name: a, base: llama3, host: 'http://one:1'}", "{name: b, base: llama3, host: 'http://two:1'}"
    assert after_fix(declared(*models)).count("manual") == 2


def test_a_cloud_model_is_not_pinned() -> None:
    assert offers(declared("{name: 'gpt-oss:120b-cloud', memory_management: automatic}")) == []
    assert "manual" not in after_fix(declared("{name: 'gpt-oss:cloud'}"))


def test_only_what_fits_is_pinned() -> None:
    text = declared("{name: 'llama3.1:70b'}", "{name: 'llama3.1:8b'}", "{name: 'llama3.2:3b'}", "{name: unknown}")
    target = Target(memory_bytes=16 * 2**30)
    found = yaml.safe_load(after_fix(text, configuration=Configuration(target=target)))["models"]
    assert [one.get("memory_management") for one in found] == ["automatic", "manual", "manual", "manual"]
    assert [one.get("keep_alive") for one in found] == ["5m", None, None, None]


def test_nothing_is_pinned_beside_pins_that_do_not_fit() -> None:
    text = declared("{name: 'llama3.1:70b', memory_management: manual}", "{name: unknown}")
    found = yaml.safe_load(after_fix(text, configuration=Configuration(target=Target(memory_bytes=2**30))))["models"]
    assert found[1] == {"name": "unknown", "memory_management": "automatic", "keep_alive": "5m"}


def test_a_snapshot_tells_whose_model_runs_elsewhere(tree: Path) -> None:
    model = '"name": "far:latest", "digest": "0", "size": 1'
    installed = f'{{{model}, "remote_host": "http://far:1"}}'
    server = f'"url": "http://h:1", "is_given": true, "version": "0.34.3", "installed": [{installed}], "running": []'
    snapshot = f'{{"version": 1, "servers": [{{{server}, "server_time": "2026-01-01T00:00:00Z", "details": {{}}}}]}}'
    (tree / "snapshot.json").write_text(snapshot)
    configuration = Configuration(target=Target(snapshot="snapshot.json", models=RecordedModels("snapshot.json")))
    text = after_fix(declared("{name: far}", "{name: near}"), configuration=configuration)
    assert [one.get("memory_management") for one in yaml.safe_load(text)["models"]] == ["automatic", "manual"]


@pytest.mark.parametrize(
    "text",
    [
        "{name: a, memory_management: manual, keep_alive: 5m}",  # "5m" is what stands there
        "{name: a, memory_management: manual, keep_alive: 300}",
        "{name: a, memory_management: manuel, keep_alive: 5m}",
        "{name: a, memory_management: automatik, resident: true}",
    ],
)
def test_no_fix_writes_what_an_apply_refuses_or_what_is_there(text: str) -> None:
    for one in offers(declared(text)):
        for edit in one.edits:
            assert edit.file.data[edit.span.start : edit.span.end] != edit.text.encode()
    [model] = yaml.safe_load(after_fix(declared(text)))["models"]
    assert model == yaml.safe_load(text) or not problems_of(model)


NAMES = ("llama3", "llama3:latest", "long", "gpt-oss:cloud", "chat:local", "llama3.1:70b")
VALUES: dict[str, tuple[Any, ...]] = {
    "name": NAMES,
    "memory_management": ("automatic", "manual", "manuel", "automatik"),
    "keep_alive": ("5m", "300", 300, "10 minutes", "-1", "forever", "1d"),
    "resident": (True, False),
    "base": ("llama3", "long", "other"),
    "gguf": ("a.gguf",),
    "pull_policy": ("always", "allways"),
    "host": ("http://one:1", "one:1"),
    "parameters": ({"num_ctx": 1024}, {"num_ctxx": 1024}),
}


def is_accepted(model: dict[str, Any]) -> bool:
    return not problems_of(
        {key: value for key, value in model.items() if key != "gguf"}, {"gguf", "base"} - model.keys()
    )


def refusals(models: list[dict[str, Any]]) -> int:
    """How many blocks or pairs of residents an apply refuses."""
    residents = [one for one in models if one.get("memory_management") == "manual" and one.get("resident") is not False]

    def weights(model: dict[str, Any]) -> object:
        if "gguf" in model and "base" not in model:
            return model["gguf"]
        bases = {
            ModelName.parse(one["name"]): one["base"]
            for one in models
            if "base" in one and one.get("host") == model.get("host")
        }
        name, seen = ModelName.parse(model.get("base", model["name"])), set[ModelName]()
        while name in bases and name not in seen:
            seen.add(name)
            name = ModelName.parse(bases[name])
        return name

    pairs = sum(
        1
        for one, other in product(residents, residents)
        if is_accepted(one)
        and is_accepted(other)
        and one.get("host") == other.get("host")
        and ModelName.parse(one["name"]) != ModelName.parse(other["name"])
        and weights(one) == weights(other)
    )
    return pairs + sum(not is_accepted(one) for one in models)


def blocks() -> st.SearchStrategy[dict[str, Any]]:
    one = {key: st.sampled_from(values) for key, values in VALUES.items() if key != "name"}
    return st.fixed_dictionaries({"name": st.sampled_from(NAMES)}, optional=one)


@settings(max_examples=100, deadline=None)
@given(st.lists(blocks(), min_size=1, max_size=4))
def test_a_fix_leaves_accepted_what_was_accepted_and_the_check_stable(models: list[dict[str, Any]]) -> None:
    text = yaml.safe_dump({"models": models}, sort_keys=False)
    after = yaml.safe_load(after_fix(text))["models"]
    assert len(after) == len(models)
    for before, then in zip(models, after, strict=True):
        assert is_accepted(then) or not is_accepted(before), (before, then)
        assert then == before or is_accepted(then) or not is_accepted(before)
    assert refusals(after) <= refusals(models), text


def test_the_other_cure_can_be_chosen(tree: Path, command: Command) -> None:
    (tree / "a.tf").write_text(AUTOMATIC)
    chosen = command("check", ".", "--diff", "--fix-with", "OLL001=keep-alive").stdout
    assert '+  keep_alive = "5m"' in chosen.replace("        ", " ")
    assert "manual" not in chosen
    (tree / "ollama-policy.toml").write_text('[fix]\nOLL001 = "keep-alive"\n')
    assert "manual" not in command("check", ".", "--diff").stdout
    assert '"manual"' in command("check", ".", "--diff", "--fix-with", "oll001=manual").stdout
    first = command("check", ".").stdout
    assert '= fix: + keep_alive        = "5m"' in first or '= fix: + keep_alive = "5m"' in first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("OLL001=5m", "expected one of manual, keep-alive"),
        ("OLL002=manual", "there is a choice of fixes for OLL001 only"),
        ("OLL001", "such as OLL001=keep-alive"),
    ],
)
def test_a_choice_that_is_none_is_an_error(tree: Path, command: Command, given: str, words: str) -> None:
    result = command("check", ".", "--fix", "--fix-with", given)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_a_choice_without_a_fix_is_an_error(tree: Path, command: Command) -> None:
    result = command("check", ".", "--fix-with", "OLL001=manual")
    assert (result.exit_code, "give --fix or --diff" in result.stderr) == (2, True)


def test_the_configuration_takes_the_choice() -> None:
    assert parse({"fix": {"OLL001": "keep-alive"}}).cures == {"OLL001": "keep-alive"}


def test_safe_is_said_in_one_sentence(command: Command) -> None:
    said = " ".join(command("check", "--help").output.split())
    assert SAFE in said
    assert SAFE in " ".join(Path(__file__).parents[2].joinpath("docs/check.md").read_text().split())
