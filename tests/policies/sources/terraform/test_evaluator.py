"""Expressions and what Terraform makes of them: each known value below was printed by `terraform console` 1.11.4."""

import pytest

from ollama_policy.sources.terraform.language import syntax, values
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.modules import module
from tests.policies.sources.terraform.module_of import MemoryTree

CONTEXT = """
variable "s" { default = "Foo Bar" }
variable "z" {
  type    = string
  default = null
}
variable "l" {
  type    = list(string)
  default = ["b", "a", 1]
}
variable "o" {
  type    = object({ a = optional(string, "auto"), n = optional(number), l = optional(list(number), [1]) })
  default = { n = "5" }
}
variable "st" {
  type    = set(string)
  default = ["q", "p", "q"]
}
variable "u" {}
locals {
  five = 5
  obj  = { a = { b = ["x", { c = 1.5 }] }, "k-1" = var.s }
}
"""


def value(expression: str) -> object:
    tree = MemoryTree({"main.tf": CONTEXT})
    parsed = syntax.expression(expression)
    assert parsed is not None, expression
    (instance,) = module.Workspace(tree).folder(tree.all[0]).instances()
    found = evaluate(parsed, instance.scope())
    unknown = values.first_unknown(found)
    return f"? {unknown.reason}" if unknown is not None else found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1.1 + 2.2", 3.3),
        ('"${10/4} ${1e3} ${5e-1}"', "2.5 1000 0.5"),
        ("-7 % 3", -1),
        ("7 - 2 - 1", 4),
        ("2 + 3 * 4", 14),
        ("-local.five + 1", -4),
        ("!true == false", True),
        ('true ? 1 : "a"', "1"),
        ("false ? 1 : false ? 2 : 3", 3),
        ("true ? 1 : true ? 2 : 3", 1),
        ('"a" == 5', False),
        ('"5" == 5', False),
        ("1 == true", False),
        ("null == null", True),
        ("var.z == null", True),
        ('"\\u00e9 $${x}%%{y} $x %y"', "é ${x}%{y} $x %y"),
        ('"a ${~ 1 ~} b"', "a1b"),
        ('"${true}"', True),
        ('"${local.five}m"', "5m"),
        ('"%{ if true }x%{ else }y%{ endif }"', "x"),
        ('toset(["b", "a", "b"])', ["a", "b"]),
        ("var.l", ["b", "a", "1"]),
        ("var.o", {"a": "auto", "n": 5, "l": [1]}),
        ("var.st", ["p", "q"]),
        ("local.obj.a.b[1].c", 1.5),
        ('local.obj["k-1"]', "Foo Bar"),
        ("local.obj.a.b.0", "x"),
        ('try(local.obj.none, "d")', "d"),
        ('[for i, x in var.l : "${i}${x}" if x != "a"]', ["0b", "21"]),
        ("{ for x in var.st : x => upper(x) }", {"p": "P", "q": "Q"}),
        ("[{ a = 1 }, { a = 2 }][*].a", [1, 2]),
        ("merge({ a = 1 }, null, { b = 2 })", {"a": 1, "b": 2}),
        ('lookup({ a = "1" }, "b", "2")', "2"),
        ('coalesce(null, "", "x")', "x"),
        ('format("%s-%03d %v%%", "a", 7, true)', "a-007 true%"),
        ('join(",", ["a"], [1, true])', "a,1,true"),
        ('replace("a-b", "-", "_")', "a_b"),
        ("element([1, 2, 3], 4)", 2),
        ('length("abc")', 3),
        ('contains(["a"], "a")', True),
        ('concat(["a"], ["b"]...)', "? concat() refuses its arguments"),
        ("max([1, 5, 3]...)", 5),
        ("<<-E\n     a ${local.five}\n\n    b\n  E\n", " a 5\n\nb\n"),
        ("<<E\nx %{ if true ~}\n  y\n%{ endif ~}\nz\nE\n", "x   y\nz\n"),
        ("false && var.u", False),
        ("var.u || true", True),
        ("var.u && true", "? var.u has no default"),
        ('true ? "a" : var.u', "a"),
        ("[var.u][0]", "? var.u has no default"),
        ('"x${var.u}"', "? var.u has no default"),
        ("timestamp()", "? timestamp() is not worked out here"),
        ("path.module", "? path.module is only known when Terraform runs"),
        ("each.key", "? each.key outside of a block with for_each"),
        ("a_name", "? a_name is not a value"),
        ("[1][5]", "? an index that the value does not have"),
        ("1 / 0", "? a division by zero"),
        ("[1] == [1]", "? a comparison of two collections"),
        ('replace("a", "/a/", "b")', "? replace() with a regular expression"),
    ],
)
def test_values(expression: str, expected: object) -> None:
    found = value(expression)
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    "expression",
    [
        "[" * 3000 + "]" * 3000,
        "(" * 3000 + "1" + ")" * 3000,
        "-" * 3000 + "1",
        "!" * 3000 + "true",
        "true ? 1 : " * 2000 + "2",
        "1 + " * 3000 + "1",
        "a" + "[0]" * 3000,
        "9" * 5000,
        "1e999999",
        "9" * 300 + " * " + "9" * 300,
        'format("%99d%99d", 1, 2)',
        '[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : "x"]]]',
        'join("", [for a in range(1024) : join("", [for b in range(1024) : "xxxxxxxx"])])',
    ],
)
def test_nothing_is_too_much(expression: str) -> None:
    value(expression)


def test_locals_that_grow_without_end_are_let_go() -> None:
    doubled = "".join(f"  a{index + 1} = [local.a{index}, local.a{index}]\n" for index in range(60))
    text = "".join(f'  b{index + 1} = "${{local.b{index}}}${{local.b{index}}}"\n' for index in range(60))
    chain = "".join(f"  c{index + 1} = local.c{index}\n" for index in range(3000))
    tree = MemoryTree({"main.tf": f'locals {{\n  a0 = "x"\n  b0 = "x"\n  c0 = "x"\n{doubled}{text}{chain}}}\n'})
    (instance,) = module.Workspace(tree).folder(tree.all[0]).instances()
    for name in ("a60", "b60", "c3000"):
        assert values.first_unknown(instance.local(name)) is not None
