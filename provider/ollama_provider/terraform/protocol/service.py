"""Terraform's calls, answered by a Provider. No exception leaves a call: every one becomes a diagnostic."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

import grpc

from ollama_provider.ollama.runner_commands import without_runner_commands
from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import (
    DataSource,
    Diagnostic,
    DiagnosticsError,
    Function,
    FunctionArgumentError,
    Path,
    Plan,
    Provider,
    Resource,
    Values,
)
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.values import (
    NotATerraformValueError,
    Type,
    decode,
    encode,
    from_json,
)

T = TypeVar("T")
SERVICE = "tfplugin6.Provider"
_CAPABILITIES = wire.ServerCapabilities(plan_destroy=True, get_provider_schema_optional=True, move_resource_state=True)
_log = logging.getLogger(__name__)


class Service:
    """One plugin process's answers. Belongs to one event loop, in which many calls run at once."""

    def __init__(self, make_provider: Callable[[], Provider]) -> None:
        self._make_provider = make_provider
        self._stopping = False
        self._under_way: set[asyncio.Task[Any]] = set()

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server is given."""
        calls: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
            "GetMetadata": self._get_metadata,
            "GetProviderSchema": self._get_provider_schema,
            "ValidateProviderConfig": self._validate_provider_config,
            "ValidateResourceConfig": self._validate_resource_config,
            "ValidateDataResourceConfig": self._validate_data_resource_config,
            "UpgradeResourceState": self._upgrade_resource_state,
            "ConfigureProvider": self._configure_provider,
            "ReadResource": self._read_resource,
            "PlanResourceChange": self._plan_resource_change,
            "ApplyResourceChange": self._apply_resource_change,
            "ImportResourceState": self._import_resource_state,
            "MoveResourceState": self._move_resource_state,
            "ReadDataSource": self._read_data_source,
            "GetFunctions": self._get_functions,
            "CallFunction": self._call_function,
            "StopProvider": self._stop_provider,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                _never_raising(name, call, getattr(wire, name).Response),
                request_deserializer=getattr(wire, name).Request.FromString,
                response_serializer=getattr(wire, name).Response.SerializeToString,
            )
            for name, call in calls.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def close(self) -> None:
        if "_provider" in vars(self):
            await self._provider.close()

    @cached_property
    def _provider(self) -> Provider:
        return self._make_provider()  # by the first call: what it imports need not hold the handshake up

    @cached_property
    def _resources(self) -> dict[str, Resource]:
        return {resource.name: resource for resource in self._provider.resources}

    @cached_property
    def _data_sources(self) -> dict[str, DataSource]:
        return {source.name: source for source in self._provider.data_sources}

    @cached_property
    def _functions(self) -> dict[str, Function]:
        return {function.name: function for function in self._provider.functions}

    async def _get_metadata(self, _request: wire.GetMetadata.Request) -> wire.GetMetadata.Response:
        return wire.GetMetadata.Response(
            server_capabilities=_CAPABILITIES,
            resources=[wire.GetMetadata.Type(type_name=name) for name in self._resources],
            data_sources=[wire.GetMetadata.Type(type_name=name) for name in self._data_sources],
            functions=[wire.GetMetadata.Function(name=name) for name in self._functions],
        )

    async def _get_provider_schema(self, _request: wire.GetProviderSchema.Request) -> wire.GetProviderSchema.Response:
        return wire.GetProviderSchema.Response(
            provider=self._provider.schema.to_wire(),
            resource_schemas={name: resource.schema.to_wire() for name, resource in self._resources.items()},
            data_source_schemas={name: source.schema.to_wire() for name, source in self._data_sources.items()},
            functions={name: _function(function) for name, function in self._functions.items()},
            server_capabilities=_CAPABILITIES,
        )

    async def _validate_provider_config(
        self, request: wire.ValidateProviderConfig.Request
    ) -> wire.ValidateProviderConfig.Response:
        config = _read(request.config, self._provider.schema)
        return wire.ValidateProviderConfig.Response(diagnostics=_diagnostics(self._provider.validate(config)))

    async def _validate_resource_config(
        self, request: wire.ValidateResourceConfig.Request
    ) -> wire.ValidateResourceConfig.Response:
        resource = self._resource(request.type_name)
        problems = resource.validate(_read(request.config, resource.schema))
        return wire.ValidateResourceConfig.Response(diagnostics=_diagnostics(problems))

    async def _validate_data_resource_config(
        self, request: wire.ValidateDataResourceConfig.Request
    ) -> wire.ValidateDataResourceConfig.Response:
        source = self._data_source(request.type_name)
        problems = source.validate(_read(request.config, source.schema))
        return wire.ValidateDataResourceConfig.Response(diagnostics=_diagnostics(problems))

    async def _upgrade_resource_state(
        self, request: wire.UpgradeResourceState.Request
    ) -> wire.UpgradeResourceState.Response:
        resource = self._resource(request.type_name)
        if request.version > resource.schema.version:
            summary = "The state was written by a newer version of this provider"
            detail = (
                f"Its schema has version {request.version}, and this provider knows {resource.schema.version}: "
                "update ollama-iac."
            )
            raise DiagnosticsError(Diagnostic(summary, detail))
        state = _state_in(request.raw_state, request.type_name)
        upgraded = _state_of(resource.upgrade(request.version, state), resource, request.type_name)
        return wire.UpgradeResourceState.Response(upgraded_state=upgraded)

    async def _configure_provider(self, request: wire.ConfigureProvider.Request) -> wire.ConfigureProvider.Response:
        self._provider.configure(_read(request.config, self._provider.schema))
        return wire.ConfigureProvider.Response()

    async def _read_resource(self, request: wire.ReadResource.Request) -> wire.ReadResource.Response:
        resource = self._resource(request.type_name)
        state, private = _read(request.current_state, resource.schema), _read_private(request.private)
        result = await self._stoppable(resource.read(state, private))
        return wire.ReadResource.Response(
            new_state=_write(result.state, resource.schema),
            private=_write_private(result.private),
            diagnostics=_diagnostics(result.diagnostics),
        )

    async def _plan_resource_change(self, request: wire.PlanResourceChange.Request) -> wire.PlanResourceChange.Response:
        resource = self._resource(request.type_name)
        prior, config = _read(request.prior_state, resource.schema), _read(request.config, resource.schema)
        private = _read_private(request.prior_private)
        if _read(request.proposed_new_state, resource.schema) is None:
            plan = await self._stoppable(resource.plan_destroy(prior, private)) if prior else Plan(None)
        else:
            plan = await self._stoppable(resource.plan(prior, config, private))
        return wire.PlanResourceChange.Response(
            planned_state=_write(plan.state, resource.schema),
            requires_replace=[_path(path) for path in plan.replaces],
            planned_private=_write_private(plan.private),
            diagnostics=_diagnostics(plan.diagnostics),
        )

    async def _apply_resource_change(
        self, request: wire.ApplyResourceChange.Request
    ) -> wire.ApplyResourceChange.Response:
        resource = self._resource(request.type_name)
        prior, planned = _read(request.prior_state, resource.schema), _read(request.planned_state, resource.schema)
        config, private = _read(request.config, resource.schema), _read_private(request.planned_private)
        try:
            if planned is None:
                warnings = await self._stoppable(resource.delete(prior, private))
                return wire.ApplyResourceChange.Response(
                    new_state=_write(None, resource.schema), diagnostics=_diagnostics(warnings)
                )
            if prior is None:
                result = await self._stoppable(resource.create(planned, config))
            else:
                result = await self._stoppable(resource.update(prior, planned, config, private))
        except DiagnosticsError as error:
            # What was there before is what Terraform is to keep.
            return wire.ApplyResourceChange.Response(
                new_state=request.prior_state,
                private=request.planned_private,
                diagnostics=_diagnostics(error.diagnostics),
            )
        return wire.ApplyResourceChange.Response(
            new_state=_write(result.state, resource.schema),
            private=_write_private(result.private),
            diagnostics=_diagnostics(result.diagnostics),
        )

    async def _import_resource_state(
        self, request: wire.ImportResourceState.Request
    ) -> wire.ImportResourceState.Response:
        resource = self._resource(request.type_name)
        state = await self._stoppable(resource.adopt(request.id))
        imported = wire.ImportResourceState.ImportedResource(
            type_name=request.type_name, state=_write(state, resource.schema)
        )
        return wire.ImportResourceState.Response(imported_resources=[imported])

    async def _move_resource_state(self, request: wire.MoveResourceState.Request) -> wire.MoveResourceState.Response:
        resource = self._resource(request.target_type_name)
        state = resource.take_over(request.source_type_name, _state_in(request.source_state, request.source_type_name))
        if state is None:
            summary = f"A {request.source_type_name} cannot become a {request.target_type_name}"
            raise DiagnosticsError(Diagnostic(summary, f"It comes from {request.source_provider_address}."))
        return wire.MoveResourceState.Response(target_state=_state_of(state, resource, request.source_type_name))

    async def _read_data_source(self, request: wire.ReadDataSource.Request) -> wire.ReadDataSource.Response:
        source = self._data_source(request.type_name)
        state = await self._stoppable(source.read(_read(request.config, source.schema)))
        return wire.ReadDataSource.Response(state=_write(state, source.schema))

    async def _get_functions(self, _request: wire.GetFunctions.Request) -> wire.GetFunctions.Response:
        return wire.GetFunctions.Response(
            functions={name: _function(function) for name, function in self._functions.items()}
        )

    async def _call_function(self, request: wire.CallFunction.Request) -> wire.CallFunction.Response:
        function = self._functions[request.name]
        parameters = zip(request.arguments, function.parameters, strict=True)
        arguments = [_decode(argument, parameter.type) for argument, parameter in parameters]
        try:
            result = function.call(*arguments)
        except FunctionArgumentError as error:
            text = without_runner_commands(str(error))
            problem = wire.FunctionError(text=text, function_argument=error.argument)
            return wire.CallFunction.Response(error=problem)
        return wire.CallFunction.Response(result=wire.DynamicValue(msgpack=encode(result, function.returns)))

    async def _stop_provider(self, _request: wire.StopProvider.Request) -> wire.StopProvider.Response:
        self._stopping = True
        for task in self._under_way:
            task.cancel()
        return wire.StopProvider.Response()

    async def _stoppable(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; where Terraform asks to stop meanwhile, the work is cancelled and may still tidy up."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            summary = "Stopped on request; the next apply goes on from here"
            raise DiagnosticsError(Diagnostic(summary)) from None
        finally:
            self._under_way.discard(task)

    def _resource(self, name: str) -> Resource:
        return self._resources[name]

    def _data_source(self, name: str) -> DataSource:
        return self._data_sources[name]


def _never_raising(
    name: str, call: Callable[[Any], Coroutine[Any, Any, Any]], response: Callable[..., Any]
) -> Callable[[Any, Any], Awaitable[Any]]:
    """Turns what a call raises into the diagnostics, or the function's error, that its response can carry."""

    def answer(*diagnostics: Diagnostic) -> Any:
        fields = response.DESCRIPTOR.fields_by_name  # type: ignore[attr-defined]
        text = "\n".join(filter(None, (part for each in diagnostics for part in (each.summary, each.detail))))
        if "diagnostics" in fields:
            return response(diagnostics=_diagnostics(diagnostics))
        if "error" in fields:
            return response(error=wire.FunctionError(text=without_runner_commands(text)))
        return response(Error=text)

    async def guarded(request: Any, _context: Any) -> Any:
        try:
            return await call(request)
        except DiagnosticsError as error:
            return answer(*error.diagnostics)
        except Exception as error:  # noqa: BLE001 - a traceback helps no user, and the log has it
            _log.exception("%s failed", name)
            summary = f"This is a defect of ollama-iac: {type(error).__name__} in {name}"
            detail = f"{error}\n\nPlease report it with what TF_LOG=debug shows. Nothing else was done by this call."
            return answer(Diagnostic(summary, detail))

    return guarded


