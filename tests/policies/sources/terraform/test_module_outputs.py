"""`module.x.y`: what a local module's output says, where that can be read."""

import pytest

from ollama_policy.model.settings import Subject
from tests.policies.sources.terraform.module_of import cut, plain, subjects_of

INNER = """variable "k" {
  default = "5m"
}
variable "none" {}
locals {
  l = "${var.k}0s"
}
output "given" {
  value = var.k
}
output "local" {
  value = local.l
}
output "map" {
  value = { a = ["1h", var.none] }
}
output "secret" {
  value     = "1h"
  sensitive = true
}
output "none" {
  value = var.none
}
output "applied" {
  value = example_thing.t.id
}
output "empty" {}
resource "example_thing" "t" {}
"""


def model(expression: str, calls: str, inner: str = INNER) -> Subject:
    found = subjects_of(
        {
            "env/main.tf": f'resource "ollama_model" "m" {{\n  name = "m"\n  keep_alive = {expression}\n}}\n{calls}',
            "modules/x/outputs.tf": inner,
        }
    )
    return found["ollama_model.m"]


CALL = 'module "x" {\n  source = "../modules/x"\n  MORE\n}\n'


@pytest.mark.parametrize(
    ("expression", "more", "value"),
    [
        ("module.x.given", "", "5m"),
        ("module.x.given", 'k = "1h"', "1h"),
        ('"${module.x.given}1s"', "", "5m1s"),
        ("module.x.local", "", "5m0s"),
        ("module.x.map.a[0]", "", "1h"),
        ('module.x.map["a"][1]', 'none = "2h"', "2h"),
        ("module.x.none", "none = module.x.given", "5m"),
        ("module.x.none", "none = module.x.none", "? module.x.none refers to itself"),
        ("module.x.none", "", "? var.none has no default, and module.x does not give it"),
        ("module.x.secret", "", "? module.x.secret is sensitive"),
        ("module.x.applied", "", "? example_thing.t.id is only known at apply"),
        ("module.x.empty", "", "? module.x.empty has no value that can be read"),
        ("module.x.other", "", "? module.x.other is an output that is not in the tree"),
        ("module.x", "", "? a resource as a whole"),
        ("module", "", "? module is not a value"),
        ("module.x.given", "count = 2", "? module.x has several instances"),
        ("module.x[1].given", "count = 2\n  k = tostring(count.index)", "1"),
        ("module.x[2].given", "count = 2", "? module.x[2] is not known"),
        ('module.x["a"].given', 'for_each = toset(["a"])\n  k = each.key', "a"),
    ],
)
def test_outputs_of_a_local_module(expression: str, more: str, value: str) -> None:
    subject = model(expression, CALL.replace("MORE", more))
    setting = subject.settings["keep_alive"]
    assert plain(subject)["keep_alive"] == value
    assert cut(setting) == expression
    assert not setting.is_literal


def test_the_origin_names_the_output() -> None:
    assert model("module.x.given", CALL.replace("MORE", "")).settings["keep_alive"].origin == "module.x.given"


@pytest.mark.parametrize("source", ["terraform-aws-modules/x/aws", "../../elsewhere", "git::https://e.example/x"])
def test_a_module_that_is_not_in_the_tree(source: str) -> None:
    subject = model("module.x.given", f'module "x" {{\n  source = "{source}"\n}}\n')
    assert str(plain(subject)["keep_alive"]).startswith("? module.x.given is an output")


def test_a_module_of_a_module() -> None:
    calls = 'module "x" {\n  source = "../modules/x"\n}\n'
    outer = 'module "i" {\n  source = "./i"\n  k = "7m"\n}\noutput "given" {\n  value = module.i.out\n}\n'
    found = subjects_of(
        {
            "env/main.tf": f'resource "ollama_model" "m" {{\n  keep_alive = module.x.given\n}}\n{calls}',
            "modules/x/main.tf": outer,
            "modules/x/i/main.tf": 'variable "k" {}\noutput "out" {\n  value = var.k\n}\n',
        }
    )
    assert plain(found["ollama_model.m"]) == {"keep_alive": "7m"}


def test_modules_that_call_themselves_end() -> None:
    calls = "".join(f'module "{name}" {{\n  source = "./"\n}}\n' for name in "abcd")
    value = " ".join(f"${{module.{name}.o}}" for name in "abcd")
    found = subjects_of(
        {
            "main.tf": f'resource "ollama_model" "m" {{\n  keep_alive = module.a.o\n}}\n{calls}'
            f'output "o" {{\n  value = "{value}"\n}}\n'
        }
    )
    (subject,) = [subject for address, subject in found.items() if address.endswith("ollama_model.m")][:1]
    assert str(plain(subject)["keep_alive"]).startswith("? ")
