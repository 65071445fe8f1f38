"""OLL301 and OLL302."""

from typing import Any

import pytest

from ollama_policy.model.rule import Target
from ollama_policy.rules.leaking_version import LeakingVersion
from ollama_policy.rules.unpinned_image import UnpinnedImage
from ollama_provider.ollama.leaks import LEAKS
from tests.policies.rules.subjects import UNKNOWN, fixed, judged, places, server, written

SHA = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("version", "wanted", "issues"),
    [
        ("0.6.0", "0.7.1", ["10040", "10688"]),
        ("0.6.5", "0.7.1", ["10040", "10688"]),
        ("0.6.6", "0.7.1", ["10433", "10434", "10688"]),
        ("0.6.8", "0.7.1", ["10433", "10688"]),
        ("0.7.0", "0.7.1", ["10433"]),
    ],
)
def test_leaking_versions(version: str, wanted: str, issues: list[str]) -> None:
    (finding,) = judged(LeakingVersion, [server({"image": f"ollama/ollama:{version}-rocm"})])
    assert written(finding) == f'"ollama/ollama:{version}-rocm"'
    assert sorted(leak.issues for leak in LEAKS if leak.issues in finding.message) == issues
    assert finding.label == f"fixed in {wanted}"
    assert fixed(finding) == f'# ollama\nimage = "ollama/ollama:{wanted}-rocm"\n'
    assert places(LeakingVersion, server({"image": f"ollama/ollama:{wanted}"})) == []


@pytest.mark.parametrize(
    "values",
    [
        {"image": "ollama/ollama:0.5.13"},
        {"image": "ollama/ollama:0.7.1"},
        {"image": "ollama/ollama:0.17.4"},
        {"image": "ollama/ollama:0.32.0"},
        {"version": "0.32.15"},  # no release is known that fixes what MLX's runner keeps
        {"image": "ollama/ollama:latest"},
        {"image": "me/ollama:0.6.5"},
        {"image": UNKNOWN},
        {"version": UNKNOWN},
        {},
    ],
)
def test_versions_that_are_not_known_to_leak(values: dict[str, Any]) -> None:
    assert places(LeakingVersion, server(values)) == []


def test_a_package_and_the_users_version() -> None:
    assert places(LeakingVersion, server({"version": "0.6.5"})) == ['"0.6.5"']
    assert places(LeakingVersion, server({}), target=Target(version=(0, 6, 5))) == ["ollama"]
    assert places(LeakingVersion, server({"version": "0.7.1"}), target=Target(version=(0, 6, 5))) == []


def test_a_digest_is_not_edited() -> None:
    (finding,) = judged(LeakingVersion, [server({"image": f"ollama/ollama:0.6.5@{SHA}"})])
    assert finding.fixes == ()


@pytest.mark.parametrize(
    ("image", "is_found"),
    [
        ("ollama/ollama", True),
        ("ollama/ollama:latest", True),
        ("ghcr.io/ollama/ollama:rocm", True),
        ("ollama/ollama:0.17.4", False),
        ("ollama/ollama:0.17.4-rocm", False),
        (f"ollama/ollama@{SHA}", False),
        (f"ollama/ollama:latest@{SHA}", False),
        ("me/ollama:latest", False),
        ("my-ollama", False),
        (UNKNOWN, False),
    ],
)
def test_unpinned_images(image: Any, is_found: bool) -> None:
    assert places(UnpinnedImage, server({"image": image})) == ([f'"{image}"'] if is_found else [])
