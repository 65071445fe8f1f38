"""A leak in a real runner: a library of our own, preloaded into Ollama and so into what it starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("planted_leak.c")


def planted(folder: Path, bytes_a_call: int) -> dict[str, str]:
    """The environment of a server whose runners leak so much with each call of a model. Compiles it into `folder`."""
    library = folder / "planted_leak.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return {"LD_PRELOAD": str(library), "LEAK_BYTES": str(bytes_a_call)}
