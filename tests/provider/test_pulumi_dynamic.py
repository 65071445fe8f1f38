"""The thin module that programs import says the same as the core that it does not import."""

import subprocess
import sys

from ollama_provider import pulumi_dynamic
from ollama_provider.apply import states


def test_the_arguments_and_outputs_are_those_of_the_core() -> None:
    assert pulumi_dynamic.INPUTS == states.INPUTS
    assert [name for name in states.OUTPUTS if name != "id"] == pulumi_dynamic.OUTPUTS
    assert set(pulumi_dynamic.OUTPUTS) - {"gguf_file"} <= pulumi_dynamic.OllamaModel.__annotations__.keys()


def test_an_update_of_nothing_imports_no_http_client() -> None:
    code = "import sys; from ollama_provider import pulumi_worker; print('httpx' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "False"


def test_a_program_that_declares_imports_neither_pydantic_nor_httpx() -> None:
    code = "import sys; from ollama_provider import OllamaModel; print({'pydantic', 'httpx'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "set()"
