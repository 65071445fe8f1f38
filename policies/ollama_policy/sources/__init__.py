"""A reader a format: text in, subjects out. `SOURCES` is the ordered list; a file is read by the first that takes it.

A source's module, and the parser that it needs, is imported only when a file passed by name and by content.
"""

import re
from functools import cached_property
from importlib import import_module
from typing import cast

from ollama_policy.sources.common.calls import may_call
from ollama_policy.sources.common.source import Source


class Registered:
    """A source and the cheap signs of its files.

    `suffixes` and `names` (a pattern for the whole name, in lower case) say which files are asked at all; of these,
    one of `words` (in lower case) must be in the content, where there are any.
    """

    def __init__(self, path: str, suffixes: str = "", names: str = "", words: tuple[bytes, ...] = ()) -> None:
        self.module, _, self.class_name = path.partition(":")
        self.suffixes = frozenset(suffixes.split())
        self.names = names
        self.words = words

    def may_hold(self, lowered: bytes) -> bool:
        """Whether a file with this content, in lower case, may be the source's."""
        return not self.words or any(word in lowered for word in self.words)

    @cached_property
    def source(self) -> Source:
        module = import_module(f"{__name__}.{self.module}")
        return cast(Source, getattr(module, self.class_name)())


_YAML = ".yaml .yml"
_TEMPLATE = r"(?:\.(?:j2|jinja2?|tpl|tmpl|tftpl|template|in|erb|example|sample|dist))"

# The more a format says about itself, the earlier it is asked; the plain form, which says least, comes last.
SOURCES: tuple[Registered, ...] = (
    Registered("terraform.hcl:TerraformSource", suffixes=".tf .tofu", names=r".*\.(?:tf|tofu)\.json"),
    Registered("terraform.plan:TerraformPlanSource", suffixes=".json", words=(b'"planned_values"',)),
    Registered("pulumi.shown:PulumiJson", suffixes=".json", words=(b'"newstate"', b'"deployment"')),
    Registered("pulumi.python:PulumiPython", suffixes=".py", words=(b"ollama_provider", b"pulumi_ollama")),
    Registered("pulumi.yaml_program:PulumiYaml", suffixes=_YAML, words=(b"resources",)),
    Registered("compose.services:Compose", suffixes=_YAML, words=(b"services", b"include")),
    Registered("kubernetes.manifests:Kubernetes", suffixes=_YAML + " .json .tpl", words=(b"apiversion", b"helmcharts")),
    Registered("kubernetes.helm:Helm", suffixes=_YAML + " .tpl"),
    Registered("ansible.tasks:Ansible", suffixes=_YAML + " .j2"),
    Registered("nix:Nix", suffixes=".nix"),
    Registered("dockerfile:Dockerfile", names=rf"(?:.*\.)?(?:docker|container)file(?:\..*)?{_TEMPLATE}?"),
    Registered("modelfile:Modelfile", names=r"(?:.*[._-])?modelfile(?:[._-].*)?"),
    Registered(
        "systemd:Systemd",
        names=rf".*\.(?:service|conf|container){_TEMPLATE}?",
        words=(b"[service]", b"[container]"),
    ),
    Registered(
        "common.env_files:EnvFiles", names=rf"\.env.*|.*\.env{_TEMPLATE}?|[^.]*ollama[^.]*(?:\.conf)?{_TEMPLATE}?"
    ),
    Registered(
        "shell.scripts:Shell",
        suffixes=".sh .bash .zsh .ksh",
        names=r"\.?(?:(?:bash|zsh)rc|(?:bash_|z)?profile|zshenv)|[^.]+",
    ),
    Registered("plain:Plain", suffixes=_YAML + " .json .toml"),
)

# Names that say by themselves that a file configures something here: what is wrong with such a file is worth saying
# even where not a word of it can be read.
OWN_NAME = re.compile(
    r".*\.(?:tf|tofu|tf\.json|tofu\.json|nix|service|container|modelfile)|(?:docker-)?compose.*\.ya?ml"
    r"|(?:docker|container|model)file(?:\..*)?|pulumi\.ya?ml"
)


def lowered_if_mentioned(data: bytes) -> bytes | None:
    """The content in lower case where it can be about Ollama at all."""
    lowered = data.lower()
    words = (b"llama_arg_", b"memory_management", b"\nparameter ")  # the last is a Modelfile's
    return lowered if may_call(lowered) or any(word in lowered for word in words) else None
