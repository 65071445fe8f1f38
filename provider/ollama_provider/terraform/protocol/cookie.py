"""How a process knows that Terraform started it. Of its own, since a process that a person started needs no gRPC."""

import os
from typing import Final

NAME: Final = "TF_PLUGIN_MAGIC_COOKIE"
VALUE: Final = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"


def is_started_by_terraform() -> bool:
    return os.environ.get(NAME) == VALUE
