"""What the fuzzer begins with, for each source: the rules' examples, the texts that its tests read, generated ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from ollama_policy.rules import RULES
from ollama_policy.sources import SOURCES, Registered
from tests.policies.fuzz.snippets import SNIPPETS

Tree = dict[str, bytes]  # by path; the first file is the one that is mutated

# A name that each source takes a file under.
PATHS = {
    "terraform.hcl": ("main.tf", "main.tf.json", "main.tofu"),
    "terraform.plan": ("plan.json",),
    "pulumi.shown": ("preview.json",),
    "pulumi.python": ("__main__.py",),
    "pulumi.yaml_program": ("Pulumi.yaml",),
    "compose.services": ("compose.yaml",),
    "kubernetes.manifests": ("deployment.yaml", "deployment.json", "templates/_helpers.tpl"),
    "kubernetes.helm": ("values.yaml", "templates/deployment.yaml"),
    "ansible.tasks": ("tasks/main.yml", "roles/llm/defaults/main.yml"),
    "nix": ("configuration.nix",),
    "dockerfile": ("Dockerfile",),
    "modelfile": ("Modelfile",),
    "systemd": ("ollama.service", "ollama.container"),
    "common.env_files": ("ollama.env", "default/ollama"),
    "shell.scripts": ("run.sh",),
    "plain": ("models.yaml", "models.json", "models.toml"),
}
_TESTS = Path(__file__).parents[1]
_FEWEST = 40  # characters of a text that is worth reading


def name_of(source: Registered) -> str:
    return source.module


def sources(wanted: str | None = None) -> list[Registered]:
    """All sources, or the one of that name."""
    return [source for source in SOURCES if wanted in (None, source.module, source.module.rpartition(".")[2])]


def seeds_of(source: Registered, random: Random) -> list[Tree]:
    name = name_of(source)
    found: list[Tree] = [*_examples(source), *_generated(name, random)]
    for text in _texts(name):
        path = random.choice(PATHS[name])
        found.append({path: text.encode("utf-8", "surrogatepass")})
    return found


def generated(name: str, random: Random) -> Tree:
    """One new tree for a source."""
    path, text = random.choice(SNIPPETS[name])(random)
    return {path: text.encode()}


def _generated(name: str, random: Random) -> Iterator[Tree]:
    for _ in range(30):
        yield generated(name, random)


def _examples(source: Registered) -> Iterator[Tree]:
    for rule in RULES:
        for examples in (rule.bad, rule.good):
            tree = {each.path: each.text.replace("«", "").replace("»", "").encode() for each in examples}
            for path, data in tree.items():
                name = path.rpartition("/")[2].lower()
                if "." + name.rpartition(".")[2] in source.suffixes or re.fullmatch(source.names or "(?!)", name):
                    yield {path: data, **tree}


def _texts(name: str) -> Iterator[str]:
    """The longer texts in the tests of a source."""
    stem = name.partition(".")[0] if name == "terraform.hcl" else name.rpartition(".")[2]
    for path in sorted(_TESTS.glob("sources/**/*.py")):
        if stem not in str(path.relative_to(_TESTS)):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) >= _FEWEST:
                yield node.value
