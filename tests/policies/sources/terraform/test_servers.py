"""Terraform's resources that run Ollama."""

import pytest

from ollama_policy.model.settings import GPU_COUNT, IMAGE, MEMORY_LIMIT, Subject
from tests.policies.sources.terraform.module_of import cut, plain, subjects_of


def server(text: str) -> Subject:
    (subject,) = subjects_of({"main.tf": text}).values()
    return subject


def test_docker_container() -> None:
    subject = server(
        'resource "docker_container" "o" {\n  image = "ollama/ollama:0.17.4"\n  memory = 8192\n'
        '  env = [\n    "OLLAMA_KEEP_ALIVE=5m",\n    "OLLAMA_NUM_PARALLEL=${var.n}",\n    "A=${var.u}",\n  ]\n}\n'
        'variable "n" {\n  default = 4\n}\nvariable "u" {}\n'
    )
    assert plain(subject) == {
        IMAGE: "ollama/ollama:0.17.4",
        "OLLAMA_KEEP_ALIVE": "5m",
        "OLLAMA_NUM_PARALLEL": "4",
        "A": "? var.u has no default",
        MEMORY_LIMIT: 8 << 30,
    }
    assert {key: cut(setting) for key, setting in subject.settings.items()} == {
        IMAGE: '"ollama/ollama:0.17.4"',
        "OLLAMA_KEEP_ALIVE": "5m",
        "OLLAMA_NUM_PARALLEL": "${var.n}",
        "A": "${var.u}",
        MEMORY_LIMIT: "8192",
    }
    assert subject.settings["OLLAMA_NUM_PARALLEL"].origin == "default of var.n"
    assert [key for key, setting in subject.settings.items() if setting.is_literal] == [IMAGE, "OLLAMA_KEEP_ALIVE"]


@pytest.mark.parametrize(
    ("image", "is_server"),
    [
        ('"ollama/ollama"', True),
        ('"ghcr.io/acme/ollama:1@sha256:ab"', True),
        ('"ollama/ollama:${var.tag}"', True),
        ("docker_image.i.image_id", True),
        ("docker_image.i.name", True),
        ("docker_image.other.image_id", False),
        ('"ghcr.io/open-webui/open-webui:ollama"', False),
        ('"acme/ollama-webui"', False),
        ("var.image", False),
    ],
)
def test_only_ollamas_own_image_is_a_server(image: str, is_server: bool) -> None:
    found = subjects_of(
        {
            "main.tf": f'resource "docker_container" "o" {{\n  image = {image}\n  env = ["OLLAMA_HOST=x"]\n}}\n'
            'resource "docker_image" "i" {\n  name = "ollama/ollama:0.5"\n}\n'
            'resource "docker_image" "other" {\n  name = "nginx"\n}\n'
        }
    )
    assert len(found) == is_server


def test_a_command_that_serves_is_a_server() -> None:
    assert server('resource "docker_container" "o" {\n  image = var.i\n  command = ["ollama", "serve"]\n}\n')


def test_what_hides_variables_is_said() -> None:
    subject = server(
        'resource "docker_container" "o" {\n  image = "ollama/ollama"\n  env = concat(["A=1"], var.more)\n}\n'
    )
    assert subject.unknown is not None and "var.more" in subject.unknown.reason
    subject = server(
        'resource "docker_container" "o" {\n  image = "ollama/ollama"\n'
        '  env = [for k, v in { A = 1 } : "${k}=${v}"]\n}\n'
    )
    assert plain(subject) == {IMAGE: "ollama/ollama", "A": "1"}
    assert subject.settings["A"].is_literal is False


KUBERNETES = """resource "kubernetes_deployment_v1" "o" {
  spec {
    template {
      spec {
        container {
          name  = "ollama"
          image = "ollama/ollama:0.5.13"
          env {
            name  = "OLLAMA_FLASH_ATTENTION"
            value = "off"
          }
          env {
            name = "OLLAMA_KEEP_ALIVE"
            value_from {
              config_map_key_ref {}
            }
          }
          resources {
            limits = {
              memory           = "8Gi"
              "nvidia.com/gpu" = "1"
            }
          }
          MORE
        }
        container {
          name  = "web"
          image = "nginx"
        }
      }
    }
  }
}
"""


def test_kubernetes() -> None:
    subject = server(KUBERNETES.replace("MORE", ""))
    assert subject.address == "kubernetes_deployment_v1.o[ollama]"
    assert plain(subject) == {
        IMAGE: "ollama/ollama:0.5.13",
        "OLLAMA_FLASH_ATTENTION": "off",
        "OLLAMA_KEEP_ALIVE": "? OLLAMA_KEEP_ALIVE comes from elsewhere (a secret or a field)",
        MEMORY_LIMIT: 8 << 30,
        GPU_COUNT: 1,
    }
    assert cut(subject.settings["OLLAMA_FLASH_ATTENTION"]) == '"off"'
    assert cut(subject.settings[MEMORY_LIMIT]) == '"8Gi"'
    assert subject.unknown is None


