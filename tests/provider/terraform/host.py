"""What Terraform does to a plugin, without Terraform: calls with their messages as bytes, in one event loop."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import Provider
from ollama_provider.terraform.protocol.schema import Schema
from ollama_provider.terraform.protocol.service import SERVICE, Service
from ollama_provider.terraform.protocol.values import decode, encode


@dataclass
class Details:
    """Which method a call is to, as gRPC asks for its handler."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


class Host:
    """`with Host(provider) as host: host.call("ReadDataSource", type_name=...)`; each answer is a response message."""

    def __init__(self, provider: Callable[[], Provider]) -> None:
        self.service = Service(provider)
        self._runner = asyncio.Runner()
        self._handler = self.service.handler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._runner.run(self.service.close())
        self._runner.close()

    def call(self, name: str, /, **fields: Any) -> Any:
        return self._runner.run(self.answer(name, **fields))

    def calls(self, *calls: tuple[str, Mapping[str, Any]]) -> list[Any]:
        """Many at once, as Terraform does."""

        async def together() -> list[Any]:
            return await asyncio.gather(*(self.answer(name, **fields) for name, fields in calls))

        return self._runner.run(together())

    async def answer(self, name: str, /, **fields: Any) -> Any:
        handler: Any = self._handler.service(Details(f"/{SERVICE}/{name}"))
        request = handler.request_deserializer(getattr(wire, name).Request(**fields).SerializeToString())
        response = handler.response_serializer(await handler.unary_unary(request, None))
        return getattr(wire, name).Response.FromString(response)


def packed(values: Mapping[str, Any] | None, schema: Schema) -> wire.DynamicValue:
    """Values as Terraform sends them: each attribute, null where it is not given."""
    return wire.DynamicValue(msgpack=encode(None if values is None else dict(values), schema.type))


def unpacked(value: wire.DynamicValue, schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = decode(value.msgpack, schema.type)
    return found


def in_json(state: Mapping[str, Any]) -> wire.RawState:
    return wire.RawState(json=json.dumps(state).encode())


def problems(response: Any) -> list[tuple[tuple[str | int, ...], str, str]]:
    """Path, summary and detail of each diagnostic."""
    return [(path_of(one.attribute), one.summary, one.detail) for one in response.diagnostics]


def path_of(path: wire.AttributePath) -> tuple[str | int, ...]:
    return tuple(getattr(step, step.WhichOneof("selector") or "") for step in path.steps)
