"""Configuration made at random in each format: what people write, with values that are right, wrong and odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from ollama_policy.model.declaration_table import PROPERTIES
from ollama_provider.ollama.parameters import PARAMETERS
from ollama_provider.ollama.settings.variables import VARIABLES

Snippet = Callable[[Random], tuple[str, str]]

_NAMES = sorted(PROPERTIES)
_MODELS = ["llama3", "qwen3:8b", "hf.co/a/b:Q4_K_M", "gemma3:270m-é", "🦙", ""]
_TEXTS = [
    "automatic",
    "manual",
    "5m",
    "-1",
    "24h",
    "0",
    "1e9s",
    "true",
    "f16",
    "q8_0",
    "a b",
    "x'y",
    'x"y',
    "/models",
    *_MODELS,
]
_ODD = [None, True, False, 0, -1, 3, 8192, 0.7, 10**30, [], ["a"], {}, {"a": 1}]
_IMAGES = [
    "ollama/ollama:0.17.4",
    "ollama/ollama",
    "ollama/ollama@sha256:" + "a" * 64,
    "r.example:5000/x/ollama:rocm",
    "nginx",
]
_LIMITS = ["16g", "512Mi", "8Gi", "1.5GB", "lots", "17179869184"]


def _value(random: Random) -> Any:
    return random.choice(_TEXTS) if random.random() < 0.75 else random.choice(_ODD)


def _declaration(random: Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": random.choice(_MODELS),
        "memory_management": random.choice(["automatic", "manual"]),
    }
    for name in random.sample(_NAMES, random.randint(0, 4)):
        found[name] = _value(random)
    if random.random() < 0.3:
        found["parameters"] = {key: _value(random) for key in random.sample(sorted(PARAMETERS), 2)}
    return found


def _environment(random: Random) -> dict[str, str]:
    names = [
        *random.sample(sorted(VARIABLES), random.randint(1, 4)),
        random.choice(["LLAMA_ARG_CACHE_RAM", "OLLAMA_KEEPALIVE"]),
    ]
    return {name: random.choice(_TEXTS) for name in names}


def _scalar(value: Any, random: Random) -> str:
    """YAML's, in one of the ways that it can be written."""
    if not isinstance(value, str):
        return json.dumps(value)
    double = json.dumps(value, ensure_ascii=random.random() < 0.5)
    single = "'" + value.replace("'", "''") + "'"
    return random.choice(
        [value or "''", double, single, f"&a {double}", f"!!str {double}", f">-\n            {value}", "*a"]
    )


def _hcl(value: Any, random: Random) -> str:
    if random.random() < 0.3:
        return random.choice(
            [
                "var.v",
                "local.l",
                "each.value",
                'var.v ? "a" : "b"',
                'lower("A")',
                '"${var.v}m"',
                "<<-EOT\n  a\n  EOT",
                "[for x in var.v : x]",
            ]
        )
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_hcl(one, random)}" for key, one in value.items()) + " }"
    return "[" + ", ".join(_hcl(one, random) for one in value) + "]" if isinstance(value, list) else json.dumps(value)


def terraform(random: Random) -> tuple[str, str]:
    lines = [
        'variable "v" { default = ' + _hcl(_value(random), random) + " }",
        "locals { l = " + _hcl(_value(random), random) + " }",
    ]
    for index in range(random.randint(1, 3)):
        lines.append(f'resource "ollama_model" "m{index}" {{')
        lines.append(random.choice(["", "  count = 2", "  for_each = var.v", '  for_each = toset(["a", "b"])']))
        lines += [f"  {key} = {_hcl(value, random)}" for key, value in _declaration(random).items()]
        lines.append('  timeouts {\n    pull = "5m"\n  }\n}' if random.random() < 0.3 else "}")
    if random.random() < 0.5:
        env = "\n".join(f'    "{name}={value}",' for name, value in _environment(random).items())
        lines.append(
            f'resource "docker_container" "ollama" {{\n  image = "{random.choice(_IMAGES)}"\n  env = [\n{env}\n  ]\n}}'
        )
    return "main.tf", "\n".join(lines) + "\n"


def _here_document(text: str, random: Random) -> str:
    """A text as Terraform may hold it: indented, with a piece of it from elsewhere or on a condition."""
    lines = text.replace("${", "$${").replace("%{", "%%{").split("\n")
    for _ in range(random.randint(0, 3)):
        line = random.randrange(len(lines))
        at = random.randint(0, len(lines[line]))
        piece = random.choice(["${var.v}", "${local.l}", "${~ var.v ~}", "${each.key}", "%{ if var.v }", "%{ endif ~}"])
        lines[line] = lines[line][:at] + piece + lines[line][at:]
    mark, indent = random.choice([("<<", ""), ("<<-", "    "), ("<<-", "\t")])
    return f"{mark}EOT\n" + "".join(f"{indent}{line}\n" for line in lines) + "  EOT"