@pytest.mark.parametrize("more", ["env_from {\n}", 'dynamic "env" {\n  for_each = var.e\n  content {\n  }\n}'])
def test_kubernetes_variables_from_elsewhere(more: str) -> None:
    assert server(KUBERNETES.replace("MORE", more)).unknown is not None


def test_ecs_task_definition() -> None:
    subject = server(
        'resource "aws_ecs_task_definition" "t" {\n  container_definitions = jsonencode([{\n    name = "o"\n'
        '    image = "ollama/ollama"\n    memory = 4096\n'
        '    environment = [{ name = "OLLAMA_DEBUG", value = "1" }]\n  }])\n}\n'
    )
    assert plain(subject) == {IMAGE: "ollama/ollama", "OLLAMA_DEBUG": "1", MEMORY_LIMIT: 4 << 30}
    assert cut(subject.settings["OLLAMA_DEBUG"]) == '"1"'


def test_docker_service() -> None:
    subject = server(
        'resource "docker_service" "s" {\n  task_spec {\n    container_spec {\n      image = "ollama/ollama"\n'
        "      env = {\n        OLLAMA_NOPRUNE = true\n      }\n    }\n"
        "    resources {\n      limits {\n        memory_bytes = 1024\n      }\n    }\n  }\n}\n"
    )
    assert plain(subject) == {IMAGE: "ollama/ollama", "OLLAMA_NOPRUNE": "true", MEMORY_LIMIT: 1024}


def test_terraform_json() -> None:
    (subject,) = subjects_of(
        {
            "main.tf.json": '{"resource": {"docker_container": {"o": [{"image": "ollama/ollama", '
            '"env": ["OLLAMA_DEBUG=${1}"]}]}}}'
        }
    ).values()
    assert plain(subject) == {IMAGE: "ollama/ollama", "OLLAMA_DEBUG": "1"}
    assert cut(subject.settings["OLLAMA_DEBUG"]) == "${1}"


def test_an_image_is_placed_where_it_is_named() -> None:
    text = (
        'resource "docker_container" "o" {\n  image = docker_image.i.image_id\n}\n'
        'resource "docker_image" "i" {\n  name = "ollama/ollama:0.5.1"\n}\n'
    )
    setting = server(text).settings[IMAGE]
    assert (setting.value, cut(setting), setting.origin) == (
        "ollama/ollama:0.5.1",
        '"ollama/ollama:0.5.1"',
        "docker_image.i",
    )
    built = server(text.replace("ollama/ollama:0.5.1", "ollama").replace('"ollama"\n', '"ollama"\n  build {\n  }\n'))
    assert plain(built) == {IMAGE: "? docker_image.i is built here"}


def test_a_config_map_of_the_module() -> None:
    more = "env_from {\n config_map_ref {\n name = kubernetes_config_map.c.metadata[0].name\n }\n }"
    text = KUBERNETES.replace("MORE", more) + (
        'resource "kubernetes_config_map" "c" {\n  data = {\n    OLLAMA_DEBUG = "false"\n'
        '    OLLAMA_FLASH_ATTENTION = "1"\n  }\n}\n'
    )
    subject = server(text)
    assert subject.unknown is None
    assert plain(subject)["OLLAMA_DEBUG"] == "false"
    assert plain(subject)["OLLAMA_FLASH_ATTENTION"] == "off"
    assert not subject.repeated


def test_kubernetes_manifest() -> None:
    subject = server(
        """resource "kubernetes_manifest" "o" {
  manifest = {
    kind = "Deployment"
    spec = {
      template = {
        spec = {
          containers = [
            {
              name  = "ollama"
              image = "ollama/ollama:latest"
              env   = [{ name = "OLLAMA_KEEP_ALIVE", value = "5m" }, { name = "X", valueFrom = {} }]
              resources = {
                limits = {
                  memory           = "32Gi"
                  "nvidia.com/gpu" = 1
                }
              }
            },
            { name = "web", image = "nginx" },
          ]
        }
      }
    }
  }
}
"""
    )
    assert plain(subject) == {
        IMAGE: "ollama/ollama:latest",
        "OLLAMA_KEEP_ALIVE": "5m",
        MEMORY_LIMIT: 32 << 30,
        GPU_COUNT: 1,
    }
    assert cut(subject.settings["OLLAMA_KEEP_ALIVE"]) == '"5m"'
