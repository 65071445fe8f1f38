"""The console script: `ollama-policy`, and `python -m ollama_policy`.

`ollama-policy check PATHS` needs no parser of options, and starts in two thirds of the time without one.
"""

import os
import sys
from typing import NoReturn, TextIO, cast

_INTERRUPTED = 130
_CLOSED = 141  # as a shell has it for what SIGPIPE ended


def main() -> NoReturn:
    """Runs the command that the process was given, and ends it."""
    from ollama_policy.errors import OutputClosedError  # noqa: PLC0415 - see above
    from ollama_policy.text.streams import Harmless  # noqa: PLC0415 - see above

    sys.stdout, sys.stderr = cast(TextIO, Harmless(sys.stdout)), cast(TextIO, Harmless(sys.stderr))
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except OutputClosedError:
        code = _CLOSED
    except OSError as error:  # such as a full disk under standard output
        os.write(2, f"Error: cannot write the report: {error.strerror}\n".encode())
        code = 2
    os._exit(code)  # nothing is left to do, and to take a run apart piece by piece costs 8 ms, or 20 for a large one


def _run(arguments: list[str]) -> int:
    if (
        arguments[:1] != ["check"]
        or any(one.startswith("-") for one in arguments)
        or "_OLLAMA_POLICY_COMPLETE" in os.environ
    ):
        from ollama_policy.cli import run_click  # noqa: PLC0415 - see above

        return run_click()
    from ollama_policy.commands.check.command import run  # noqa: PLC0415
    from ollama_policy.errors import CannotLookError  # noqa: PLC0415
    from ollama_policy.live.options import Request  # noqa: PLC0415

    try:
        return run(Request(arguments[1:]))
    except CannotLookError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2


if __name__ == "__main__":
    main()
