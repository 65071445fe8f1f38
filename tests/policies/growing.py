"""Inputs of any size, for each source: what grows in a file, and what makes parsers look back at what they read."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.policies.fuzz.seeds import Tree
from tests.policies.fuzz.snippets import SNIPPETS

Growing = Callable[[int], Tree]
"""A tree that is about N kilobytes large."""

# Pieces of which many stand one behind the other: openings without an end, steps of a path, comments, digits, lines.
_PIECES = {
    "openings": "[",
    "braces": "{a = ",
    "quotes": '"',
    "references": "${X:-",
    "paths": "a.",
    "here-documents": "<<E\n",
    "pipes": "| a ",
    "assignments": " A=1",
    "digits": "9",
    "continued lines": "\\\n",
    "templates": "{{ x }} ",
    "suppressions": "# ollama-policy: ignore[OLL001] because\n",
}


def _lines(n: int, line: str) -> str:
    count = n * 1024 // len(line.format(i=1000, j=1001))
    return "".join(line.format(i=i, j=i + 1) for i in range(count))


def _repeated(path: str, text: str) -> Growing:
    return lambda n: {path: (text.rstrip("\n") + "\n").encode() * (n * 1024 // len(text) + 1)}


def _behind(path: str, text: str, piece: str) -> Growing:
    return lambda n: {path: (text + piece * (n * 1024 // len(piece))).encode()}


def _inside(path: str, text: str, piece: str) -> Growing:
    at = max(text.rfind('"'), 0) or len(text) // 2
    return lambda n: {path: (text[:at] + piece * (n * 1024 // len(piece)) + text[at:]).encode()}


def general(source: str) -> dict[str, Growing]:
    """What every source is given: its own snippets many times, and pieces in a value and behind the text."""
    found: dict[str, Growing] = {}
    for snippet in SNIPPETS.get(source, ()):  # test_fuzz.py tells one that has none
        path, text = snippet(Random(5))
        found[f"{snippet.__name__} many times"] = _repeated(path, text)
        found[f"{snippet.__name__} in many files"] = _files(path, text)
        if snippet is SNIPPETS[source][0]:
            for name, piece in _PIECES.items():
                place = _inside if name in ("digits", "templates", "assignments") else _behind
                found[name] = place(path, text, piece)
    return found


def _files(path: str, text: str) -> Growing:
    """One file in each of many folders."""
    return lambda n: {f"d{i}/{path}": text.encode() for i in range(n)}


def _chain(path: str, line: str, head: str = "", tail: str = "") -> Growing:
    """Lines of which each refers to the next."""
    return lambda n: {path: (head + _lines(n, line) + tail).encode()}


def _compose_files(n: int) -> Tree:
    services = _lines(n // 2, "  a{i}:\n    extends: {{file: base.yaml, service: a{i}}}\n")
    bases = _lines(n // 2, "  a{i}:\n    image: ollama/ollama\n    environment: {{A: '1'}}\n")
    return {"compose.yaml": f"services:\n{services}".encode(), "base.yaml": f"services:\n{bases}".encode()}


def _compose_overrides(n: int) -> Tree:
    services = _lines(n // 2, "  a{i}:\n    image: ollama/ollama:0.17.4\n")
    over = _lines(n // 2, "  a{i}:\n    environment: {{OLLAMA_KEEP_ALIVE: '-1'}}\n")
    return {"compose.override.yaml": f"services:\n{over}".encode(), "compose.yaml": f"services:\n{services}".encode()}


def _terraform_modules(n: int) -> Tree:
    call = 'module "m" {{\n  source = "../m{j}"\n  mode   = var.mode\n}}\nvariable "mode" {{}}\n'
    model = 'resource "ollama_model" "m" {{\n  name = "x"\n  memory_management = var.mode\n}}\n'
    return {f"m{i}/main.tf": (call + model).format(i=i, j=i + 1).encode() for i in range(n)}


def _terraform_servers(n: int) -> Tree:
    """A server whose many variables refer to one resource in another of many files."""
    env = "".join(
        f'env {{\n name = "OLLAMA_ORIGINS{i}"\n value = "x-${{kubernetes_namespace.a{i}.metadata[0].name}}"\n}}\n'
        for i in range(n * 5)
    )
    head = 'resource "kubernetes_deployment" "o" {\n spec {\n template {\n spec {\n container {\n'
    server = f'{head} name = "ollama"\n image = "ollama/ollama:0.17.4"\n{env}}}\n}}\n}}\n}}\n}}\n'
    others = {
        f"n{i}.tf": f'resource "kubernetes_namespace" "a{i}" {{\n metadata {{\n name = "a"\n }}\n}}\n'.encode()
        for i in range(n * 5)
    }
    return {"main.tf": server.encode(), **others}


def _module_of_many(n: int) -> Tree:
    """Many calls of one module of many resources."""
    calls = _lines(n // 4, 'module "m{i}" {{\n  source = "./m"\n  name   = "a{i}"\n}}\n')
    models = _lines(n // 4, 'resource "ollama_model" "x{i}" {{\n  name = "${{var.name}}-{i}"\n}}\n')
    return {"main.tf": calls.encode(), "m/main.tf": ('variable "name" {}\n' + models).encode()}


def _one_list(n: int) -> Tree:
    """Many resources that each look through one list."""
    items = ", ".join(f'"k{i}"' for i in range(n * 16))
    name = 'name = "a-${{length(distinct(local.l))}}-${{contains(local.l, "{i}")}}"'
    models = _lines(n // 2, f'resource "ollama_model" "x{{i}}" {{{{\n  {name}\n}}}}\n')
    return {"main.tf": (f"locals {{\n  l = [{items}]\n}}\n" + models).encode()}


def _shared(path: str, head: str, entry: str, tail: str, each: str) -> Growing:
    """Many models of one value: half of the text is the value, half the models."""
    return lambda n: {path: (head + _lines(n // 8, entry) + tail + _lines(n // 8, each)).encode()}


def _releases(values: str, form: str) -> Growing:
    """Many releases of one text of values, of which nearly all is not Ollama's."""

    def growing(n: int) -> Tree:
        head = "image:\n  repository: ollama/ollama\n  tag: 0.17.4\nenv:\n  OLLAMA_DEBUG: '1'\n"
        text = head + _lines(n // 4, "k{i}:\n  a: 1\n")
        release = f'resource "helm_release" "r{{i}}" {{{{\n  name = "ollama"\n  values = [{values}]\n}}}}\n'
        releases = _lines(n // 4, release)
        if form == "file":
            return {"main.tf": releases.encode(), "v.yaml": text.encode()}
        return {"main.tf": (f"locals {{\n  v = <<-E\n{text}E\n}}\n" + releases).encode()}

    return growing


def _plan(index: str, name: str) -> Growing:
    """Resources that are planned, and as many in the configuration."""

    def growing(n: int) -> Tree:
        planned_values = _lines(n, _PLANNED % (name + index, name) + ", ").rstrip(", ")
        configured = _lines(n, _CONFIGURED % "m{i}" + ", ") + (_CONFIGURED % "last").format()
        return {
            "plan.json": (
                f'{{"planned_values": {{"root_module": {{"resources": [{planned_values}]}}}}, '
                f'"configuration": {{"root_module": {{"resources": [{configured}]}}}}}}'
            ).encode()
        }

    return growing


_PLANNED = (
    '{{"address": "ollama_model.%s", "mode": "managed", "type": "ollama_model", "name": "%s", '
    '"values": {{"name": "x"}}}}'
)
_VARIABLE = '"OLLAMA_V{i}=1", '
_CONFIGURED = '{{"type": "ollama_model", "name": "%s", "expressions": {{"name": {{"constant_value": "x"}}}}}}'


def _roles(n: int) -> Tree:
    task = "- community.docker.docker_container:\n    name: o\n    image: ollama/ollama\n    env: '{{ ollama_env }}'\n"
    return {f"roles/r{i}/tasks/main.yml": task.encode() for i in range(n)} | {
        f"roles/r{i}/defaults/main.yml": f"ollama_env: {{OLLAMA_KEEP_ALIVE: '{i}m'}}\n".encode() for i in range(n)
    }


def _patches(n: int) -> Tree:
    head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}}}\nspec:\n  template:\n    spec:\n"
    base = head + "      containers: [{{name: o, image: 'ollama/ollama:0.17.4'}}]\n---\n"
    patch = head + "      containers: [{{name: o, env: [{{name: OLLAMA_KEEP_ALIVE, value: '-1'}}]}}]\n---\n"
    return {"base.yaml": _lines(n // 2, base).encode(), "patch.yaml": _lines(n // 2, patch).encode()}


def _units(n: int) -> Tree:
    unit = b"[Service]\nExecStart=/usr/bin/ollama serve\n"
    drop_in = b"[Service]\nEnvironment=OLLAMA_KEEP_ALIVE=-1\n"
    return {f"h{i}/ollama.service": unit for i in range(n)} | {
        f"h{i}/ollama.service.d/a.conf": drop_in for i in range(n)
    }


def _entries(n: int) -> str:
    return _lines(n // 2, "OLLAMA_V{i}=1\n")


def _with_shared_file(path: str, each: str, head: str = "") -> Growing:
    """One file whose every entry has all variables of another one."""
    return lambda n: {"o.env": _entries(n).encode(), path: (head + _lines(n // 2, each)).encode()}


def _units_with_shared_file(n: int) -> Tree:
    unit = b"[Service]\nExecStart=/usr/bin/ollama serve\nEnvironmentFile=o.env\n"
    return {"o.env": _entries(n).encode()} | {f"ollama{i}.service": unit for i in range(n * 8)}


def _drop_ins_with_shared_file(n: int) -> Tree:
    return {
        "o.env": _entries(n).encode(),
        "ollama.service": b"[Service]\nExecStart=/usr/bin/ollama serve\n",
    } | {f"ollama.service.d/{i}.conf": b"[Service]\nEnvironmentFile=../o.env\n" for i in range(n * 8)}


def _shared_environment(name: str, use: str) -> Growing:
    """Many services of one environment."""

    def growing(n: int) -> Tree:
        variables = _lines(n // 2, "    OLLAMA_V{i}: '1'\n")
        shared = {
            "x": f"x-e:\n  e: &x\n{variables}services:\n",
            "base": f"services:\n  base:\n   image: ollama/ollama:0.17.4\n   environment:\n{variables}",
        }[name]
        service = f"  s{{i}}:\n    image: ollama/ollama:0.17.4\n    {use}\n"
        return {"compose.yaml": (shared + _lines(n // 2, service)).encode()}

    return growing


_DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}}}\nspec:\n  template:\n    spec:\n"
    "      containers:\n        - {{name: o, image: 'ollama/ollama:0.17.4', "
    "envFrom: [{{configMapRef: {{name: c}}}}]}}\n"
)


def _shared_config_map(n: int) -> Tree:
    keys = _lines(n // 2, "  OLLAMA_V{i}: '1'\n")
    shared = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n{keys}---\n"
    return {"a.yaml": (shared + _lines(n // 2, _DEPLOYMENT + "---\n")).encode()}


def _shared_generator(n: int) -> Tree:
    literals = _lines(n // 2, "      - OLLAMA_V{i}=1\n")
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nconfigMapGenerator:\n  - name: c\n    literals:\n"
    deployments = {f"d{i}.yaml": _DEPLOYMENT.format(i=i).encode() for i in range(n * 2)}
    return {"kustomization.yaml": (head + literals).encode()} | deployments


def _charts(n: int) -> Tree:
    values = b"ollama:\n  image: {repository: ollama/ollama}\n  extraEnv: [{name: OLLAMA_KEEP_ALIVE, value: '-1'}]\n"
    return (
        {f"c{i}/values.yaml": values for i in range(n)}
        | {f"c{i}/values-prod.yaml": values for i in range(n)}
        | {f"c{i}/Chart.yaml": b"name: ollama\ndependencies: [{name: ollama}]\n" for i in range(n)}
    )


_MODEL = 'resource "ollama_model" "m" {\n  name              = "x"\n  memory_management = local.a0\n}\n'
_PROGRAM = "from ollama_provider import OllamaModel\n"
_SERVICE = "services:\n  ollama:\n    image: ollama/ollama:0.17.4\n    environment:\n      OLLAMA_KEEP_ALIVE: '-1'\n"

# Long chains, and many of what one thing looks through, by source.
CHAINS: dict[str, dict[str, Growing]] = {
    "terraform.hcl": {
        "locals": _chain("main.tf", "locals {{\n  a{i} = local.a{j}\n}}\n", _MODEL),
        "one block of locals": _chain("main.tf", "  a{i} = local.a{j}\n", _MODEL + "locals {\n", "}\n"),
        "variables": _chain("main.tf", 'variable "a{i}" {{\n  default = "a"\n}}\n', _MODEL),
        "conditions": lambda n: {"main.tf": (_MODEL + "locals {\n a0 = " + "a ? b : " * (n * 128) + "c\n}\n").encode()},
        "instances": lambda n: {
            "main.tf": (
                'resource "ollama_model" "a" {\n  count = 900\n  name = "x"\n}\n'
                + _lines(n, 'resource "ollama_model" "b{i}" {{\n  name = ollama_model.a[{i}].name\n}}\n')
            ).encode()
        },
        "modules": _terraform_modules,
        "one module of many resources": _module_of_many,
        "one map of parameters": _shared(
            "main.tf",
            "locals {\n  d = {\n",
            "    k{i} = 1\n",
            "  }\n}\n",
            'resource "ollama_model" "m{i}" {{\n  name = "x{i}"\n  base = "b"\n  parameters = local.d\n}}\n',
        ),
        "one list of stop": _shared(
            "main.tf",
            "locals {\n  d = [\n",
            "    {i},\n",
            "  ]\n}\n",
            'resource "ollama_model" "m{i}" {{\n  name = "x{i}"\n  parameters = {{ stop = local.d }}\n}}\n',
        ),
        "one local of values": _releases("local.v", "local"),
        "one file of values": _releases('file("v.yaml")', "file"),
        "one file of values with a set": _releases('file("v.yaml"), "a: 1"', "file"),
        "one manifest": _shared(
            "main.tf",
            'locals {\n  m = {\n    kind = "ollama"\n',
            "    k{i} = 1\n",
            "  }\n}\n",
            'resource "kubernetes_manifest" "m{i}" {{\n  manifest = local.m\n}}\n',
        ),
        "one list": _one_list,
        "files": _terraform_servers,
    },
    "compose.services": {
        "extends": _chain("compose.yaml", "  a{i}:\n    extends: a{j}\n", "# ollama\nservices:\n"),
        "extends in a file": _compose_files,
        "overrides": _compose_overrides,
        "one env file": _with_shared_file(
            "compose.yaml", "  s{i}:\n    image: ollama/ollama:0.17.4\n    env_file: o.env\n", "services:\n"
        ),
        "one Dockerfile": lambda n: {
            "Dockerfile": f"FROM ollama/ollama:0.17.4\n{_lines(n // 2, 'ENV OLLAMA_V{i}=1' + chr(10))}".encode(),
            "compose.yaml": ("# ollama\nservices:\n" + _lines(n // 2, "  s{i}:\n    build: .\n")).encode(),
        },
        "one merged environment": _shared_environment("x", "environment: {{<<: *x}}"),
        "one extended service": _shared_environment("base", "extends: base"),
        "merges": _chain("compose.yaml", "x{j}: &x{j} {{<<: *x{i}, k{i}: 1}}\n", "x0: &x0 {}\n", _SERVICE),
        "files that may be below": lambda n: {
            "a.yaml": ("services:\n" + _lines(n, "  a{i}:\n    environment: {{OLLAMA_DEBUG: '1'}}\n")).encode(),
            "b.yaml": ("services:\n" + _lines(n, "  a{i}:\n    image: ollama/ollama\n")).encode(),
        },
    },
    "kubernetes.manifests": {
        "patches": _patches,
        "one config map": _shared_config_map,
        "one generator": _shared_generator,
        "config maps": lambda n: {
            "a.yaml": _lines(
                n,
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{i}}}\ndata: {{OLLAMA_DEBUG: '1'}}\n---\n"
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{i}}}\nspec:\n  containers:\n"
                "    - {{name: o, image: 'ollama/ollama:0.17.4', envFrom: [{{configMapRef: {{name: c{i}}}}}]}}\n---\n",
            ).encode()
        },
    },
    "kubernetes.helm": {
        "charts": _charts,
        "many releases": _chain("values.yaml", "o{i}:\n  image: {{repository: ollama/ollama, tag: latest}}\n"),
    },
    "ansible.tasks": {
        "roles": _roles,
        "variables": _chain(
            "roles/llm/defaults/main.yml",
            'ollama_a{i}: "{{{{ ollama_a{j} }}}}"\n',
            'ollama_environment: {OLLAMA_KEEP_ALIVE: "{{ ollama_a0 }}"}\n',
        ),
        "tasks": lambda n: {
            "tasks/main.yml": _lines(
                n,
                "- name: x{i}\n  community.docker.docker_container:\n    name: o{i}\n    image: ollama/ollama\n"
                "    env: {{OLLAMA_KEEP_ALIVE: '{{{{ a{i} }}}}'}}\n  vars: {{a{i}: '-1'}}\n",
            ).encode()
        },
    },
    "nix": {
        "let": _chain(
            "a.nix", "  a{i} = a{j};\n", "let\n", "in { services.ollama.environmentVariables = { OLLAMA_X = a0; }; }\n"
        ),
    },
    "dockerfile": {
        "stages": lambda n: {
            "Dockerfile": ("FROM ollama/ollama AS a0\n" + _lines(n, "FROM a{i} AS a{j}\nENV OLLAMA_X{i}=1\n")).encode()
        },
        "arguments": _chain("Dockerfile", "ARG A{j}=$A{i}\nENV OLLAMA_B{i}=$A{j}\n", "FROM ollama/ollama\nARG A0=1\n"),
    },
    "systemd": {
        "drop-ins": _units,
        "one env file": _units_with_shared_file,
        "one env file of drop-ins": _drop_ins_with_shared_file,
        "variables": _chain("ollama.service", "Environment=A{i}=1\n", "[Service]\nExecStart=/usr/bin/ollama serve\n"),
        "one line": lambda n: {
            "ollama.service": (
                "[Service]\nExecStart=/usr/bin/ollama serve\nEnvironment=" + _lines(n, "OLLAMA_A{i}=1 ") + "\n"
            ).encode()
        },
        "commands": _chain("ollama.service", "ExecStart=/usr/bin/ollama serve\n", "[Service]\n"),
    },
    "common.env_files": {"references": _chain("ollama.env", "OLLAMA_A{j}=$OLLAMA_A{i}\n", "OLLAMA_KEEP_ALIVE=-1\n")},
    "shell.scripts": {
        "exports": _chain("a.sh", "export A{j}=$A{i}\n", "export A0=1\n", "ollama serve\n"),
        "servers": _chain("a.sh", "export OLLAMA_A{i}=1\nollama serve\n"),
        "sourced": lambda n: {
            "a.sh": ("set -a\n. ./o.env\n" + _lines(n // 2, "ollama serve # {i}\n")).encode(),
            "o.env": _lines(n // 2, "OLLAMA_A{i}=1\n").encode(),
        },
        "one env file": _with_shared_file("a.sh", "docker run --env-file o.env ollama/ollama:0.17.4\n"),
        "one body": lambda n: {
            "a.sh": (
                f'B=\'{{"model": "a", "x": "{"y" * n * 512}", "keep_alive": -1}}\'\n'
                + 'curl http://localhost:11434/api/generate -d "$B"\n' * (n * 10)
            ).encode()
        },
        "one body in a file": lambda n: {
            "b.json": f'{{"model": "a", "x": "{"y" * n * 512}", "keep_alive": -1}}'.encode(),
            "a.sh": b"# ollama\n" + b"curl http://localhost:11434/api/generate -d @b.json\n" * (n * 10),
        },
        "one export": lambda n: {"a.sh": ("export OLLAMA_KEEP_ALIVE=-1" + " A=1" * (n * 256) + "\n").encode()},
        "readers of one text": lambda n: {
            "a.sh": (
                " | ".join(["cat > ollama.env"] * (n * 16)) + " <<E\n" + _lines(n // 2, "OLLAMA_A{i}=1\n")
            ).encode()
            + b"E\n"
        },
        "sudo": lambda n: {"a.sh": ("sudo " * (n * 200) + "ollama serve\n").encode()},
        "options": lambda n: {"a.sh": ("docker run" + " -e OLLAMA_A=1" * (n * 70) + " ollama/ollama\n").encode()},
    },
    "pulumi.python": {
        "one dict": lambda n: {
            "__main__.py": (
                _PROGRAM
                + "D = {"
                + _lines(n // 2, '"k{i}": {{"name": "m{i}"}}, ')
                + "}\n"
                + _lines(n // 2, 'OllamaModel("a{i}", name=D["k{i}"]["name"])\n')
            ).encode()
        },
        "one map of parameters": _shared(
            "__main__.py",
            f"{_PROGRAM}d = {{\n",
            '    "k{i}": 1,\n',
            "}\n",
            'OllamaModel("m{i}", name="x{i}", base="b", parameters=d)\n',
        ),
        "one loop": lambda n: {
            "__main__.py": (
                f"{_PROGRAM}for i in {[*range(200)]}:\n"
                + _lines(n, '  OllamaModel(f"a{i}-{{i}}", name=f"m{i}-{{i}}")\n')
            ).encode()
        },
        "names": _chain("__main__.py", "a{j} = a{i}\n", _PROGRAM + "a0 = '1'\n", 'OllamaModel("m", keep_alive=a9)\n'),
        "models": _chain(
            "__main__.py",
            'OllamaModel("m{i}", name="x{i}", memory_management="automatic")\n',
            _PROGRAM,
        ),
        "one line": lambda n: {
            "__main__.py": (
                _PROGRAM + _lines(n, 'OllamaModel("é{i}", name="x{i}", memory_management="automatic"); ')
            ).encode()
        },
    },
    "pulumi.yaml_program": {
        "variables": _chain(
            "Pulumi.yaml",
            "  a{j}: ${{a{i}}}\n",
            "name: x\nruntime: yaml\nresources:\n  m: {type: 'ollama:Model', properties: {name: '${a9}'}}\nvariables:\n"
            "  a0: x\n",
        ),
    },
    "pulumi.shown": {},
    "terraform.plan": {
        "plan": _plan("", "m{i}"),
        "for_each beside others": _plan("[{i}]", "last"),
        "a container's variables": lambda n: {
            "plan.json": (
                '{"planned_values": {"root_module": {"resources": [{"address": "docker_container.o", '
                '"mode": "managed", "type": "docker_container", "name": "o", "values": '
                '{"image": "ollama/ollama:0.17.4", "env": [' + _lines(n // 2, _VARIABLE) + '"A=1"]}}]}}}'
            ).encode(),
            "main.tf": f'resource "docker_container" "o" {{\n  env = [{_lines(n // 2, _VARIABLE)}]\n}}\n'.encode(),
        },
    },
    "modelfile": {"parameters": _chain("Modelfile", "PARAMETER stop a{i}\n", "FROM x\n")},
    "plain": {
        "one line": lambda n: {
            "models.json": (
                '{"models": ['
                + _lines(n, '{{"name": "é{i}", "memory_management": "automatic"}}, ')
                + '{"name": "x", "memory_management": "automatic"}]}'
            ).encode()
        },
        "aliases": _chain(
            "models.yaml",
            "x{j}: &x{j} [*x{i}]\n",
            "x0: &x0 [a]\n",
            "models: [{name: x, memory_management: automatic}]\n",
        ),
    },
}
