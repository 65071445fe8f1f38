"""The guard against false alarms: configuration as people write it, and every finding that it should have, mostly none.

Each case is a small tree. Expected are all findings, as the rule's id and the bytes that it points at, and all values
that are said to be undecided. A file that only talks about Ollama, or to it, has neither.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ollama_policy.pipeline.check import Options, check
from ollama_policy.rules import RULES


@dataclass(frozen=True)
class Case:
    """A tree of files, and what is to be found in it: `("OLL302", "ollama/ollama")`."""

    name: str
    files: dict[str, str]
    findings: list[tuple[str, str]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    wrong: str = ""  # why it is not so yet


COMPOSE = [
    Case(
        "an interface beside a server, with anchors and defaults",
        {
            "docker-compose.yml": """\
x-logging: &logging
  driver: json-file
  options: {max-size: "10m"}

x-environment: &environment
  TZ: ${TZ:-Europe/Berlin}
  OLLAMA_KEEP_ALIVE: 10m   # released after ten idle minutes

services:
  ollama:
    image: docker.io/ollama/ollama:0.17.4@sha256:8850b8b33936b9fb246e7b3e02849941f1151ea847e5fb15511f17de9589aea1
    container_name: ollama
    restart: unless-stopped
    logging: *logging
    environment:
      <<: *environment
      OLLAMA_NUM_PARALLEL: 2
      OLLAMA_CONTEXT_LENGTH: "${CONTEXT:-8192}"
      OLLAMA_FLASH_ATTENTION: "1"
      OLLAMA_KV_CACHE_TYPE: q8_0
      NVIDIA_VISIBLE_DEVICES: all
    volumes: ["ollama:/root/.ollama"]
    ports: ["127.0.0.1:11434:11434"]
    deploy:
      resources:
        limits: {memory: 24g}
        reservations:
          devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]
    healthcheck:
      test: ["CMD", "ollama", "list"]

  open-webui:
    image: ghcr.io/open-webui/open-webui:v0.6.43
    environment:
      <<: *environment
      OLLAMA_BASE_URL: http://ollama:11434
      OLLAMA_API_KEY:
      ENABLE_OLLAMA_API: "true"
    depends_on: [ollama]

volumes: {ollama: {}}
"""
        },
    ),
    Case(
        "clients with variables of their own",
        {
            "compose.yaml": """\
services:
  app:
    build: .
    environment:
      - OLLAMA_BASE_URL=http://host.docker.internal:11434
      - OLLAMA_MODEL=llama3.2
      - OLLAMA_NUM_CTX=16384
      - OLLAMA_KEEP_ALIVE=forever
      - OLLAMA_TIMEOUT=120s
      - OLLAMA_MAX_MODELS=3
  litellm:
    image: ghcr.io/berriai/litellm:main-stable
    environment: {OLLAMA_API_BASE: "http://ollama:11434", OLLAMA_NUM_GPU: "99"}
  n8n:
    image: n8nio/n8n:1.120.0
    environment:
      OLLAMA_HOST: ${OLLAMA_HOST-ollama:11434}
  webui:
    image: ghcr.io/open-webui/open-webui:ollama
    environment: {OLLAMA_FLASH_ATTN: "yes"}
"""
        },
    ),
    Case(
        "a home server that nobody looked at again",
        {
            "stack/docker-compose.yaml": """\
version: "3.8"
services:
  llm:
    image: ollama/ollama:latest
    restart: always
    environment:
      - OLLAMA_HOST=0.0.0.0
      - OLLAMA_KEEP_ALIVE=24 hours
      - OLLAMA_FLASH_ATTENTION=off
      - OLLAMA_MAX_VRAM=8000000000
    volumes:
      - ./data:/root/.ollama
"""
        },
        [
            ("OLL203", "ollama/ollama:latest"),
            ("OLL302", "ollama/ollama:latest"),
            ("OLL101", "24 hours"),
            ("OLL102", "off"),
            ("OLL105", "8000000000"),
        ],
    ),
    Case(
        "an override without an image, and its base",
        {
            "docker-compose.yml": """\
services:
  ollama:
    image: ollama/ollama:0.17.4
    mem_limit: 16g
    environment:
      OLLAMA_KEEP_ALIVE: 5m
