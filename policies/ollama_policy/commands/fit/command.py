"""The command `fit`, without the command line: a request in, a report out, an exit code back."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from ollama_policy.commands.fit import dry_run
from ollama_policy.commands.fit.text import FORMATS, Judged, Report
from ollama_policy.errors import CannotLookError, UnreadableError
from ollama_policy.formats.writing import place_of
from ollama_policy.live import fleet
from ollama_policy.live.assignment import ServerAssignment
from ollama_policy.live.capacity.needs import missing, models, repeated, wanted
from ollama_policy.live.capacity.observe import Asked, ServerDetails, from_json, look, to_json
from ollama_policy.live.capacity.registries import OfRegistry, ask
from ollama_policy.live.capacity.settings import Given, Sources, faults_of
from ollama_policy.live.capacity.sums import Fit
from ollama_policy.live.connect import connection as reached
from ollama_policy.live.declared import Declared
from ollama_policy.live.options import Request as CheckRequest
from ollama_policy.live.options import options_of
from ollama_policy.live.project import Tree
from ollama_policy.live.snapshot import NoAnswer
from ollama_policy.model.result import CLEAN, COULD_NOT_LOOK, FINDINGS, NOTHING_TO_LOOK_AT
from ollama_policy.model.settings import Kind
from ollama_policy.text.named_files import read_named
from ollama_policy.text.terminal import STDIN, deliver

_SECONDS: Final = 30.0
_REGISTRY_SECONDS: Final = 10.0
_LARGEST_SNAPSHOT: Final = 256 * 2**20


class Request(NamedTuple):
    """What `fit` is asked for; the defaults are those of the command line."""

    paths: Sequence[str] = ()
    hosts: Sequence[str] = ()
    ca_file: str | None = None
    given: Given = Given()
    form: str = "text"
    output: str | None = None
    from_file: str | None = None
    record: str | None = None
    asks_registries: bool = True
    fit_params: str | None = None
    fails_on_growth: bool = False


def run(request: Request) -> int:
    """Looks, sums up, reports: 0 fits, 1 does not, 2 something is not known, 3 nothing is declared.

    What fits, and may outgrow the memory, is 0 with a warning, or 1 where it `fails_on_growth`.

    Raises CannotLookError.
    """
    faults = faults_of(request.given)
    if request.from_file is not None and request.hosts:
        faults.append("--from judges what was recorded: give it, or servers to look at")
    try:
        dry_run.program(request.fit_params)
    except CannotLookError as error:
        faults.append(str(error))
    if faults:
        raise CannotLookError("; ".join(faults))
    report = judged(request)
    if request.record == STDIN and request.output is None:
        sys.stderr.write(FORMATS[request.form](report))
    else:
        deliver(FORMATS[request.form](report), request.output)
    return _exit_code(report, request.fails_on_growth)


def judged(request: Request) -> Report:
    """Looks, records where it is asked to, and sums up. Raises CannotLookError."""
    paths = request.paths or (os.curdir,)
    tree = Tree(paths, options_of(CheckRequest(paths), {}, with_baseline=False))
    readings, declared = tree.readings, tree.declared
    problems = [
        (one.path, one.message + _what_is_taken(one.path))
        for one in (*tree.workspace.problems, *(one.problem for one in readings if one.problem), *declared.problems)
    ]
    given = fleet.given(request.hosts, None, ())
    recorded = [] if request.from_file is None else _recorded(request.from_file)
    if request.from_file is not None:
        given = [_url(one) for one in recorded if _is_given(one)]
    elif not given and any(one.host is None for one in declared.models):
        given = [fleet.by_environment()]
    assignment = ServerAssignment(declared.models, given)
    if request.from_file is not None:
        servers = [one for one in recorded if assignment.by_url.get(_url(one))]
        looked_at = {_url(one) for one in servers}
        problems += [
            (url, "it is not in the snapshot")
            for url, ones in assignment.by_url.items()
            if ones and url not in looked_at
        ]
    else:
        servers = _look(assignment, given, request.ca_file)
    if request.record is not None:
        deliver(to_json(servers), None if request.record == STDIN else request.record)
    problems += [
        (place_of(one.file, one.file.position(one.span.start)), f"{one.address}: {one.reason}")
        for one in (*(one for one in declared.undecided if one.key == "name"), *assignment.undecided)
    ]
    found_of = []
    for server in servers:
        if isinstance(server, NoAnswer):
            problems.append((server.url, server.problem))
        else:
            found_of.append(judged_of(request, tree, server, assignment.by_url[server.seen.url]))
    return Report(found_of, problems)


def judged_of(request: Request, tree: Tree, server: ServerDetails, declared: Sequence[Declared]) -> Judged:
    """Whether what is declared for one server fits there. Asks registries, where the request does, and no server."""
    configured = [subject for reading in tree.readings for subject in reading.subjects if subject.kind is Kind.SERVER]
    url, version = server.seen.url, server.seen.version
    sources = Sources(request.given, configured, tree.options.configuration.target)
    found = sources.read(version, server.is_here, server.variables)
    found.assumed.extend(repeated(declared))
    every = models(declared, server, found, _of_registries(request, declared, server))
    fit = Fit(dry_run.asked(every, found.settings, dry_run.program(request.fit_params)), found.settings)
    return Judged(url, version, fit, found)


def _what_is_taken(path: str) -> str:
    """What a person gives who names what is not there, such as a model."""
    if os.path.lexists(path):
        return ""
    return (
        "; fit takes files and folders that declare models: declare a model, by its name or its GGUF, to have it judged"
    )


def _of_registries(request: Request, declared: Sequence[Declared], server: ServerDetails) -> OfRegistry:
    """A snapshot is judged by what is in it alone."""
    if not request.asks_registries or request.from_file is not None:
        return {}
    names = missing(declared, server)
    return asyncio.run(ask(names, _REGISTRY_SECONDS)) if names else {}


def _exit_code(report: Report, fails_on_growth: bool) -> int:
    if report.problems or any(map(_is_unknown, report.judged)):
        return COULD_NOT_LOOK
    if not report.judged:
        sys.stderr.write("nothing is declared: give PATHS that declare models\n")
        return NOTHING_TO_LOOK_AT
    is_clean = all(one.fit.fits and not (fails_on_growth and one.fit.outgrows) for one in report.judged)
    return CLEAN if is_clean else FINDINGS


def _is_unknown(judged: Judged) -> bool:
    fit = judged.fit
    return bool(fit.unknown) or (fit.settings.capacity is None and not fit.loads_nothing)


def _look(assignment: ServerAssignment, given: Sequence[str], ca_file: str | None) -> list[ServerDetails | NoAnswer]:
    """Asks the servers that anything is declared for."""
    tokens = fleet.Tokens(os.environ)
    if ca_file is not None:
        reached(None, ca_file)  # which says what is wrong with it
    asked = [
        Asked(tokens.connection(url, url in given, ca_file), url in given, wanted(declared))
        for url, declared in assignment.by_url.items()
        if declared
    ]
    fleet.tell_withheld(one.connection for one in asked)
    return asyncio.run(look(asked, _SECONDS))


def _recorded(path: str) -> list[ServerDetails | NoAnswer]:
    try:
        if path == STDIN:
            return from_json(sys.stdin.buffer.read(_LARGEST_SNAPSHOT))
        return from_json(read_named(path, _LARGEST_SNAPSHOT))
    except OSError as error:
        raise CannotLookError(f"cannot read {path}: {error.strerror}") from None
    except UnreadableError as error:
        raise CannotLookError(f"{path}: {error}") from None


def _url(server: ServerDetails | NoAnswer) -> str:
    return server.url if isinstance(server, NoAnswer) else server.seen.url


def _is_given(server: ServerDetails | NoAnswer) -> bool:
    return server.is_given if isinstance(server, NoAnswer) else server.seen.is_given
