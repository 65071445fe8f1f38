"""`resource "ollama_model"`: values, places, instances, modules."""

import pytest

from ollama_policy.model.settings import SourceFile, Span, Subject, apply, insert
from tests.policies.sources.terraform.module_of import cut, plain, subjects_of


def model(body: str, more: str = "", **files: str) -> Subject:
    (found,) = subjects_of(
        {
            "main.tf": f'resource "ollama_model" "m" {{\n{body}\n}}\n{more}',
            **{k.replace("__", "."): v for k, v in files.items()},
        }
    ).values()
    return found


def test_a_literal_is_placed_with_its_quotes() -> None:
    subject = model('  name = "llama3"\n  memory_management = "automatic" # why\n  resident = false')
    assert plain(subject) == {"name": "llama3", "memory_management": "automatic", "resident": False}
    assert [cut(setting) for setting in subject.settings.values()] == ['"llama3"', '"automatic"', "false"]
    assert all(setting.is_literal and not setting.origin for setting in subject.settings.values())
    assert subject.address == "ollama_model.m"
    assert subject.file.data[subject.span.start : subject.span.end] == b'resource "ollama_model" "m"'


@pytest.mark.parametrize(
    ("expression", "more", "value", "origin"),
    [
        ("var.k", 'variable "k" {\n  default = "5m"\n}', "5m", "default of var.k"),
        ("var.k", 'variable "k" {}', "? var.k has no default", "var.k"),
        ("var.k", "", "? var.k is not declared in this module", "var.k"),
        ("var.k", 'variable "k" {\n  default = "5m"\n  sensitive = true\n}', "? var.k is sensitive", "var.k"),
        ("local.k", 'locals {\n  n = 5\n  k = "${local.n}m"\n}', "5m", "local.k"),
        ("local.k", "locals {\n  k = local.j\n  j = local.k\n}", "? local.k refers to itself", "local.k"),
        ("data.x.y.z", "", "? data.x.y is only known at apply", "an expression"),
        ("module.x.y", "", "? module.x is not declared here", "module.x.y"),
        ('file("x")', "", "? file() is not worked out here", "an expression"),
        ("300", "", "300", ""),
        ("ollama_other.o.name", 'resource "ollama_other" "o" {\n  name = "5m"\n}', "5m", "an expression"),
        (
            "ollama_other.o.id",
            'resource "ollama_other" "o" {}',
            "? ollama_other.o.id is only known at apply",
            "an expression",
        ),
        (
            'ollama_other.o["b"].k',
            'resource "ollama_other" "o" {\n for_each = toset(["a", "b"])\n k = each.key\n}',
            "b",
            "an expression",
        ),
    ],
)
def test_where_a_value_comes_from(expression: str, more: str, value: str, origin: str) -> None:
    subject = model(f'  name = "m"\n  keep_alive = {expression}', more)
    setting = subject.settings["keep_alive"]
    assert (plain(subject)["keep_alive"], setting.origin) == (value, origin)
    assert cut(setting) == expression
    assert setting.is_literal == (not origin)


def test_null_is_not_there_and_leaves_no_place_for_another() -> None:
    subject = model('  name = "m"\n  keep_alive = null')
    assert plain(subject) == {"name": "m"}
    assert subject.insertion is None


def test_terraform_converts_by_the_schema() -> None:
    subject = model(
        '  name = "m"\n  resident = "true"\n  keep_alive = 5e1\n  parameters = { num_ctx = 4096, seed = "7" }'
    )
    assert plain(subject) == {
        "name": "m",
        "resident": True,
        "keep_alive": "50",
        "parameters": {"num_ctx": 4096, "seed": "7"},
    }
    assert cut(subject.settings["keep_alive"]) == "5e1"


def test_nested_timeouts_and_what_is_terraforms_own() -> None:
    subject = model(
        '  name = "m"\n  depends_on = [x.y]\n  lifecycle {\n    prevent_destroy = true\n  }\n  timeouts {\n'
        '    pull = "1h"\n  }'
    )
    assert plain(subject) == {"name": "m", "timeouts": {"pull": "1h"}}
    assert cut(subject.settings["timeouts"]) == 'timeouts {\n    pull = "1h"\n  }'


def test_a_repeated_attribute_is_kept() -> None:
    subject = model('  name = "a"\n  name = "b"')
    assert plain(subject) == {"name": "b"}
    assert [cut(setting) for setting in subject.repeated] == ['"a"']