def _json(data: bytes) -> Any:
    return json.loads(data, parse_float=Decimal)  # a float would be another number: Terraform's have 512 bits


def _state_in(raw: wire.RawState, of: str) -> dict[str, Any]:
    try:
        state = _json(raw.json)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _unreadable(of, f"It is not JSON: {error}.") from None
    if not isinstance(state, dict):
        raise _unreadable(of, "Expected an object with the resource's attributes.")
    return state


def _state_of(state: Mapping[str, Any], resource: Resource, of: str) -> wire.DynamicValue:
    try:
        return _write(from_json(state, resource.schema.type), resource.schema)
    except NotATerraformValueError as error:
        raise _unreadable(of, f"In it, {error}.") from None


def _unreadable(of: str, fault: str) -> DiagnosticsError:
    cure = "Restore the state from a backup, or remove the resource from the state and import it."
    return DiagnosticsError(Diagnostic(f"The state of a {of} cannot be read", f"{fault} {cure}"))


def _decode(value: wire.DynamicValue, type_: Type) -> Any:
    if value.msgpack:
        return decode(value.msgpack, type_)
    return from_json(_json(value.json), type_) if value.json else None


def _read(value: wire.DynamicValue, schema: Schema) -> Any:
    return _decode(value, schema.type)


def _write(value: Values | None, schema: Schema) -> wire.DynamicValue:
    return wire.DynamicValue(msgpack=encode(value, schema.type))


