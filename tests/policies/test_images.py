from typing import Any

import pytest

from ollama_policy.model.images import Image, is_ollama

SHA = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest", "version"),
    [
        ("ollama/ollama:0.5.4", "ollama/ollama", "0.5.4", "", (0, 5, 4)),
        ("ollama/ollama:0.5.4-rocm", "ollama/ollama", "0.5.4-rocm", "", (0, 5, 4)),
        ("ollama/ollama:v0.33.0-rc2", "ollama/ollama", "v0.33.0-rc2", "", (0, 33, 0)),
        ("docker.io/ollama/ollama:0.5.4@" + SHA, "docker.io/ollama/ollama", "0.5.4", SHA, (0, 5, 4)),
        ("r:5000/ollama/ollama", "r:5000/ollama/ollama", "", "", None),
        ("ollama/ollama", "ollama/ollama", "", "", None),
        ("ollama/ollama:latest", "ollama/ollama", "latest", "", None),
        ("ollama/ollama:0.5", "ollama/ollama", "0.5", "", None),
        ("ollama/ollama:0.5.4.1", "ollama/ollama", "0.5.4.1", "", None),
        ("me/ollama:1.2.3", "me/ollama", "1.2.3", "", None),
        ("notollama/ollama:0.5.4", "notollama/ollama", "0.5.4", "", None),
        ("", "", "", "", None),
    ],
)
def test_what_a_reference_says(text: str, repository: str, tag: str, digest: str, version: Any) -> None:
    image = Image.parse(text)
    assert (*image, image.version) == (repository, tag, digest, version)


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
