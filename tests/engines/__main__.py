"""`python -m tests.engines`: find or build the real engines. Progress on stderr, one line a tool on stdout."""

from __future__ import annotations

import sys

from tests.engines.bridge import find_or_build_bridge
from tests.engines.chromium import find_or_fetch_chromium
from tests.engines.errors import ToolchainError
from tests.engines.recipes import BRIDGE
from tests.engines.toolchain import find_or_build, find_or_build_opentofu, version_of


def main() -> int:
    try:
        engines = find_or_build(report)
        bridge = find_or_build_bridge(report)
        opentofu = find_or_build_opentofu(report)
        chromium = find_or_fetch_chromium(report)
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 1
    for path, argument in ((engines.ollama, "--version"), (engines.pulumi, "version"), (opentofu, "version")):
        version = version_of([str(path), argument])
        print(f"{path.name} {'.'.join(map(str, version or ()))} {path}")
    print(f"chromium {chromium.program}")
    print(f"{bridge.plugin.name} {BRIDGE.version} {bridge.plugin}")
    return 0


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


sys.exit(main())