def _cloud_init(random: Random) -> str:
    path, content = random.choice((compose, systemd, shell, env_file))(random)
    commands = random.choice([["docker", "run", "ollama/ollama"], "ollama serve", shell(random)[1]])
    whole: Any = {"write_files": [{"path": f"/etc/{path}", "content": content}], "runcmd": [commands]}
    return "#cloud-config\n" + _yaml(whole, random)


def terraform_here_document(random: Random) -> tuple[str, str]:
    path, text = random.choice((compose, kubernetes, systemd, shell, dockerfile, env_file))(random)
    text = random.choice([text, _cloud_init(random)])
    name = random.choice([f'  filename = "${{path.module}}/{path}"', "", "  for_each = var.v", "  count = 2"])
    return "main.tf", (
        'variable "v" {\n  default = ' + _hcl(_value(random), random) + "\n}\n"
        f'resource "local_file" "ollama" {{\n{name}\n  content = {_here_document(text, random)}\n}}\n'
    )


def terraform_helm_release(random: Random) -> tuple[str, str]:
    values = []
    for _ in range(random.randint(0, 3)):
        _, text = helm(random)
        whole = {"extraEnv": [{"name": name, "value": value} for name, value in _environment(random).items()]}
        encoded = f"yamlencode({_hcl(whole, random)})"
        values.append(random.choice([_here_document(text, random) + "\n", encoded, json.dumps(text), "var.v"]))
    names = ["image.tag", "extraEnv[0].value", "resources.limits.memory", "a.{", "ollama\\\\.gpu", "extraEnv[9]"]
    sets = [
        f'  set {{\n    name = "{random.choice(names)}"\n    value = {_hcl(_value(random), random)}\n  }}\n'
        for _ in range(random.randint(0, 2))
    ]
    return "main.tf", (
        'variable "v" {\n  default = ' + _hcl(_value(random), random) + "\n}\n"
        f'resource "helm_release" "o" {{\n  chart = "ollama"\n  values = [{", ".join(values)}]\n{"".join(sets)}}}\n'
    )


def terraform_json(random: Random) -> tuple[str, str]:
    return "main.tf.json", _json(
        {"resource": {"ollama_model": {"m": _declaration(random), "n": [_declaration(random)]}}}, random
    )


def plan(random: Random) -> tuple[str, str]:
    resource = {"address": "ollama_model.m", "type": "ollama_model", "name": "m", "values": _declaration(random)}
    module = {"resources": [resource], "child_modules": [{"resources": [resource | {"mode": "managed"}]}]}
    return "plan.json", _json({"format_version": "1.2", "planned_values": {"root_module": module}}, random)


def preview(random: Random) -> tuple[str, str]:
    state = {
        "urn": "urn:pulumi:a::b::ollama:index:Model::m",
        "type": "ollama:index:Model",
        "inputs": _declaration(random),
    }
    whole: Any = (
        {"steps": [{"op": "create", "newState": state}]}
        if random.random() < 0.5
        else {"deployment": {"resources": [state]}}
    )
    return "preview.json", _json(whole, random)


def program(random: Random) -> tuple[str, str]:
    arguments = ", ".join(f"{key}={value!r}" for key, value in _declaration(random).items())
    lines = ["import pulumi", "from ollama_provider.pulumi_dynamic import OllamaModel", "", 'MODE = "automatic"']
    call = f'OllamaModel("m", {arguments})'
    lines.append(
        random.choice(
            [call, f"for x in range(2):\n    {call}", f"def f(a):\n    return {call}", f"m = {call} if MODE else None"]
        )
    )
    return "__main__.py", "\n".join(lines) + "\n"


def pulumi_yaml(random: Random) -> tuple[str, str]:
    lines = ["name: p", "runtime: yaml", "resources:", "  m:", "    type: ollama:index:Model", "    properties:"]
    lines += [f"      {key}: {_scalar(value, random)}" for key, value in _declaration(random).items()]
    return "Pulumi.yaml", "\n".join(lines) + "\n"


def compose(random: Random) -> tuple[str, str]:
    lines = [
        "x-e: &e",
        "  OLLAMA_DEBUG: 1",
        "services:",
        "  ollama:",
        f"    image: {random.choice(_IMAGES)}",
        f"    mem_limit: {random.choice(_LIMITS)}",
    ]
    variables = _environment(random)
    lines.append("    environment:")
    if random.random() < 0.5:
        lines += [f"      {name}: {_scalar(value, random)}" for name, value in variables.items()]
        lines.append(random.choice(["      <<: *e", "      OLLAMA_HOST:", ""]))
    else:
        lines += [f"      - {name}={value}" for name, value in variables.items()]
        lines.append(random.choice(["      - OLLAMA_HOST", '      - "OLLAMA_KEEP_ALIVE=${K:-${L-5m}}"', ""]))
    lines.append(
        random.choice(
            [
                "    command: serve",
                "    deploy: {resources: {limits: {memory: 8G}}}",
                "    env_file: [.env]",
                "    extends: {service: x}",
            ]
        )
    )
    return "compose.yaml", "\n".join(lines) + "\n"


