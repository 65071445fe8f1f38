"""Modules made at random, of what the evaluator works out and what it does not, for comparison with another reader."""

from collections.abc import Callable
from random import Random

VARIABLES = """
variable "s" { default = "Foo Bar" }
variable "n" { default = 7 }
variable "b" { default = true }
variable "file" { default = "not from the file" }
variable "l" {
  type    = list(string)
  default = ["b", "a", "b"]
}
variable "m" {
  type    = map(string)
  default = { x = "1", y = "two" }
}
variable "nn" {
  type    = number
  default = "12"
}
locals {
  five  = 5
  chain = "${local.five}m"
  obj   = { a = { b = ["x", { c = 1.5 }] }, "k-1" = var.s }
}
"""
VALUES = 'file = "from the file"\n'


class Expressions:
    """Expressions of each type, of a depth, from a seed."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def _one(self, choices: list[str], deeper: list[Callable[[int], str]], depth: int) -> str:
        return self.random.choice(choices) if depth <= 0 else self.random.choice(deeper)(depth - 1)

    def text(self, depth: int) -> str:
        simple = ['"abc"', '"5m"', '""', "var.s", "var.file", "local.chain", '"x-${var.n}"', '"a\\tb\\"c"', '"$${x}"']
        return self._one(
            simple,
            [
                lambda d: f'"p ${{{self.text(d)}}} q${{{self.number(0)}}}"',
                lambda d: f"lower({self.text(d)})",
                lambda d: f"upper({self.text(d)})",
                lambda d: f'format("%s-%d|%05d", {self.text(d)}, {self.whole(d)}, {self.whole(0)})',
                lambda d: f"coalesce({self.text(d)}, {self.text(d)})",
                lambda d: f"lookup({self.mapping(d)}, {self.text(d)}, {self.text(d)})",
                lambda d: f"try({self.texts(d)}[{self.whole(0)}], {self.text(d)})",
                lambda d: f"join({self.text(0)}, {self.texts(d)})",
                lambda d: f'replace({self.text(d)}, "a", {self.text(0)})',
                lambda d: f"trimspace({self.text(d)})",
                lambda d: f"element({self.texts(d)}, {self.whole(0)})",
                lambda d: f"tostring({self.number(d)})",
                lambda d: f"{self.boolean(d)} ? {self.text(d)} : {self.boolean(d)} ? {self.text(d)} : {self.text(d)}",
                lambda d: f"({self.boolean(d)} ? {self.text(d)} : {self.number(0)})",
                lambda d: f'"%{{ if {self.boolean(d)} }}yes%{{ else }}no%{{ endif }}"',
            ],
            depth,
        )

    def heredoc(self, depth: int) -> str:
        indents = [" " * self.random.randint(0, 6) for _ in range(3)]
        lines = [f"{indents[0]}a ${{{self.text(0)}}}", f"{indents[1]}${{{self.text(0)}}} b", "", f"{indents[2]}c"]
        return "\n".join([self.random.choice(["<<-EOT", "<<EOT"]), *lines, "  EOT"])

    def whole(self, depth: int) -> str:
        deeper: list[Callable[[int], str]] = [
            lambda d: f"({self.whole(d)} {self.random.choice('+-*')} {self.whole(d)})",
            lambda d: f"{self.whole(d)} - {self.whole(0)} * {self.whole(0)}",
            lambda d: f"length({self.texts(d)})",
        ]
        return self._one(["1", "0", "5", "var.n", "var.nn", "local.five", "5e1"], deeper, depth)

    def number(self, depth: int) -> str:
        return self._one(["2.5", "local.obj.a.b[1].c", "3"], [self.whole], depth)

    def boolean(self, depth: int) -> str:
        deeper: list[Callable[[int], str]] = [
            lambda d: f"({self.text(d)} {self.random.choice(['==', '!='])} {self.text(d)})",
            lambda d: f"({self.whole(d)} {self.random.choice(['<', '>='])} {self.number(d)})",
            lambda d: f"({self.boolean(d)} {self.random.choice(['&&', '||'])} {self.boolean(d)})",
            lambda d: f"!{self.boolean(0)}",
            lambda d: f"contains({self.texts(d)}, {self.text(d)})",
        ]
        return self._one(["true", "false", "var.b"], deeper, depth)

    def texts(self, depth: int) -> str:
        deeper: list[Callable[[int], str]] = [
            lambda d: f"concat({self.texts(d)}, {self.texts(d)})",
            lambda d: f"[{self.text(d)}, {self.text(d)}]",
            lambda d: f"[for x in {self.texts(d)} : upper(x) if x != {self.text(0)}]",
            lambda d: f"keys({self.mapping(d)})",
            lambda d: f"[for k, v in {self.mapping(d)} : k]",
        ]
        return self._one(['["a", "b"]', "var.l", '["x"]', 'split(",", "p,q")'], deeper, depth)

    def mapping(self, depth: int) -> str:
        deeper: list[Callable[[int], str]] = [
            lambda d: f"merge({self.mapping(d)}, {self.mapping(d)})",
            lambda d: f'{{ a = {self.text(d)}, "x" = {self.text(d)} }}',
            lambda d: f"{{ for x in toset({self.texts(d)}) : x => {self.text(0)} }}",
        ]
        return self._one(['{ a = "1" }', "var.m", '{ (var.s) = "z" }'], deeper, depth)


def module(seed: int) -> dict[str, str | bytes]:
    """The files of a root module that calls another."""
    random = Random(seed)
    made = Expressions(random)
    kinds = [made.text, made.number, made.boolean, made.texts, made.mapping, made.heredoc]
    blocks, calls = [], []
    for index in range(8):
        meta, key = random.choice(
            [
                ("", '"none"'),
                (f"for_each = toset({made.texts(1)})", "each.key"),
                (f"for_each = {made.mapping(1)}", "each.value"),
                (f"count = {random.randint(0, 3)}", "count.index"),
                (f"count = {made.boolean(1)} ? 1 : 0", "count.index"),
            ]
        )
        body = "\n".join(f"  a{at} = {random.choice(kinds)(random.randint(0, 3))}" for at in range(4))
        blocks.append(f'resource "ollama_model" "m{index}" {{\n  {meta}\n  name = "${{{key}}}-x"\n{body}\n}}\n')
        if index < 3:
            calls.append(f'module "c{index}" {{\n  source = "./m"\n  given = {made.text(2)}\n}}\n')
    inner = (
        'variable "given" {}\nvariable "own" { default = "own" }\nresource "ollama_model" "i" {\n'
        '  name = "${var.given}${var.own}"\n}\n'
    )
    return {
        "main.tf": "".join(blocks),
        "calls.tf": "".join(calls),
        "variables.tf": VARIABLES,
        "terraform.tfvars": VALUES,
        "m/main.tf": inner,
    }
