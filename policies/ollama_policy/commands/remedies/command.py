"""The command `remedies`, without the command line: a request in, a report out, an exit code back."""

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from ollama_policy.commands.remedies import applying, looking, sources
from ollama_policy.commands.remedies.matrix import matrix
from ollama_policy.commands.remedies.saving import MODEST_CACHE_MIB
from ollama_policy.commands.remedies.text import FORMATS
from ollama_policy.formats.writing import many
from ollama_policy.live.connect import answered
from ollama_policy.live.options import Request as CheckRequest
from ollama_policy.live.options import options_of
from ollama_policy.model.result import CLEAN, FINDINGS
from ollama_policy.text.terminal import deliver
from ollama_provider.ollama.answers import Connection


class Request(NamedTuple):
    """What `remedies` is asked for. Only the files of `apply_to` are written."""

    sources: Sequence[str]
    connection: Connection
    form: str = "text"
    output: str | None = None
    apply_to: Sequence[str] = ()
    cache_mib: int = MODEST_CACHE_MIB


def run(request: Request) -> int:
    """Tells the remedies, and writes what is to be written: 0 none is recommended, 1 some are. Raises CannotLookError.

    What is told is what remains once they are written; the diff tells what was.
    """
    paths = request.sources or request.apply_to
    options = options_of(CheckRequest(paths or (os.curdir,)), {}, with_baseline=False)
    read = sources.read(paths, options, request.connection.url)
    server = answered(looking.look(request.connection, read.intent))
    fixed = applying.planned(request.apply_to, options) if request.apply_to else None
    if fixed is not None:
        applying.apply(fixed)
        sys.stderr.write(f"fixed {fixed.count} in {many(len(fixed.after), 'file')}\n")
        read = sources.read(paths, options, request.connection.url)
    remedies = matrix(server, read.declared, request.cache_mib)
    deliver(FORMATS[request.form](server, remedies, None if fixed is None else fixed.diff()), request.output)
    return FINDINGS if any(one.is_recommended for one in remedies) else CLEAN