def _pod(random: Random) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in _environment(random).items()]
    container = {
        "name": "ollama",
        "image": random.choice(_IMAGES),
        "env": env,
        "resources": {"limits": {"memory": random.choice(_LIMITS)}},
    }
    if random.random() < 0.3:
        container["envFrom"] = [{"configMapRef": {"name": "c"}}]
    return {"containers": [container], "initContainers": []}


def kubernetes(random: Random) -> tuple[str, str]:
    template = {"metadata": {"labels": {"app": "ollama"}}, "spec": _pod(random)}
    kind = random.choice(["Deployment", "StatefulSet", "DaemonSet", "Job"])
    whole: Any = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "o"}, "spec": {"template": template}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": _environment(random)}
    if random.random() < 0.3:
        return "deployment.json", _json(
            random.choice([whole, {"apiVersion": "v1", "kind": "List", "items": [whole]}]), random
        )
    return "deployment.yaml", _yaml(whole, random) + "---\n" + _yaml(settings, random)


def helm(random: Random) -> tuple[str, str]:
    env = [{"name": name, "value": value} for name, value in _environment(random).items()]
    values: Any = {
        "image": {"repository": "ollama/ollama", "tag": "0.17.4"},
        "extraEnv": env,
        "ollama": {"models": {"pull": ["x"]}},
    }
    if random.random() < 0.5:
        return "values.yaml", _yaml(values, random)
    text = _yaml({"apiVersion": "v1", "kind": "Pod", "spec": _pod(random)}, random)
    action = random.choice(
        ["{{- if .Values.x }}\n", "{{ .Values.image }}", "{{- range $k, $v := .Values.e }}\n", "{{- end }}\n"]
    )
    at = random.randint(0, len(text))
    return "templates/deployment.yaml", text[:at] + action + text[at:]


def ansible(random: Random) -> tuple[str, str]:
    module = random.choice(
        ["community.docker.docker_container", "docker_container", "containers.podman.podman_container"]
    )
    task = {
        "name": "Run Ollama",
        module: {"name": "ollama", "image": random.choice(_IMAGES), "env": _environment(random), "memory": "8g"},
    }
    copy = {
        "ansible.builtin.copy": {"dest": "/etc/systemd/system/ollama.service.d/x.conf", "content": systemd(random)[1]}
    }
    name, value = random.choice([*_environment(random).items()] or [("OLLAMA_A", "{{ item.x }}")])
    path = random.choice(["/etc/systemd/system/ollama.service", "/etc/default/ollama", "{{ unit }}"])
    line = random.choice([f'Environment="{name}={value}"', f"{name}={value}", "Environment={{ item }}"])
    parts = [
        {"lineinfile": {"path": path, "line": line}, "loop": [f"{name}={value}", {"x": value}]},
        {"ini_file": {"path": path, "section": "Service", "option": "Environment", "value": f'"{name}={value}"'}},
        {"blockinfile": {"path": path, "block": systemd(random)[1]}},
    ]
    return "tasks/main.yml", _yaml([task, copy, *random.sample(parts, 2)], random)


def nix(random: Random) -> tuple[str, str]:
    pairs = " ".join(f"{name} = {json.dumps(value)};" for name, value in _environment(random).items())
    body = random.choice(
        [
            f"services.ollama = {{ enable = true; environmentVariables = {{ {pairs} }}; }};",
            f"services.ollama.environmentVariables = lib.mkForce {{ {pairs} }};",
        ]
    )
    return "configuration.nix", f"{{ config, lib, pkgs, ... }}:\n{{\n  services.ollama.enable = true;\n  {body}\n}}\n"


def dockerfile(random: Random) -> tuple[str, str]:
    lines = ["ARG V=0.17.4", "FROM " + random.choice([*_IMAGES, "ollama/ollama:${V}"])]
    lines += [
        random.choice(
            [f"ENV {name}={value}", f'ENV {name}="{value}"', f"ENV {name} {value}", f"ENV A=1 \\\n  {name}='{value}'"]
        )
        for name, value in _environment(random).items()
    ]
    lines.append(
        random.choice(['CMD ["serve"]', "RUN ollama pull x", "HEALTHCHECK CMD curl x", "COPY <<EOT /x\na\nEOT"])
    )
    return "Dockerfile", "\n".join(lines) + "\n"