def test_tfvars_in_terraforms_precedence() -> None:
    files: dict[str, str | bytes] = {
        "main.tf": 'resource "ollama_model" "m" {\n  name = var.a\n  base = var.b\n  system = var.c\n'
        "  template = var.d\n}\n",
        "variables.tf": "".join(f'variable "{name}" {{\n  default = "default"\n}}\n' for name in "abcd"),
        "terraform.tfvars": 'a = "tfvars"\nb = "tfvars"\nc = "tfvars"\n',
        "terraform.tfvars.json": '{"b": "json", "c": "json"}',
        "z.auto.tfvars": 'c = "auto"\n',
        "other.tfvars": 'd = "not loaded"\n',
    }
    (subject,) = subjects_of(files).values()
    assert plain(subject) == {"name": "tfvars", "base": "json", "system": "auto", "template": "default"}
    assert subject.settings["system"].origin == "var.c in z.auto.tfvars"


def test_broken_siblings_are_a_reason() -> None:
    broken = {
        "main.tf": 'resource "ollama_model" "m" {\n  name = var.a\n  base = local.b\n}\n',
        "v.tf": 'variable "a" {\n locals',
    }
    (subject,) = subjects_of(dict(broken)).values()
    assert plain(subject)["name"] == "? var.a is not declared in this module: v.tf does not parse"
    (subject,) = subjects_of({**broken, "v.tf": 'variable "a" {}\n', "x.auto.tfvars": "a = ["}).values()
    assert plain(subject)["name"] == "? x.auto.tfvars does not parse"


@pytest.mark.parametrize(
    ("meta", "addresses"),
    [
        ("count = 2", ["[0]", "[1]"]),
        ("count = 0", []),
        ('for_each = toset(["b", "a"])', ['["a"]', '["b"]']),
        ('for_each = { x = { k = "1m" }, "y z" = { k = "2m" } }', ['["x"]', '["y z"]']),
        ('for_each = { for m in [{ n = "q" }] : m.n => m }', ['["q"]']),
        ("count = var.missing", [""]),
        ("count = 1000000000", [""]),
        ("for_each = data.x.y.z", [""]),
        ('for_each = ["a"]', [""]),
    ],
)
def test_static_instances(meta: str, addresses: list[str]) -> None:
    found = subjects_of({"main.tf": f'resource "ollama_model" "m" {{\n  {meta}\n  name = "m"\n}}\n'})
    assert list(found) == [f"ollama_model.m{address}" for address in addresses]


def test_each_and_count_have_their_values() -> None:
    text = (
        'resource "ollama_model" "e" {\n  for_each = { a = "1m", b = "2m" }\n  name = "x-${each.key}"\n'
        "  keep_alive = each.value\n}\n"
        'resource "ollama_model" "c" {\n  count = 2\n  name = format("y%d", count.index)\n}\n'
        'resource "ollama_model" "u" {\n  for_each = var.u\n  name = each.key\n}\n'
    )
    found = subjects_of({"main.tf": text})
    assert plain(found['ollama_model.e["b"]']) == {"name": "x-b", "keep_alive": "2m"}
    assert plain(found["ollama_model.c[1]"]) == {"name": "y1"}
    assert plain(found["ollama_model.u"]) == {"name": "? var.u is not declared in this module"}
    assert found['ollama_model.e["a"]'].span == found['ollama_model.e["b"]'].span


def test_an_edit_of_several_instances_only_where_they_are_alike() -> None:
    alike = subjects_of(
        {
            "a.tf": 'resource "ollama_model" "e" {\n  count = 2\n  name = "m${count.index}"\n'
            '  memory_management = "automatic"\n}\n'
        }
    )
    assert all(each.settings["memory_management"].is_literal and each.insertion for each in alike.values())
    apart = subjects_of(
        {
            "a.tf": 'resource "ollama_model" "e" {\n  for_each = { a = "5m", b = null }\n  name = each.key\n'
            '  memory_management = "automatic"\n  keep_alive = each.value\n}\n'
        }
    )
    assert not any(each.settings["memory_management"].is_literal or each.insertion for each in apart.values())


MODULE = (
    'variable "mode" {}\nvariable "n" {\n  default = "d"\n}\nresource "ollama_model" "x" {\n'
    "  name = var.n\n  memory_management = var.mode\n}\n"
)