def _read_private(data: bytes) -> dict[str, Any]:
    private = json.loads(data) if data else {}
    return private if isinstance(private, dict) else {}


def _write_private(private: dict[str, Any]) -> bytes:
    return json.dumps(private).encode() if private else b""


def _diagnostics(diagnostics: Sequence[Diagnostic]) -> list[wire.Diagnostic]:
    severity = wire.Diagnostic.Severity
    return [
        wire.Diagnostic(
            severity=severity.WARNING if diagnostic.is_warning else severity.ERROR,
            summary=without_runner_commands(diagnostic.summary),
            detail=without_runner_commands(diagnostic.detail),
            attribute=_path(diagnostic.path) if diagnostic.path else None,
        )
        for diagnostic in diagnostics
    ]


def _path(path: Path) -> wire.AttributePath:
    # The first step names an attribute, and so do those inside of a block; all further ones are keys of a value.
    return wire.AttributePath(steps=[_step(step) for step in path])


def _step(step: str | int) -> wire.AttributePath.Step:
    if isinstance(step, int):
        return wire.AttributePath.Step(element_key_int=step)
    return wire.AttributePath.Step(attribute_name=step)


def _function(function: Function) -> wire.Function:
    returns: dict[str, Any] = {"return": wire.Function.Return(type=json.dumps(function.returns).encode())}
    return wire.Function(
        summary=function.summary,
        description=function.description,
        description_kind=wire.MARKDOWN,
        parameters=[
            wire.Function.Parameter(
                name=parameter.name,
                type=json.dumps(parameter.type).encode(),
                description=parameter.description,
                description_kind=wire.MARKDOWN,
                allow_null_value=parameter.allows_null,
            )
            for parameter in function.parameters
        ],
        **returns,
    )