""",
            "docker-compose.override.yml": "services:\r\n  ollama:\r\n    ports:\r\n      - 11434:11434\r\n",
        },
    ),
]

KUBERNETES = [
    Case(
        "an alert that only mentions a variable",
        {
            "alerts/ollama.yaml": """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: ollama}
spec:
  groups:
    - name: ollama
      rules:
        - alert: OllamaModelPinned
          expr: ollama_model_expires_seconds > 86400
          for: 15m
          annotations:
            summary: "Memory is not released; check OLLAMA_KEEP_ALIVE=-1 on {{ $labels.instance }}"
            description: |
              Set memory_management: "manual", or give keep_alive: 5m.
              A server with OLLAMA_KEEP_ALIVE: forever uses its default.
"""
        },
    ),
    Case(
        "a deployment and its clients in one file",
        {
            "k8s/llm.yaml": """\
---
apiVersion: v1
kind: Namespace
metadata:
  name: llm
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ollama, namespace: llm}
spec:
  selector: {matchLabels: {app: ollama}}
  template:
    metadata: {labels: {app: ollama}}
    spec:
      initContainers:
        - name: wait
          image: busybox:1.37
          command: [sh, -c, "until nc -z registry 5000; do sleep 1; done"]
      containers:
        - name: ollama
          image: ollama/ollama:0.17.4
          env:
            - {name: OLLAMA_KEEP_ALIVE, value: "30m"}
            - {name: OLLAMA_MAX_LOADED_MODELS, value: "2"}
            - name: POD_IP
              valueFrom: {fieldRef: {fieldPath: status.podIP}}
          resources:
            requests: {memory: 8Gi}
            limits: {memory: 16Gi, nvidia.com/gpu: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat, namespace: llm}
spec:
  selector: {matchLabels: {app: chat}}
  template:
    metadata: {labels: {app: chat}}
    spec:
      containers:
        - name: chat
          image: registry.example.com/chat:1.4
          env:
            - {name: OLLAMA_BASE_URL, value: "http://ollama:11434"}
            - {name: OLLAMA_NUM_CTX, value: "8192"}
            - {name: OLLAMA_KEEP_ALIVE, value: "1d"}
"""
        },
    ),
    Case(
        "a release of a generic chart",
        {
            "clusters/home/ollama/helmrelease.yaml": """\
---
# yaml-language-server: $schema=https://raw.githubusercontent.com/example/helmrelease.json
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: ollama}
spec:
  interval: 1h
  chart:
    spec:
      chart: app-template
      version: 4.4.0
      sourceRef: {kind: HelmRepository, name: bjw-s}
  values:
    controllers:
      ollama:
        annotations: {reloader.stakater.com/auto: "true"}
        containers:
          app:
            image:
              repository: ollama/ollama
              tag: 0.17.4@sha256:8850b8b33936b9fb246e7b3e02849941f1151ea847e5fb15511f17de9589aea1
            env:
              OLLAMA_HOST: 0.0.0.0
              OLLAMA_KEEP_ALIVE: 1h
              OLLAMA_ORIGINS: "*"
            resources:
              requests: {cpu: 200m}
              limits: {memory: 32Gi}
    service:
      app: {controller: ollama, ports: {http: {port: &port 11434}}}
"""
        },
    ),
    Case(
        "a config map of an application",
        {
            "base/config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data:
  OLLAMA_URL: http://ollama.llm.svc:11434
  OLLAMA_KEEP_ALIVE: "permanent"
  settings.yaml: |
    models:
      - name: llama3.2
        provider: ollama
        keep_alive: -1
""",
            "base/kustomization.yaml": "resources: [config.yaml]\ncommonLabels: {app: ollama-client}\n",
        },
    ),
    Case(
        "a template of a chart that is not a server",
        {
            "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 0.1.0\ndescription: Talks to ollama\n",
            "charts/app/values.yaml": "ollama:\n  url: http://ollama:11434\n  model: llama3.2\n  keepAlive: 5m\n",
            "charts/app/templates/deployment.yaml": """\
{{- if .Values.enabled }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.fullname" . }}
spec:
  template:
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
            - name: OLLAMA_BASE_URL
              value: {{ .Values.ollama.url | quote }}
            {{- range $key, $value := .Values.env }}
            - name: {{ $key }}
              value: {{ $value | quote }}
            {{- end }}
{{- end }}
""",
        },
    ),
]

