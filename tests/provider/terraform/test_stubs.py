"""The committed stubs are what protoc makes of the committed .proto."""

import subprocess
import sys
from pathlib import Path

import pytest

from ollama_provider.terraform.protocol import tfplugin6_pb2

FOLDER = Path(tfplugin6_pb2.__file__).parent


def test_the_stubs_are_those_of_the_proto(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--python_out={tmp_path}"]
    subprocess.run([*command, f"--pyi_out={tmp_path}", "tfplugin6.proto"], check=True, timeout=60)
    for name in ("tfplugin6_pb2.py", "tfplugin6_pb2.pyi"):
        assert (FOLDER / name).read_text() == (tmp_path / name).read_text(), f"{name}: run: make generated"
