"""The command `report`, without the command line: looks, measures where it is asked to, and writes one file."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from ollama_policy.commands.drift.judge import judge, orphans
from ollama_policy.commands.drift.session import Request as DriftRequest
from ollama_policy.commands.drift.session import Session
from ollama_policy.commands.fit.command import Request as FitRequest
from ollama_policy.commands.fit.command import judged_of
from ollama_policy.commands.fit.text import Judged
from ollama_policy.commands.probe.account import Account
from ollama_policy.commands.probe.command import exit_code, planned, probed
from ollama_policy.commands.probe.probing import Plan
from ollama_policy.commands.remedies import facts
from ollama_policy.commands.remedies import looking as remedy_looking
from ollama_policy.commands.remedies import sources as remedy_sources
from ollama_policy.commands.remedies.matrix import matrix
from ollama_policy.commands.report import benching, markdown, page, probe_file
from ollama_policy.commands.report.contents import Contents
from ollama_policy.commands.report.pictures import memory, svg
from ollama_policy.errors import CannotLookError, UnreadableError
from ollama_policy.formats.writing import tool_version
from ollama_policy.live.capacity.needs import wanted
from ollama_policy.live.capacity.observe import ServerDetails
from ollama_policy.live.connect import connection, named_connection, named_model
from ollama_policy.live.observe import Asked, look
from ollama_policy.live.options import Request as CheckRequest
from ollama_policy.live.options import options_of
from ollama_policy.live.project import Tree
from ollama_policy.live.runners.processes import variables_of
from ollama_policy.live.snapshot import NoAnswer, Server, ServerState
from ollama_policy.model.result import CLEAN, COULD_NOT_LOOK, FINDINGS, Reported, Result, Unreadable
from ollama_policy.model.rule import Severity
from ollama_policy.pipeline.check import judged
from ollama_policy.text.escaping import shown
from ollama_policy.text.named_files import read_named
from ollama_policy.text.terminal import STDIN, deliver
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.errors import OllamaError
from ollama_provider.ollama.http.proxies import is_loopback
from ollama_provider.ollama.names import ModelName

_LOOK_SECONDS = 10.0
_LARGEST_PROBE = 256 * 2**20
_Read = TypeVar("_Read")


class Request(NamedTuple):
    """What `report` is asked for. `host` is as OLLAMA_HOST; None is the environment's."""

    sources: Sequence[str] = ()
    host: str | None = None
    ca_file: str | None = None
    model: str | None = None
    plan: Plan = Plan()
    from_file: str | None = None
    bench_file: str | None = None
    form: str = "html"
    output: str | None = None
    is_dry: bool = False


def run(request: Request, now: datetime | None = None) -> int:
    """Writes the report, and gives the exit code: 0 nothing found, 1 something, 2 something could not be looked at.

    A server is looked at before it is called, so that it is shown as it was found. One that only a probe's file names
    is not looked at: a file sends nobody anywhere. Raises CannotLookError.
    """
    if request.model is not None and request.from_file is not None:
        raise CannotLookError("--model measures and --from reads what was measured: give one of them")
    if request.form == "svg" and request.model is None and request.from_file is None:
        raise CannotLookError("--format svg draws memory over time: give --model, or --from")
    name = None if request.model is None else named_model(request.model, "--model")
    reached = _reached(request, name)
    if request.is_dry:
        only_reads = "this would only read: without --model nothing is asked of a server\n"
        text = only_reads if name is None or reached is None else planned(reached, name, request.plan)
        deliver(text, request.output)
        return CLEAN
    account = None if request.from_file is None else _read(request.from_file, probe_file.read)
    compared = None if request.bench_file is None else _read(request.bench_file, benching.read)
    read = _read_tree(request)
    moment = None if reached is None else _moment(reached, read)
    evicted: tuple[str, ...] = ()
    if reached is not None and name is not None and moment is not None and isinstance(moment.server, ServerState):
        account = probed(reached, name, request.plan)
        evicted = _gone(moment.server, _look(reached), name)
    contents = _contents(account, moment, read, now or datetime.now(UTC))
    contents = contents._replace(evicted=evicted, bench=compared)
    deliver(_rendered(request.form, contents), request.output)
    for one in contents.unreadable:
        sys.stderr.write(f"{shown(one.path)} unreadable: {shown(one.message)}\n")
    code = _exit_code(contents)
    if request.output is not None and code != CLEAN and not contents.unreadable:
        sys.stderr.write(shown(f"{request.output}: {' '.join(contents.summary)}") + "\n")
    return code


def _reached(request: Request, called: ModelName | None) -> Connection | None:
    if called is not None:
        return named_connection(request.host, request.ca_file, f"--model {called} is loaded and called")
    is_asked = request.from_file is None or request.host is not None
    return connection(request.host, request.ca_file) if is_asked else None


