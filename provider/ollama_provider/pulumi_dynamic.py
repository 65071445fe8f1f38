"""The adapter to Pulumi: `OllamaModel`, a dynamic resource over the lifecycle.

A program imports this module only to declare, and pays for no more: all work is in `pulumi_worker`, which only the
provider's process imports. Pulumi pickles the provider object into its state, so it is a bare class.
"""

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pulumi
from pulumi import dynamic
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor

from ollama_provider.ollama.names import ModelName, server_key
from ollama_provider.pulumi_import import NO_IMPORT
from ollama_provider.pulumi_properties import DECLARED_BESIDE, TELLING, TOLD

if TYPE_CHECKING:
    from ollama_provider.pulumi_worker import Worker

Properties = dict[str, Any]

# apply.states.OUTPUTS without the id; a test compares them.
OUTPUTS = (
    "origin digest size family parameter_size quantization_level context_length capabilities pinned drift gguf_file"
).split()


class OllamaModelProvider(dynamic.ResourceProvider):
    """Hands Pulumi's calls to the worker, which exists only in the provider's own process."""

    # There is nothing secret in a class's name, and a secret would make every preview ask for the passphrase.
    serialize_as_secret_always = False
    _worker: "Worker"

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        from ollama_provider.pulumi_worker import Worker  # noqa: PLC0415 - costs 0.1 s to a program that only declares

        self._worker = Worker()
        self._worker.configure(req)

    def check(self, _olds: Properties, news: Properties) -> dynamic.CheckResult:
        return self._worker.check(_olds, news)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.DiffResult:
        return self._worker.diff(_id, _olds, _news)

    def create(self, props: Properties) -> dynamic.CreateResult:
        return self._worker.create(props)

    def update(self, _id: str, _olds: Properties, _news: Properties) -> dynamic.UpdateResult:
        return self._worker.update(_id, _olds, _news)

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        return self._worker.read(id_, props)

    def delete(self, _id: str, _props: Properties) -> None:
        self._worker.delete(_id, _props)


class OllamaModel(dynamic.Resource, module="ollama", name="Model"):
    """A model on an Ollama server, with its memory as part of the desired state.

    Every argument, its default and its bounds are those of `ollama_provider.model.ModelDeclaration`.
    The server is `host`, else the stack's `ollama:host`, else OLLAMA_HOST; `ollama:token` (a secret), `ollama:headers`
    and `ollama:caFile` configure how it is reached. `ollama:memory` is how much memory it has, where it is another
    machine; `ollama:memoryCheck` what a preview makes of a model that will not fit: `warn`, `error` or `off`.
    """

    name: pulumi.Output[str]
    memory_management: pulumi.Output[str | None]
    keep_alive: pulumi.Output[str | None]
    resident: pulumi.Output[bool | None]
    origin: pulumi.Output[str]
    digest: pulumi.Output[str]
    size: pulumi.Output[int]
    family: pulumi.Output[str]
    parameter_size: pulumi.Output[str]
    quantization_level: pulumi.Output[str]
    context_length: pulumi.Output[int]
    capabilities: pulumi.Output[Sequence[str]]
    pinned: pulumi.Output[bool]
    drift: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        memory_management: pulumi.Input[str] | None = None,
        keep_alive: pulumi.Input[str] | None = None,
        resident: pulumi.Input[bool] | None = None,
        digest: pulumi.Input[str] | None = None,
        pull_policy: pulumi.Input[str] | None = None,
        insecure: pulumi.Input[bool] | None = None,
        base: pulumi.Input[str] | None = None,
        gguf: pulumi.Input[str] | None = None,
        parameters: pulumi.Input[Mapping[str, pulumi.Input[Any]]] | None = None,
        system: pulumi.Input[str] | None = None,
        template: pulumi.Input[str] | None = None,
        on_destroy: pulumi.Input[str] | None = None,
        timeouts: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        host: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if opts is not None and opts.import_ is not None:
            raise pulumi.RunError(f'OllamaModel("{resource_name}"): {NO_IMPORT}')
        arguments = locals()
        given = {name: arguments[name] for name in INPUTS}
        pulumi.Output.all(resource_name, name, host).apply(lambda known: _refuse_second(*known))
        # A dynamic resource has the outputs that its properties name from the start.
        super().__init__(OllamaModelProvider(), resource_name, dict.fromkeys(OUTPUTS) | given | _beside(given), opts)


def _beside(given: Mapping[str, Any]) -> dict[str, Any]:
    """The property with all that the program declares: it is worked out when the program's own text has been run."""
    monitor = get_monitor()
    constructed = _constructed.setdefault(monitor, [])
    is_plain = all(isinstance(given[name], str | bool | None) for name in TOLD)
    constructed.append({name: given[name] for name in TOLD if given[name] is not None} if is_plain else {})
    if isinstance(monitor, MockMonitor) or len(constructed) > TELLING:
        return {}

    async def all_of_them() -> list[Properties]:
        return constructed

    return {DECLARED_BESIDE: pulumi.Output.from_input(all_of_them())}


def _refuse_second(resource_name: str, name: Any, host: Any) -> None:
    """Ends a program in which two resources have one model: whichever is removed would take it from the other.

    It is done here, since a provider is not told whose properties it checks. What is wrong with them, it says itself.
    """
    monitor = get_monitor()
    if isinstance(monitor, MockMonitor):
        return  # tests of a program run parts of it, any number of times
    host = host or pulumi.Config("ollama").get("host") or os.environ.get("OLLAMA_HOST", "")
    try:
        key = server_key(host), ModelName.parse(name)
    except ValueError:
        return
    first = _declared.setdefault(monitor, {}).setdefault(key, call := [resource_name])
    if first is not call:
        raise pulumi.RunError(
            f"{resource_name} and {first[0]} both declare {key[1]} on {key[0]}. One model is one resource: whichever "
            "of the two is removed would take it from the other. Remove one of them, or give it another name"
        )


# By run of a program: one process may run many.
_constructed: WeakKeyDictionary[Any, list[Properties]] = WeakKeyDictionary()
_declared: WeakKeyDictionary[Any, dict[tuple[str, ModelName], list[str]]] = WeakKeyDictionary()
INPUTS = tuple(inspect.signature(OllamaModel).parameters)[1:-1]  # model.ModelDeclaration's fields; a test compares