CLIENTS = [
    Case(
        "an editor's models",
        {
            ".continue/config.yaml": """\
name: Local Assistant
version: 1.0.0
schema: v1
models:
  - name: Qwen Coder
    provider: ollama
    model: qwen2.5-coder:7b
    roles: [autocomplete]
    defaultCompletionOptions: {contextLength: 8192, keepAlive: 1800}
  - name: Llama
    provider: ollama
    model: llama3.1:8b
    requestOptions: {timeout: 120000}
""",
            ".continue/config.json": (
                '{"models": [{"title": "Llama", "provider": "ollama", "model": "llama3", "contextLength": 8192}],\n'
                ' "tabAutocompleteModel": {"provider": "ollama", "model": "starcoder2:3b"}}\n'
            ),
        },
    ),
    Case(
        "frameworks",
        {
            "app/chain.py": """\
import os

from langchain_ollama import ChatOllama
from pydantic_ai.models.ollama import OllamaModel

KEEP = os.getenv("OLLAMA_KEEP_ALIVE", "5m")
llm = ChatOllama(model="llama3.2", keep_alive=KEEP, num_ctx=8192, base_url=os.environ["OLLAMA_BASE_URL"])
model = OllamaModel("llama3.2", memory_management="automatic")
""",
            "config/litellm.yaml": """\
model_list:
  - model_name: llama3
    litellm_params:
      model: ollama/llama3
      api_base: http://localhost:11434
      keep_alive: 8m
""",
            "settings.toml": '[llm]\nprovider = "ollama"\nmodel = "llama3.2"\nkeep_alive = "-1"\n',
            "package.json": '{"name": "chat", "dependencies": {"ollama": "^0.6.0"}, "scripts": {"start": "node ."}}\n',
        },
    ),
    Case(
        "an application's environment",
        {
            ".env": "OLLAMA_BASE_URL=http://localhost:11434\nOLLAMA_MODEL=llama3.2\nOLLAMA_NUM_CTX=4096\nDEBUG=off\n",
            ".env.example": "# where Ollama is\nOLLAMA_HOST=http://localhost:11434\nOLLAMA_TIMEOUT=60\n",
        },
    ),
    Case(
        "settings of another product that share a word",
        {
            "engine.yaml": "memory_management: unified\nbatch_size: 4\ndevice: cuda\n",
            "vllm.json": '{"engine": {"memory_management": "automatic", "gpu_memory": 0.9}, "port": 8000}\n',
            "openapi.json": (
                '{"components": {"schemas": {"Model": {"properties": {"memory_management": {"type": "string"},'
                ' "keep_alive": {"type": "string", "default": "forever"}}}}}}\n'
            ),
            "pyproject.toml": '[project]\nname = "a"\n\n[tool.app]\nmemory_management = "automatic"\nollama = true\n',
        },
    ),
]

