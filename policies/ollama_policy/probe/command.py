"""The command `probe`, without the command line."""

from collections.abc import Callable
from typing import NamedTuple

from ollama_policy.checking import CannotLookError, deliver, status_line
from ollama_policy.probe import text
from ollama_policy.probe.account import Account, account
from ollama_policy.probe.leak import Kind
from ollama_policy.probe.probing import Plan, Sample, Watch, probe
from ollama_policy.probe.processes import Processes, UnseenError
from ollama_policy.reaching import answered
from ollama_policy.result import CLEAN, COULD_NOT_LOOK, FINDINGS
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.api import Ollama
from ollama_provider.ollama.names import InvalidNameError, ModelName


class Request(NamedTuple):
    """What `probe` is asked for. `host` is as OLLAMA_HOST; empty is the environment's."""

    model: str
    plan: Plan
    host: str = ""
    form: str = "text"
    output: str | None = None


def run(request: Request, environment: dict[str, str]) -> int:
    """Probes, reports, and gives the exit code: 0 no leak, 1 a leak, 2 it could not be looked at."""
    try:
        name = ModelName.parse(request.model)
        connection = ProviderSettings.read({"host": request.host}, environment).connection(None)
    except (InvalidNameError, InvalidDeclarationError) as error:
        raise CannotLookError(str(error)) from None
    found = probed(connection, name, request.plan)
    deliver(found.as_json() if request.form == "json" else text.render(found), request.output)
    return _exit_code(found)


def probed(connection: Connection, name: ModelName, plan: Plan) -> Account:
    """Probes, showing progress in a terminal. Raises CannotLookError."""
    processes, unseen = None, ""
    try:
        processes = Processes(connection.url)
    except UnseenError as error:
        unseen = str(error)
    samples: list[Sample] = []

    async def work() -> None:
        async with Ollama(connection) as ollama:
            await probe(ollama, name, plan, processes, _watching(samples, plan.calls))

    answered(work(), late=f"{name}: no answer within {plan.call_seconds:g} s")
    return account(str(name), connection.url, samples, unseen)


def _exit_code(found: Account) -> int:
    if found.verdict is None or found.verdict.kind is Kind.UNDECIDED:
        return COULD_NOT_LOOK
    return FINDINGS if found.verdict.kind is Kind.LEAK else CLEAN


def _watching(samples: list[Sample], calls: int) -> Watch:
    show = _progress(calls)

    def watch(sample: Sample) -> None:
        samples.append(sample)
        show(sample)

    return watch


def _progress(calls: int) -> Callable[[Sample], None]:
    say = status_line()
    if say is None:
        return lambda sample: None

    def show(sample: Sample) -> None:
        held = "" if sample.resident is None else f", {sample.resident / 2**20:.1f} MiB resident"
        say("" if sample.phase == "unload" else f"{sample.phase}: {sample.call} of {calls} calls{held}")

    return show
