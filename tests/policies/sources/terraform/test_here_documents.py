"""Files inside of here-documents: who reads them, where their parts stand, and what `${}` makes of them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_policy.errors import UnreadableError
from ollama_policy.model.settings import Kind, SourceFile, Subject, apply, insert
from ollama_policy.sources.terraform import here_documents
from ollama_policy.sources.terraform.hcl import TerraformSource
from ollama_policy.sources.terraform.language import syntax
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.modules.module import Workspace
from tests.policies.sources.reading import at, facts
from tests.policies.sources.terraform.module_of import MemoryTree, cut, plain

UNKNOWN = "(unknown)"
VARIABLES = 'variable "known" {\n  default = "5m"\n}\nvariable "unknown" {}\n'


def read(text: str, **others: str) -> list[Subject]:
    tree = MemoryTree({"main.tf": text, **others})
    file = next(file for file in tree.all if file.path == "main.tf")
    source = TerraformSource()
    return list(source.read(file, tree)) if source.accepts(file) else []


def only(attributes: str, head: str = 'resource "local_file" "f"') -> Subject:
    (subject,) = read(f"{VARIABLES}{head} {{\n{attributes}\n}}\n")
    return subject


COMPOSE = """  content = <<-EOT
    services:
      ollama:
        image: ollama/ollama:0.5.7
        environment:
          OLLAMA_KEEP_ALIVE: "24h"
          OLLAMA_NUM_PARALLEL: 4 # four
  EOT"""
# The same indentation for the end as for the text.
UNIT = """  content = <<-EOT
  [Service]
  ExecStart=/usr/bin/ollama serve
  Environment="OLLAMA_KEEP_ALIVE=1d"
  EOT"""
POD = """  yaml_body = <<YAML
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: o, image: ollama/ollama, env: [{name: OLLAMA_KEEP_ALIVE, value: 1d}]}]}
YAML"""


@pytest.mark.parametrize(
    ("attributes", "address", "expected"),
    [
        (
            COMPOSE,
            "local_file.f service ollama",
            {
                "image": ("ollama/ollama:0.5.7", "ollama/ollama:0.5.7"),
                "OLLAMA_KEEP_ALIVE": ("24h", '"24h"'),
                "OLLAMA_NUM_PARALLEL": ("4", "4"),
            },
        ),
        (UNIT, "local_file.f text.service", {"OLLAMA_KEEP_ALIVE": ("1d", "1d")}),
        (
            POD,
            "local_file.f Pod/p container o",
            {"image": ("ollama/ollama", "ollama/ollama"), "OLLAMA_KEEP_ALIVE": ("1d", "1d")},
        ),
        (
            "  user_data = base64encode(<<EOT\n#!/bin/sh\nOLLAMA_KEEP_ALIVE=1d ollama serve\nEOT\n  )",
            "local_file.f ollama serve",
            {"OLLAMA_KEEP_ALIVE": ("1d", "1d")},
        ),
        (
            '  path = "/etc/default/ollama"\n  content = <<EOT\nOLLAMA_KEEP_ALIVE="1d"\nEOT',
            "local_file.f ollama",
            {"OLLAMA_KEEP_ALIVE": ("1d", '"1d"')},
        ),
        (
            '  x = { files = [{\n    path = "/etc/systemd/system/ollama.service.d/o.conf"\n    content = <<-EOT\n'
            "      [Service]\n      Environment=OLLAMA_KEEP_ALIVE=1d\n    EOT\n  }] }",
            "local_file.f ollama.service",
            {"OLLAMA_KEEP_ALIVE": ("1d", "1d")},
        ),
        (
            '  data = {\n    "ollama.env" = <<-EOT\n      OLLAMA_KEEP_ALIVE=1d\n    EOT\n  }',
            "local_file.f ollama.env",
            {"OLLAMA_KEEP_ALIVE": ("1d", "1d")},
        ),
        (
            "  content = <<-EOT\n    FROM ollama/ollama:0.6.0\n    ENV OLLAMA_KEEP_ALIVE=1d\n  EOT",
            "local_file.f Dockerfile",
            {"image": ("ollama/ollama:0.6.0", "ollama/ollama:0.6.0"), "OLLAMA_KEEP_ALIVE": ("1d", "1d")},
        ),
    ],
)
def test_whose_a_text_is(attributes: str, address: str, expected: dict[str, tuple[object, str]]) -> None:
    subject = only(attributes)
    assert (subject.address, subject.kind) == (address, Kind.SERVER)
    assert facts(subject) == expected
    assert subject.file.path == "main.tf"
    assert subject.unknown is None
    assert all(setting.is_literal for setting in subject.settings.values())


@pytest.mark.parametrize(
    "attributes",
    [
        "  content = <<EOT\nOLLAMA_KEEP_ALIVE=1d\nEOT",  # whose variables, nobody says
        "  content = <<EOT\nOLLAMA_KEEP_ALIVE=1d ollama serve\nEOT",  # no script by its first line
        '  filename = "README.md"\n' + COMPOSE,
        COMPOSE.replace("ollama/ollama:0.5.7", "nginx"),
        COMPOSE.replace("<<-EOT", "replace(<<-EOT") + '\n  , "24h", "5m")',
        COMPOSE.replace("<<-EOT", '"${<<-EOT') + '\n  }more"',
        "  count = 0\n" + COMPOSE,
        "  content = <<EOT\n# ollama\nEOT",
        "  content = <<EOT\n[Service]\nEnvironment=OLLAMA_KEEP_ALIVE=1d\nEOT",  # a drop-in of which unit
    ],
)
def test_whose_a_text_is_not(attributes: str) -> None:
    assert read(f'{VARIABLES}resource "local_file" "f" {{\n{attributes}\n}}\n') == []


def test_what_expressions_come_to_is_put_in() -> None:
    text = COMPOSE.replace('"24h"', '"${var.known}"').replace("4 #", "${var.unknown} #").replace("0.5.7", "${var.tag}")
    subject = only(text)
    assert plain(subject) == {
        "image": "? var.tag is not declared in this module",
        "OLLAMA_KEEP_ALIVE": "5m",
        "OLLAMA_NUM_PARALLEL": "? var.unknown has no default",
    }
    assert {key: cut(setting) for key, setting in subject.settings.items()} == {
        "image": "ollama/ollama:${var.tag}",
        "OLLAMA_KEEP_ALIVE": '"${var.known}"',
        "OLLAMA_NUM_PARALLEL": "${var.unknown}",
    }
    assert subject.settings["OLLAMA_KEEP_ALIVE"].origin == "default of var.known"
    assert not any(setting.is_literal for setting in subject.settings.values())
    assert subject.unknown is None


@pytest.mark.parametrize(
    ("line", "is_open"),
    [
        ("          ${var.unknown}", True),
        ("          ${var.unknown}: 5m", True),
        ("          OLLAMA_HOST: ${var.unknown}", False),
        ('          A: "b ${var.unknown}"', False),
        ("        labels: {a: '${var.unknown}'}", False),
        ("        deploy: ${var.unknown}", True),
        ("        env_file: ${var.unknown}", True),
        ("        command: ${var.unknown}", True),
    ],
)
def test_what_may_bring_more_leaves_it_open(line: str, is_open: bool) -> None:
    subject = only(COMPOSE.replace("\n  EOT", f"\n{line}\n  EOT"))
    assert (subject.unknown is not None) == is_open
    assert subject.unknown is None or "var.unknown" in subject.unknown.reason or "…" in subject.unknown.reason
    assert plain(subject)["OLLAMA_KEEP_ALIVE"] == "24h"


@pytest.mark.parametrize(
    ("directive", "end", "value", "is_open"),
    [
        ('%{ if var.known == "5m" }', "%{ endif }", "1d", False),
        ('%{ if var.known != "5m" }', "%{ endif }", None, False),
        ('%{ if var.known != "5m" }x%{ else }', "%{ endif }", "1d", False),
        ("%{ if var.unknown }", "%{ endif }", UNKNOWN, True),
        ("%{ for x in [1] }", "%{ endfor }", UNKNOWN, True),
    ],
)
def test_directives(directive: str, end: str, value: str | None, is_open: bool) -> None:
    subject = only(
        '  path = "ollama.env"\n  content = <<EOT\nOLLAMA_NUM_PARALLEL=2\n'
        f"{directive}\nOLLAMA_KEEP_ALIVE=1d\n{end}\nEOT"
    )
    found = facts(subject)
    assert found["OLLAMA_NUM_PARALLEL"] == ("2", "2")
    assert (found["OLLAMA_KEEP_ALIVE"][0] if "OLLAMA_KEEP_ALIVE" in found else None) == value
    assert (subject.unknown is not None) == is_open


def test_a_choice_between_texts_is_undecided() -> None:
    subject = only('  content = var.known == "5m" ? ' + UNIT.partition(" = ")[2] + '\n  : ""')
    assert facts(subject)["OLLAMA_KEEP_ALIVE"][0] == UNKNOWN
    assert subject.unknown is not None


def test_escapes_of_marks() -> None:
    subject = only(COMPOSE.replace('"24h"', "$${KEEP:-24h}"))
    assert facts(subject)["OLLAMA_KEEP_ALIVE"] == ("24h", "24h")
    assert subject.settings["OLLAMA_KEEP_ALIVE"].origin == "the default of $KEEP"


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        (COMPOSE, '          NEW: "v"'),
        (UNIT, '  Environment="NEW=v"'),
        ('  path = "ollama.env"\n  content = <<-EOT\n\t\tOLLAMA_KEEP_ALIVE=1d\n\t\tA=b\n  EOT', "\t\tNEW=v"),
    ],
)
def test_a_new_line_is_indented_as_the_others_are(attributes: str, line: str) -> None:
    subject = only(attributes)
    edit = insert(subject, "NEW", "v")
    assert edit is not None
    after = apply([edit], subject.file.data)
    assert line in after.decode().split("\n")
    (again,) = read(after.decode())
    assert plain(again) == plain(subject) | {"NEW": "v"} if "NEW" in plain(again) else attributes == COMPOSE


def test_instances() -> None:
    body = '  for_each = toset(["a", "b"])\n' + COMPOSE
    (one,) = read(f'resource "local_file" "f" {{\n{body}\n}}\n')
    assert one.address == 'local_file.f["a"] service ollama'
    assert one.settings["OLLAMA_KEEP_ALIVE"].is_literal
    several = read(f'resource "local_file" "f" {{\n{body.replace("four", "${each.key}")}\n}}\n')
    assert [subject.address for subject in several] == [f'local_file.f["{key}"] service ollama' for key in "ab"]
    assert not any(setting.is_literal for subject in several for setting in subject.settings.values())


@pytest.mark.parametrize(
    ("head", "address"),
    [
        ("locals", "local.content"),
        ('data "cloudinit_config" "c"', "data.cloudinit_config.c"),
        ('module "m"', "module.m"),
    ],
)
def test_where_else_a_text_may_stand(head: str, address: str) -> None:
    assert only(UNIT, head).address == f"{address} text.service"


def test_a_part_of_a_block() -> None:
    subject = only("  part {\n" + UNIT + "\n  }", 'data "cloudinit_config" "c"')
    assert at(subject) == "[Service]"


def test_commands_of_a_provisioner() -> None:
    found = read(
        'resource "null_resource" "n" {\n  provisioner "local-exec" {\n    command = <<-EOT\n'
        "      ollama run llama3 --keepalive 1d\n      ollama run ${var.m} --keepalive ${var.k}\n    EOT\n  }\n}\n"
    )
    assert [facts(subject)["keep_alive"] for subject in found] == [("1d", "1d"), (UNKNOWN, "${var.k}")]
    assert [subject.kind for subject in found] == [Kind.REQUEST] * 2


CLOUD_INIT = """  user_data = <<-EOF
    #cloud-config
    write_files:
      - path: /etc/systemd/system/ollama.service.d/o.conf
        content: |
          [Service]
          Environment="OLLAMA_KEEP_ALIVE=${var.unknown}"
          Environment=OLLAMA_NUM_PARALLEL=auto
      - path: /opt/compose.yaml
        content: |
          services:
            o:
              image: ollama/ollama
              environment:
                - OLLAMA_KEEP_ALIVE=1w
      - {path: /etc/default/ollama, content: "OLLAMA_KEEP_ALIVE=1d\\nA=b\\n"}
      - {path: /etc/default/ollama, encoding: b64, content: "T0xMQU1BX0tFRVBfQUxJVkU9MWQ="}
    runcmd:
      - [docker, run, -e, OLLAMA_KEEP_ALIVE=2d, "ollama/ollama:0.5"]
      - export OLLAMA_KEEP_ALIVE=3d
      - ollama serve
      - |
        ollama run llama3 --keepalive 4d
        true
  EOF"""


def test_cloud_init() -> None:
    found = read(f'{VARIABLES}resource "x" "i" {{\n{CLOUD_INIT}\n}}\n')
    assert [(subject.address, facts(subject)) for subject in found] == [
        (
            "x.i ollama.service",
            {"OLLAMA_KEEP_ALIVE": (UNKNOWN, "${var.unknown}"), "OLLAMA_NUM_PARALLEL": ("auto", "auto")},
        ),
        (
            "x.i service o",
            {"image": ("ollama/ollama", "ollama/ollama"), "OLLAMA_KEEP_ALIVE": ("1w", "1w")},
        ),
        (
            "x.i ollama",
            {
                key: (value, '"OLLAMA_KEEP_ALIVE=1d\\nA=b\\n"')
                for key, value in {"OLLAMA_KEEP_ALIVE": "1d", "A": "b"}.items()
            },
        ),
        (
            "x.i docker run",
            {
                "OLLAMA_KEEP_ALIVE": ("2d", "OLLAMA_KEEP_ALIVE=2d"),
                "image": ("ollama/ollama:0.5", '"ollama/ollama:0.5"'),
            },
        ),
        ("x.i ollama serve", {"OLLAMA_KEEP_ALIVE": ("3d", "3d")}),
        (
            "x.i ollama run llama3",
            {"endpoint": ("ollama run", "ollama run"), "model": ("llama3", "llama3"), "keep_alive": ("4d", "4d")},
        ),
    ]
    assert all(subject.unknown is None for subject in found)
    literal = [setting.value for subject in found for setting in subject.settings.values() if setting.is_literal]
    assert literal == ["auto", "ollama/ollama", "1w", "3d", "llama3", "4d"]


def test_a_new_variable_in_a_file_of_cloud_init() -> None:
    subject = read(f'{VARIABLES}resource "x" "i" {{\n{CLOUD_INIT}\n}}\n')[1]
    edit = insert(subject, "NEW", "v")
    assert edit is not None
    assert "OLLAMA_KEEP_ALIVE=1w\n                - NEW=v\n" in apply([edit], subject.file.data).decode()


def test_a_text_that_does_not_parse_is_undecided() -> None:
    subject = only(COMPOSE.replace("environment:", "environment: ["))
    assert subject.unknown is not None
    assert "is not read" in subject.unknown.reason
    assert subject.settings == {}


def test_what_lies_beside_is_not_beside_the_text() -> None:
    (subject,) = read(
        f'resource "local_file" "f" {{\n{COMPOSE.replace("environment:", "env_file: x.env")}\n}}\n'.replace(
            '          OLLAMA_KEEP_ALIVE: "24h"\n          OLLAMA_NUM_PARALLEL: 4 # four\n', ""
        ),
        **{"x.env": "OLLAMA_KEEP_ALIVE=1d\n"},
    )
    assert subject.unknown is not None
    assert "x.env is not in the tree" in subject.unknown.reason


# The text is the one that the evaluator makes of it.

PIECES = [
    "a", "  b", "\n", "\n    c", "\n      d: ", "\n", " ", "\t", "$${x}", "%%{y}", "$", "é🦙", "\\n", '"', "ollama",
    "${var.known}", "${~ var.known ~}", "${var.known ~}", "x${~ var.known}", "${1 + 1}",
    "%{ if true }", "%{ if false ~}", "%{ if var.known == \"5m\" }", "%{ else }", "%{ endif }", "%{~ endif ~}",
]  # fmt: skip


def texts_of(body: str, mark: str) -> list[tuple[object, str]]:
    text = f'{VARIABLES}resource "a" "b" {{\n  content = {mark}EOT\n{body}\nollama\n  EOT\n}}\n'
    tree = MemoryTree({"main.tf": text})
    try:
        blocks = syntax.parse(tree.all[0])
    except UnreadableError:
        return []
    (instance,) = Workspace(tree).folder(tree.all[0]).instances()
    found: list[tuple[object, str]] = []
    for document in here_documents.find(blocks):
        written = document.block.attributes()[0]
        composed = here_documents.compose(tree.all[0], document.node, instance.scope(), instance)
        assert composed is not None
        found.append((evaluate(written, instance.scope()), composed.data.decode()))
        for piece in composed._pieces:
            assert 0 <= piece.place.start < piece.place.end <= len(text.encode())
    return found


@pytest.mark.parametrize("mark", ["<<", "<<-"])
def test_the_text_is_what_the_evaluator_says(mark: str) -> None:
    chosen = random.Random(7)
    compared = 0
    for _ in range(600):
        body = "".join(chosen.choices(PIECES, k=chosen.randint(1, 14)))
        for value, text in texts_of(body, mark):
            if isinstance(value, str):
                assert text == value, body
                compared += 1
    assert compared > 150


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12).map("".join))
def test_any_text(body: str) -> None:
    data = f'resource "a" "b" {{\n  user_data = <<-EOT\n#!/bin/sh\nollama serve\n{body}\n  EOT\n}}\n'
    tree = MemoryTree({"main.tf": data.encode("utf-8", "replace")})
    try:
        found = list(TerraformSource().read(tree.all[0], tree))
    except UnreadableError:
        return
    for subject in found:
        for setting in subject.settings.values():
            assert 0 <= setting.span.start <= setting.span.end <= len(tree.all[0].data)


@pytest.mark.parametrize(
    "body",
    [
        "#cloud-config\nwrite_files:\n" + "- path: x\n  content: |\n    ollama\n" * 3000,
        "#cloud-config\nollama: " + "[" * 10_000,
        "services: # ollama\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 900)),
        "services:\n  ollama: &a [" + "*a," * 50 + "]",
        "#!/bin/sh\nollama serve\n" + "${var.x}\n" * 3000,
        "#!/bin/sh\nollama serve\n" + "%{ if var.x }\n" * 900 + "%{ endif }\n" * 900,
        "#!/bin/sh\nollama serve\n" + "(" * 10_000,
        "services:\n  ollama: {image: ollama/ollama, environment: {" + "OLLAMA_X: ${var.x}, " * 2000 + "}}",
    ],
)
def test_hostile_texts(body: str) -> None:
    data = f'resource "a" "b" {{\n  user_data = <<EOT\n{body}\nEOT\n}}\n'.encode()
    tree = MemoryTree({"main.tf": data})
    try:
        list(TerraformSource().read(SourceFile("main.tf", data), tree))
    except UnreadableError as error:
        assert 0 <= error.offset <= len(data)


@pytest.mark.slow
def test_a_text_in_very_many_instances_is_undecided() -> None:
    services = "".join(f"      s{n}: {{image: nginx}}\n" for n in range(200))
    text = COMPOSE.replace("services:\n", f"services:\n{services}").replace("four", "${each.key}")
    found = read(
        f'resource "x" "f" {{\n  for_each = toset([for n in range(900) : tostring(n)])\n{text}\n}}\n',
    )
    assert 10 < len(found) < 900
    assert found[0].unknown is None
    assert found[-1].unknown is not None


def test_values_of_helm_are_read_once() -> None:
    text = COMPOSE.replace("  content = ", "  values = [") + "\n  ]"
    (subject,) = read(f'resource "helm_release" "r" {{\n  chart = "x"\n{text}\n}}\n')
    assert subject.address == "helm_release.r services.ollama"


def test_a_script_that_only_names_ollamas_port_is_read() -> None:
    text = "  user_data = <<EOT\n#!/bin/sh\ncurl http://gpu:11434/api/chat -d '{\"keep_alive\": -1}'\nEOT"
    assert only(text).settings["keep_alive"].value == -1