def test_local_modules_get_the_arguments_of_their_calls() -> None:
    found = subjects_of(
        {
            "main.tf": 'locals {\n  mode = "manual"\n}\n'
            'module "a" {\n  source = "./modules/m"\n  mode = local.mode\n}\n'
            'module "b" {\n  source = "./modules/m"\n  for_each = toset(["k"])\n  mode = each.key\n  n = "given"\n}\n'
            'module "c" {\n  source = "./modules/m"\n}\n',
            "modules/m/main.tf": MODULE,
        }
    )
    assert {address: plain(subject) for address, subject in found.items()} == {
        "module.a.ollama_model.x": {"name": "d", "memory_management": "manual"},
        'module.b["k"].ollama_model.x': {"name": "given", "memory_management": "k"},
        "module.c.ollama_model.x": {
            "name": "d",
            "memory_management": "? var.mode has no default, and module.c does not give it",
        },
    }
    setting = found["module.a.ollama_model.x"].settings["memory_management"]
    assert (setting.file.path, cut(setting), setting.origin) == (
        "modules/m/main.tf",
        "var.mode",
        "var.mode given by module.a",
    )
    assert {subject.unit for subject in found.values()} == {"."}


def test_modules_in_modules_and_in_a_circle() -> None:
    found = subjects_of(
        {
            "env/main.tf": 'module "o" {\n  source = "../outer"\n  mode = "manual"\n}\n',
            "outer/main.tf": 'variable "mode" {}\nmodule "i" {\n  source = "../inner/"\n  mode = var.mode\n}\n',
            "inner/main.tf": MODULE,
            "loop/main.tf": 'module "l" {\n  source = "../loop"\n}\nresource "ollama_model" "z" {\n  name = "z"\n}\n',
        }
    )
    assert plain(found["module.o.module.i.ollama_model.x"])["memory_management"] == "manual"
    assert found["module.o.module.i.ollama_model.x"].unit == "env"
    assert "ollama_model.z" in found
    assert len(found) == 2


def test_another_provider_may_be_another_server() -> None:
    text = (
        'provider "ollama" {\n  alias = "gpu"\n  host = "http://gpu:11434"\n}\n'
        'resource "ollama_model" "m" {\n  provider = ollama.gpu\n  name = "m"\n}\n'
    )
    (subject,) = subjects_of({"main.tf": text}).values()
    assert plain(subject) == {"name": "m", "host": "http://gpu:11434"}
    assert subject.settings["host"].origin == "host of provider ollama.gpu"


def test_override_files_make_a_block_uncertain() -> None:
    found = subjects_of(
        {
            "main.tf": 'resource "ollama_model" "mm" {\n  name = "m"\n}\nresource "ollama_model" "nn" {\n'
            '  name = "n"\n}\n',
            "x_override.tf": "# ollama_model mm\n",
        }
    )
    assert found["ollama_model.mm"].unknown is not None
    assert found["ollama_model.nn"].unknown is None


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_insertion_keeps_every_other_byte(end: str, mark: str) -> None:
    text = mark + end.join(
        [
            'resource "ollama_model" "m" {',
            '  name = "é"',
            '  memory_management = "automatic" # said',
            '  system = "s"',
            "}",
            "",
        ]
    )
    (subject,) = subjects_of({"main.tf": text.encode()}).values()
    edit = insert(subject, "keep_alive", "5m")
    assert edit is not None
    changed = apply([edit], text.encode()).decode()
    assert changed == text.replace(f"# said{end}", f'# said{end}  keep_alive = "5m"{end}')
    assert cut(subject.settings["name"]) == '"é"'


@pytest.mark.parametrize("text", ['resource "ollama_model" "m" { name = "x" }\n', 'resource "ollama_model" "m" {}\n'])
def test_no_place_for_an_insertion(text: str) -> None:
    (subject,) = subjects_of({"main.tf": text}).values()
    assert subject.insertion is None


JSON = """{"resource": {"ollama_model": {"m": {
  "//": "a note",
  "name": "${var.n}",
  "memory_management": "automatic",
  "timeouts": {"pull": "1h"}
}}}, "variable": {"n": {"default": "llama3", "type": "string"}}, "locals": {"x": "$${y}"}}"""


def test_terraform_json() -> None:
    (subject,) = subjects_of({"main.tf.json": JSON}).values()
    assert plain(subject) == {"name": "llama3", "memory_management": "automatic", "timeouts": {"pull": "1h"}}
    assert cut(subject.settings["memory_management"]) == '"automatic"'
    assert (cut(subject.settings["name"]), subject.settings["name"].origin) == ('"${var.n}"', "default of var.n")
    edit = insert(subject, "keep_alive", "5m")
    assert edit is not None
    assert '"memory_management": "automatic",\n  "keep_alive": "5m",\n' in apply([edit], JSON.encode()).decode()


def test_a_position_counts_code_points() -> None:
    (subject,) = subjects_of({"main.tf": 'resource "ollama_model" "m" {\n  /* é */ name = "x"\n}\n'}).values()
    span: Span = subject.settings["name"].span
    file: SourceFile = subject.file
    assert (file.position(span.start).line, file.position(span.start).column) == (2, 18)