def _read(path: str, read: Callable[[bytes], _Read]) -> _Read:
    try:
        if path == STDIN:
            return read(sys.stdin.buffer.read(_LARGEST_PROBE))
        return read(read_named(path, _LARGEST_PROBE))
    except OSError as error:
        raise CannotLookError(f"cannot read {path}: {error.strerror}") from None
    except UnreadableError as error:
        raise CannotLookError(f"{path}: {error}") from None


def _look(reached: Connection) -> Server:
    [server] = look(
        [Asked(reached, is_given=True)], _LOOK_SECONDS, lambda seen: [(one.name, one.digest) for one in orphans(seen)]
    )
    return server


def _gone(before: ServerState, after: Server, called: ModelName) -> tuple[str, ...]:
    """The models that left memory meanwhile, but for the one that was called."""
    if isinstance(after, NoAnswer):
        return ()
    still = {(one.name, one.digest) for one in after.running.models}
    gone = (one.name for one in before.running.models if (one.name, one.digest) not in still and one.name != called)
    return tuple(map(str, gone))


def _read_tree(request: Request) -> tuple[Tree, Result] | None:
    """The sources, read once for all that is said of them."""
    if not request.sources:
        return None
    tree = Tree(request.sources, options_of(CheckRequest(request.sources), {}, with_baseline=False))
    return tree, judged(tree.workspace, tree.readings, tree.options)


class _Moment(NamedTuple):
    """What a server said once, and what of it belongs to that: `beside` is None where it could not be asked."""

    server: Server
    beside: facts.Server | None = None
    sources: remedy_sources.Sources = remedy_sources.Sources()


def _moment(reached: Connection, read: tuple[Tree, Result] | None) -> _Moment:
    server = _look(reached)
    if isinstance(server, NoAnswer):
        return _Moment(server)
    found = remedy_sources.Sources() if read is None else remedy_sources.of_tree(*read, server.url)
    asking = remedy_looking.beside(reached, server, found.intent, wanted(found.declared.models))
    try:
        return _Moment(server, asyncio.run(asking), found)
    except OllamaError as error:
        return _Moment(NoAnswer(server.url, server.is_given, error.words))


def _contents(
    account: Account | None, moment: _Moment | None, read: tuple[Tree, Result] | None, now: datetime
) -> Contents:
    contents = Contents(now, tool_version(), account, None if moment is None else moment.server)
    if read is not None:
        tree, result = read
        problems = [*result.unreadable]
        if not result.searched and not problems:
            problems.append(Unreadable(" ".join(tree.paths), "there is no file to check"))
        contents = contents._replace(findings=result.findings, unreadable=problems)
    if moment is None:
        return contents
    if isinstance(moment.server, NoAnswer):
        problem = Unreadable(moment.server.url, moment.server.problem, is_file=False)
        return contents._replace(unreadable=[*contents.unreadable, problem])
    recommended = () if moment.beside is None else matrix(moment.beside, moment.sources.declared)
    return contents._replace(
        drift=_drift(read, moment.server),
        fit=_fit(read, moment, moment.server),
        recommended=tuple(one for one in recommended if one.is_recommended),
    )


def _fit(read: tuple[Tree, Result] | None, moment: _Moment, server: ServerState) -> Judged | None:
    """Of what the sources declare for this server, as it is found."""
    declared = moment.sources.declared.models
    if read is None or moment.beside is None or not declared:
        return None
    is_here = is_loopback(server.url)
    looked = ServerDetails(server, moment.beside.details, is_here, variables_of(server.url) if is_here else None)
    found = judged_of(FitRequest(asks_registries=False), read[0], looked, declared)
    return found if found.fit.needs or found.fit.unknown else None


def _drift(read: tuple[Tree, Result] | None, server: ServerState) -> list[Reported]:
    if read is not None:
        return Session(DriftRequest(hosts=(server.url,)), tree=read[0]).judged([server]).findings
    found = judge(server, (), (), is_complete=False)
    return [Reported(one, one.severity or one.rule.severity) for one in found]


def _rendered(form: str, contents: Contents) -> str:
    if form == "markdown":
        return markdown.render(contents)
    if form == "html":
        return page.render(contents)
    if contents.account is None:
        raise CannotLookError("; ".join(contents.summary))
    return svg.alone(memory.picture(contents.account))


def _exit_code(contents: Contents) -> int:
    probed_code = CLEAN if contents.account is None else exit_code(contents.account)
    if contents.unreadable or probed_code == COULD_NOT_LOOK:
        return COULD_NOT_LOOK
    found = any(one.severity is not Severity.INFO for one in (*(contents.findings or ()), *contents.drift))
    return FINDINGS if found else probed_code
