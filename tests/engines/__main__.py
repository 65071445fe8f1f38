"""`python -m tests.engines`: find or build the real engines. Progress on stderr, one line a tool on stdout."""

from __future__ import annotations

import sys

from tests.engines.errors import ToolchainError
from tests.engines.toolchain import find_or_build, version_of


def main() -> int:
    try:
        engines = find_or_build(lambda line: print(line, file=sys.stderr, flush=True))
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on from here", file=sys.stderr)
        return 1
    for path, argument in ((engines.ollama, "--version"), (engines.pulumi, "version")):
        version = version_of([str(path), argument])
        print(f"{path.name} {'.'.join(map(str, version or ()))} {path}")
    return 0


sys.exit(main())
