"""The command `probe`, without the command line."""

import sys
from typing import Final, NamedTuple

from ollama_policy.commands.probe import text
from ollama_policy.commands.probe.account import Account, Lost, Sight, account
from ollama_policy.commands.probe.growth import Cause
from ollama_policy.commands.probe.leak import Kind
from ollama_policy.commands.probe.probing import Called, Plan, Sample, Watch, num_ctx_of, probe, steps
from ollama_policy.live.connect import answered, installed_one, named_connection, named_model
from ollama_policy.live.restore import dry_run, promise
from ollama_policy.live.runners.abandoned import abandoned_runners
from ollama_policy.live.runners.eviction import require_no_eviction
from ollama_policy.live.runners.processes import Processes, UnseenError, of_server
from ollama_policy.live.runners.same_weights import holder
from ollama_policy.model.result import CLEAN, COULD_NOT_LOOK, FINDINGS
from ollama_policy.text.escaping import shown
from ollama_policy.text.terminal import deliver, status_line
from ollama_provider.ollama.answers import Connection, Running, RunningModel
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import ModelName

EVERY_SECONDS: Final = 15.0  # a line of progress, where no person looks at it as it goes
GROWTH: Final = "growth"  # what `--fail-on` takes beside Kind.LEAK


class Request(NamedTuple):
    """What `probe` is asked for. `host` is as OLLAMA_HOST; None is the environment's."""

    model: str
    plan: Plan
    host: str | None = None
    ca_file: str | None = None
    form: str = "text"
    output: str | None = None
    is_dry: bool = False
    fails_on: str = Kind.LEAK  # or "growth", a bounded one too


def run(request: Request) -> int:
    """Probes, reports, and gives the exit code: 0 no leak, 1 what it fails on, 2 it could not be looked at."""
    name = named_model(request.model)
    reached = named_connection(request.host, request.ca_file, f"{name} is loaded and called")
    if request.is_dry:
        deliver(planned(reached, name, request.plan), request.output)
        return CLEAN
    found = probed(reached, name, request.plan)
    deliver(found.as_json() if request.form == "json" else text.render(found), request.output)
    return exit_code(found, fails_on=request.fails_on)


def planned(connection: Connection, name: ModelName, plan: Plan) -> str:
    """What `probed` would do to a server, which is only read. Raises CannotLookError."""

    async def look() -> tuple[Running, RunningModel | None]:
        async with Ollama(connection) as ollama:
            await ollama.supported_version()
            await installed_one(ollama, name)
            running = await ollama.running()
            held = await holder(ollama, name, running)
            require_no_eviction(ollama.url, name, running, held)
            return running, held

    before, held = answered(look())
    called = name if held is None else held.name
    doing = steps(called, plan, is_in_memory=held is not None, num_ctx=num_ctx_of(before, called))
    if called != name:
        doing.insert(0, text.by_name(str(name), str(called)))
    _, unseen = _processes_of(connection)
    if unseen:
        doing.append(f"watch /api/ps alone: {unseen}")
    return dry_run(connection.url, doing, promise(before, called, sets_timers=False))


def probed(connection: Connection, name: ModelName, plan: Plan) -> Account:
    """Probes, showing progress. Raises CannotLookError."""
    samples: list[Sample] = []

    async def work() -> tuple[Called, Sight]:
        async with Ollama(connection) as ollama:
            await ollama.supported_version()  # of a server that is not there, processes say nothing
            processes, sight = _sight(connection)
            watch = _watching(samples, plan.calls)
            called = await probe(
                ollama, name, plan, processes, watch, lambda: _say_cut_off(samples, plan.calls, connection.url)
            )
            return called, sight

    called, sight = answered(work(), late=f"{name} at {connection.url}: no answer within {plan.call_seconds:g} s")
    return account(str(name), connection.url, called, sight, samples)


def _sight(connection: Connection) -> tuple[Processes | None, Sight]:
    """What is seen of a server that has answered, and a note where that is little."""
    processes, unseen = _processes_of(connection)
    if processes is None:
        sys.stderr.write(f"note: only /api/ps is watched: {shown(unseen)}\n")
        return None, Sight(unseen=unseen)
    lost = (Lost(one.pid, one.path, one.resident) for one in of_server(connection.url, abandoned_runners()))
    return processes, Sight(processes.counts, lost=tuple(lost))


def _processes_of(connection: Connection) -> tuple[Processes | None, str]:
    """The processes that the server's memory is read of, or why they cannot be read."""
    try:
        return Processes(connection.url), ""
    except UnseenError as error:
        return None, str(error)


def exit_code(found: Account, *, fails_on: str = Kind.LEAK) -> int:
    """What a verdict comes to. A warm-up alone fails nothing: every runner has one."""
    grows = fails_on == GROWTH and any(one.cause is not Cause.WARM_UP for one in found.growth)
    if found.kind is Kind.LEAK or grows:
        return FINDINGS
    return COULD_NOT_LOOK if found.kind in (None, Kind.UNDECIDED) else CLEAN


def _watching(samples: list[Sample], calls: int) -> Watch:
    show = _progress(calls)

    def watch(sample: Sample) -> None:
        samples.append(sample)
        show(sample)

    return watch


def _progress(calls: int) -> Watch:
    """Shows each sample over the last one in a terminal; elsewhere, such as in a CI job's log, a line now and then."""
    say = status_line()
    if say is not None:
        return lambda sample: say("" if sample.phase == "unload" else _told(sample, calls))
    said_at = 0.0

    def show(sample: Sample) -> None:
        nonlocal said_at
        if sample.seconds - said_at >= EVERY_SECONDS:
            said_at = sample.seconds
            sys.stderr.write(f"{_told(sample, calls)}\n")
            sys.stderr.flush()

    return show


def _told(sample: Sample, calls: int) -> str:
    held = "" if sample.held is None else f", {text.mib(sample.held)} held"
    return f"{sample.phase}: {sample.call} of {calls} calls{held}"


def _say_cut_off(samples: list[Sample], calls: int, url: str) -> None:
    if (say := status_line()) is not None:
        say("")
    done = f"{_told(samples[-1], calls)}, " if samples else ""
    sys.stderr.write(f"cut off: {done}nothing is decided; {url} is left as it was found\n")
    sys.stderr.flush()
