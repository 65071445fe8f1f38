"""Which files a folder of Terraform is made of, in their order."""

import posixpath
from typing import Final

from ollama_policy.model.settings import SourceFile

HCL: Final = (".tf", ".tofu")
JSON: Final = (".tf.json", ".tofu.json")
VALUES: Final = (".tfvars", ".tfvars.json")


def is_override(file: SourceFile) -> bool:
    stem = posixpath.basename(file.path).split(".")[0]
    return stem == "override" or stem.endswith("_override")


def is_loaded(file: SourceFile) -> bool:
    name = posixpath.basename(file.path)
    return name in ("terraform.tfvars", "terraform.tfvars.json") or name.endswith((".auto.tfvars", ".auto.tfvars.json"))


def precedence(file: SourceFile) -> tuple[bool, str]:
    name = posixpath.basename(file.path)
    return not name.startswith("terraform.tfvars"), name