PROCESSES = [
    Case(
        "jobs that run Ollama",
        {
            ".github/workflows/test.yml": """\
name: test
on: {push: {branches: [main]}}
env:
  OLLAMA_HOST: 127.0.0.1:11434
jobs:
  integration:
    runs-on: ubuntu-latest
    services:
      ollama:
        image: ollama/ollama:0.17.4
        ports: ["11434:11434"]
        env: {OLLAMA_KEEP_ALIVE: 5m}
    steps:
      - uses: actions/checkout@v5
      - name: Model
        run: |
          curl -sf http://localhost:11434/api/pull -d '{"model": "smollm2:135m"}'
          echo "memory_management: automatic" > /tmp/models.yaml
      - run: pytest -m integration
        env:
          OLLAMA_MODEL: smollm2:135m
          OLLAMA_KEEP_ALIVE: forever
"""
        },
    ),
    Case(
        "a scrape and a dashboard",
        {
            "prometheus.yml": """\
global: {scrape_interval: 15s}
scrape_configs:
  - job_name: ollama
    metrics_path: /metrics
    static_configs: [{targets: ["ollama:11434"]}]
rule_files: [ollama_rules.yml]
""",
            "ollama_rules.yml": """\
groups:
  - name: ollama
    rules:
      - alert: OllamaMemory
        expr: container_memory_usage_bytes{name="ollama"} > 12e9
        labels: {severity: page}
        annotations: {runbook: "lower OLLAMA_KEEP_ALIVE=24h, memory_management: automatic"}
""",
            "dashboard.json": '{"title": "ollama", "panels": [{"title": "keep_alive: -1"}]}\n',
        },
    ),
    Case(
        "units, one of the server and one of a client",
        {
            "ollama.service": """\
[Unit]
Description=Ollama
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Restart=always
Environment="PATH=/usr/local/bin:/usr/bin" "OLLAMA_KEEP_ALIVE=15m"
Environment=OLLAMA_HOST=0.0.0.0 OLLAMA_MODELS=/srv/models
EnvironmentFile=-/etc/default/ollama
MemoryMax=32G

[Install]
WantedBy=default.target
""",
            "chat.service": """\
[Unit]
After=ollama.service

[Service]
ExecStart=/opt/chat/bin/chat --port 8080
Environment=OLLAMA_BASE_URL=http://localhost:11434 OLLAMA_KEEP_ALIVE=forever OLLAMA_NUM_CTX=8192
""",
        },
        undecided=["[Service]"],
    ),
    Case(
        "images of a server and of a client",
        {
            "Dockerfile": """\
ARG VERSION=0.17.4
FROM ollama/ollama:${VERSION} AS models
ENV OLLAMA_KEEP_ALIVE=5m OLLAMA_HOST=0.0.0.0
RUN ollama serve & sleep 5 && ollama pull llama3.2:1b
""",
            "client/Dockerfile": """\
FROM python:3.13-slim
ENV OLLAMA_KEEP_ALIVE forever
ENV OLLAMA_NUM_CTX=4096
RUN pip install --no-cache-dir ollama
CMD ["python", "-m", "client"]
""",
        },
    ),
    Case(
        "scripts",
        {
            "start.sh": """\
#!/usr/bin/env bash
set -euo pipefail
export OLLAMA_KEEP_ALIVE="${OLLAMA_KEEP_ALIVE:-10m}"
export OLLAMA_NUM_PARALLEL=1
ollama serve &
curl -s http://localhost:11434/api/generate -d '{"model": "llama3.2", "keep_alive": "5m"}' > /dev/null
curl -s http://localhost:11434/api/chat -d "{\\"model\\": \\"$MODEL\\", \\"keep_alive\\": -1}"
""",
            "client.sh": """\
#!/bin/sh
# Set OLLAMA_KEEP_ALIVE=forever on the server to keep models.
OLLAMA_HOST=${1:-localhost:11434} ollama run llama3.2 "Say hello"
echo "OLLAMA_KEEP_ALIVE=forever" | grep -c OLLAMA
""",
        },
        undecided=[r"\"$MODEL\""],
    ),
]

DECLARATIONS = [
    Case(
        "prose and examples in it",
        {
            "README.md": """\
# Models

Ollama does not release memory with

```yaml
memory_management: "automatic"
```

so run it with `OLLAMA_KEEP_ALIVE=5 minutes`, or in Terraform

```hcl
resource "ollama_model" "a" { memory_management = "automatic" }
```
""",
            "docs/ollama.md": "environment:\n  - OLLAMA_KEEP_ALIVE=forever\n",
            "CHANGELOG.txt": 'memory_management: "automatic" is the default\n',
        },
    ),
    Case(
        "declarations as they should be",
        {
            "models.yaml": """\
# yaml-language-server: $schema=schemas/ollama_models.schema.json
models:
  - name: llama3.2
    memory_management: manual
  - name: qwen3:8b
    memory_management: automatic
    keep_alive: 10m
    on_destroy: unload
""",
            "infra/Pulumi.yaml": """\
name: infra
runtime: yaml
config:
  mode: {type: string, default: manual}
resources:
  chat:
    type: ollama:index:Model
    properties:
      name: llama3.2
      memoryManagement: ${mode}
      timeouts: {load: 5m}
""",
            "program/Pulumi.yaml": "name: program\nruntime: python\ndescription: ollama models\n",
            "program/__main__.py": """\
import pulumi
from ollama_provider import OllamaModel

MODELS = {"chat": "llama3.2", "code": "qwen2.5-coder:7b"}
for resource, name in MODELS.items():
    OllamaModel(resource, name=name, memory_management="automatic", keep_alive="5m")
""",
        },
    ),
    Case(
        "declarations that will not release",
        {
            "models.yaml": 'memory_management: "automatic"\n',
            "fleet.toml": '[models.llama3]\nmemory_management = "automatic"\n\n[models.qwen3]\nkeep_alive = "1d"\n',
            "program/__main__.py": """\
from ollama_provider import OllamaModel

MODE = "automatic"
OllamaModel("chat", name="llama3.2", memory_management=MODE)
OllamaModel("code", name="qwen3", memory_management="manual", keep_alive="5m")
""",
        },
        [
            ("OLL001", '"automatic"'),
            ("OLL003", '"1d"'),
            ("OLL001", '"automatic"'),
            ("OLL001", '"automatic"'),
            ("OLL003", '"5m"'),
        ],
    ),
]

