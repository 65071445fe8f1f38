"""A user's home in which `terraform-provider-ollama install` was run, and nothing else tells Terraform anything."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("terraform-provider-ollama")


def environment_of(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has set nothing of Terraform's or Ollama's."""
    left_out = ("TF_", "OLLAMA_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "HOME": str(home), "CHECKPOINT_DISABLE": "1", **more}


def command(home: Path, *arguments: str, check: bool = True) -> str:
    """What `terraform-provider-ollama` says."""
    ran = subprocess.run(
        [COMMAND, *arguments], env=environment_of(home), cwd=home, capture_output=True, text=True, timeout=60
    )
    assert not check or ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def settings_of(home: Path) -> dict[str, str]:
    """What makes a TerraformStack a configuration of the user whose home this is."""
    settings = home / "empty.tfrc"
    settings.touch()
    return {"HOME": str(home), "TF_CLI_CONFIG_FILE": str(settings)}