def modelfile(random: Random) -> tuple[str, str]:
    lines = [f"FROM {random.choice(_MODELS)}"]
    lines += [f"PARAMETER {name} {_value(random)}" for name in random.sample(sorted(PARAMETERS), 3)]
    return "Modelfile", "\n".join([*lines, 'SYSTEM """a', 'b"""', "TEMPLATE {{ .Prompt }}"]) + "\n"


def systemd(random: Random) -> tuple[str, str]:
    lines = ["[Service]", "ExecStart=/usr/bin/ollama serve"]
    for name, value in _environment(random).items():
        lines.append(
            random.choice(
                [
                    f'Environment="{name}={value}"',
                    f"Environment={name}={value} \\\n  A=b",
                    f"Environment='{name}={value}' X=1",
                    "Environment=",
                ]
            )
        )
    return "ollama.service", "\n".join(
        [*lines, random.choice(["MemoryMax=8G", "MemoryMax=50%", "EnvironmentFile=-/x"])]
    ) + "\n"


def env_file(random: Random) -> tuple[str, str]:
    lines = [
        random.choice([f"{name}={value}", f'{name}="{value}"', f"export {name}='{value}' # x", f"{name} = {value}"])
        for name, value in _environment(random).items()
    ]
    return random.choice(["ollama.env", ".env.ollama", "default/ollama"]), "\n".join(lines) + "\n"


def shell(random: Random) -> tuple[str, str]:
    variables = [*_environment(random).items()]
    body = json.dumps(
        {"model": random.choice(_MODELS), "keep_alive": _value(random), "options": {"num_ctx": _value(random)}}
    )
    lines = ["#!/bin/bash", *[f'export {name}="{value}"' for name, value in variables[:2]]]
    lines.append(
        "docker run -d "
        + " ".join(f"-e {name}='{value}'" for name, value in variables)
        + f" -m 8g {random.choice(_IMAGES)}"
    )
    path = random.choice(["api/generate", "api/chat", "v1/chat/completions"])
    quoted = "'" + body.replace("'", "'\\''") + "'"
    lines += [
        f"curl http://localhost:11434/{path} -d {quoted}",
        f"curl localhost:11434/{path} -d @- <<EOF\n{body}\nEOF",
    ]
    lines += [
        f"ollama run {random.choice(_MODELS)} --keepalive {random.choice(_TEXTS)}",
        'if [ "$1" ]; then ollama serve & fi',
    ]
    return "run.sh", "\n".join(random.sample(lines, len(lines))) + "\n"


def plain(random: Random) -> tuple[str, str]:
    one = _declaration(random)
    whole = random.choice([one, {"models": [one, _declaration(random)]}, [one], {"a": one}])
    match random.randrange(3):
        case 0:
            return "models.json", _json(whole, random)
        case 1:
            return "models.toml", "\n".join(
                ["[[models]]", *(f"{key} = {_toml(value)}" for key, value in one.items())]
            ) + "\n"
    return "models.yaml", _yaml(whole, random)


def _json(value: Any, random: Random) -> str:
    return json.dumps(value, indent=random.choice([None, 2]), ensure_ascii=random.random() < 0.5)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return '""' if value is None else json.dumps(value, ensure_ascii=False)


def _yaml(value: Any, random: Random, indent: str = "") -> str:
    if isinstance(value, dict) and value and random.random() < 0.95:
        return "".join(f"{indent}{key}:{_below(one, random, indent)}" for key, one in value.items())
    if isinstance(value, list) and value and random.random() < 0.95:
        return "".join(_item(one, random, indent) for one in value)
    return f"{indent}{_scalar(value, random)}\n"


def _item(value: Any, random: Random, indent: str) -> str:
    if isinstance(value, dict) and value:
        return f"{indent}- {_yaml(value, random, indent + '  ').lstrip(' ')}"
    return f"{indent}-{_below(value, random, indent)}"


def _below(value: Any, random: Random, indent: str) -> str:
    if isinstance(value, dict | list) and value and random.random() < 0.9:
        return "\n" + _yaml(value, random, indent + "  ")
    return f" {json.dumps(value) if isinstance(value, dict | list) else _scalar(value, random)}\n"


SNIPPETS: dict[str, tuple[Snippet, ...]] = {
    "terraform.hcl": (terraform, terraform_here_document, terraform_helm_release, terraform_json),
    "terraform.plan": (plan,),
    "pulumi.shown": (preview,),
    "pulumi.python": (program,),
    "pulumi.yaml_program": (pulumi_yaml,),
    "compose.services": (compose,),
    "kubernetes.manifests": (kubernetes,),
    "kubernetes.helm": (helm,),
    "ansible.tasks": (ansible,),
    "nix": (nix,),
    "dockerfile": (dockerfile,),
    "modelfile": (modelfile,),
    "systemd": (systemd,),
    "common.env_files": (env_file,),
    "shell.scripts": (shell,),
    "plain": (plain,),
}
