"""Pulumi's bridge, which makes a Terraform provider a Pulumi one, with ours behind it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.engines.pulumi_stack import PulumiStack
from tests.engines.recipes import BRIDGE, PULUMI_YAML
from tests.engines.toolchain import built

BASE = f"terraform-provider@{BRIDGE.version}"


@dataclass(frozen=True)
class Bridge:
    """The bridge's plugin, and the folder of the language host that runs Pulumi programs in YAML."""

    plugin: Path
    yaml_host: Path

    def path(self) -> str:
        """The caller's PATH, with the language host on it."""
        return os.pathsep.join([str(self.yaml_host), os.environ.get("PATH", os.defpath)])

    def install_in(self, stack: PulumiStack) -> None:
        stack.run("plugin", "install", "resource", "terraform-provider", BRIDGE.version, "--file", str(self.plugin))


def find_or_build_bridge(report: Callable[[str], None]) -> Bridge:
    """Both parts from the cache; `report` gets a line at least every 5 s while one is built. Raises ToolchainError."""
    return Bridge(
        built(BRIDGE, report) / BRIDGE.builds[0].binary,
        built(PULUMI_YAML, report),
    )
