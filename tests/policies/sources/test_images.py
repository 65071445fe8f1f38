import pytest

from ollama_policy.sources.images import is_ollama


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("ollama/ollama", True),
        ("ollama/ollama:0.5.1-rocm@sha256:aa", True),
        ("docker.io/ollama/ollama", True),
        ("registry:5000/mirror/ollama:1", True),
        ("ollama", True),
        ("ollama/ollama:$TAG", True),
        ("ghcr.io/open-webui/open-webui:ollama", False),
        ("ollama/quantize", False),
        ("x/ollama-exporter", False),
        ("", False),
    ],
)
def test_images_that_run_ollama(reference: str, expected: bool) -> None:
    assert is_ollama(reference) is expected