OTHERS = [
    Case(
        "playbooks of a server's clients",
        {
            "roles/chat/tasks/main.yml": """\
---
- name: Chat
  community.docker.docker_container:
    name: chat
    image: "ghcr.io/example/chat:{{ chat_version }}"
    env:
      OLLAMA_BASE_URL: "http://{{ ollama_host }}:11434"
      OLLAMA_KEEP_ALIVE: forever
- name: Wait for Ollama
  ansible.builtin.uri: {url: "http://{{ ollama_host }}:11434/api/tags"}
""",
            "roles/chat/defaults/main.yml": "ollama_host: localhost\nollama_keep_alive: forever\nmodels: [llama3.2]\n",
        },
    ),
    Case(
        "a pipeline of GitLab",
        {
            ".gitlab-ci.yml": """\
stages: [test]
variables:
  OLLAMA_HOST: http://ollama:11434
test:
  stage: test
  image: python:3.13
  services:
    - name: ollama/ollama:0.17.4
      alias: ollama
  script:
    - pip install ollama
    - pytest
"""
        },
    ),
    Case(
        "a module of NixOS that uses the service",
        {
            "hosts/desk/ollama.nix": """\
{ config, pkgs, lib, ... }:
{
  services.ollama = {
    enable = true;
    acceleration = "cuda";
    environmentVariables = {
      OLLAMA_KEEP_ALIVE = "10m";
      "OLLAMA_FLASH_ATTENTION" = "1";
    };
  };
  services.open-webui.environment.OLLAMA_API_BASE_URL = "http://127.0.0.1:${toString config.services.ollama.port}";
}
"""
        },
    ),
    Case(
        "terraform of a client, and of a server",
        {
            "main.tf": """\
variable "tag" { default = "0.17.4" }

resource "docker_container" "chat" {
  name  = "chat"
  image = "ghcr.io/example/chat:1.4"
  env   = ["OLLAMA_BASE_URL=http://ollama:11434", "OLLAMA_KEEP_ALIVE=forever"]
}

resource "docker_container" "ollama" {
  name   = "ollama"
  image  = "ollama/ollama:${var.tag}"
  memory = 16384
  env    = ["OLLAMA_KEEP_ALIVE=5m"]
}

output "note" { value = "memory_management = automatic" }
"""
        },
    ),
]

CASES = COMPOSE + KUBERNETES + CLIENTS + PROCESSES + DECLARATIONS + OTHERS


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(reason=case.wrong)] if case.wrong else []


@pytest.mark.parametrize("case", [pytest.param(case, marks=_marks(case), id=case.name) for case in CASES])
def test_nothing_is_found_but_what_is_wrong(case: Case, tree: Path) -> None:
    for path, text in case.files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8", newline="")
    result = check(["."], Options(rules=RULES))
    assert [(one.path, one.message) for one in result.unreadable] == []
    found = [(one.finding.rule.id, _written(one.finding)) for one in result.findings]
    assert sorted(found) == sorted(case.findings)
    assert sorted(_written(one) for one in result.undecided) == sorted(case.undecided)


def _written(place: object) -> str:
    file, span = place.file, place.span  # type: ignore[attr-defined]  # a finding's, or an undecided value's
    text: str = file.data[span.start : span.end].decode()
    return text
