"""Messages to the Terraform service that were changed: each gets an answer, and no exception leaves a call.

A message that holds values of its schema, whatever they are, is never a defect. One whose bytes were changed may be: no
Terraform sends it, and it is answered all the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
from random import Random
from typing import Any

from google.protobuf.message import DecodeError

from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire
from ollama_provider.terraform.protocol.provider import Provider, Values
from ollama_provider.terraform.protocol.service import SERVICE, Service
from ollama_provider.terraform.protocol.values import UNKNOWN, Type, encode
from ollama_provider.terraform.provider import OllamaProvider
from tests.policies.fuzz.mutations import mutated
from tests.provider.fuzz.fuzzing import BrokenError, changed
from tests.provider.terraform.host import Details

_NOBODY = "http://127.0.0.1:1"  # where nothing listens: what a call would ask, it fails to ask
_TEXTS = (
    "", "a", "llama3", "llama3:latest", "automatic", "manual", "5m", "-1", "0", "1h30m", "h", "missing", "always",
    "delete", "unload", "warn", "off", "2MiB", _NOBODY, "localhost", "http://[::1", "x" * 3000, "é🦙", "\x00", "${x}",
    "\n::error::x", "sha256:" + "ab" * 32, "/etc/passwd", "../x.gguf", "FROM x", "num_ctx", "8k",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 5, 8192, 2**31, 2**63, -(2**63), 10**40, 0.5, -1.5, 1e300)
_CONFIG = {"name": "llama3", "memory_management": "automatic"}
_STATE = {
    "name": "llama3",
    "id": "llama3:latest",
    "memory_management": "automatic",
    "pull_policy": "missing",
    "insecure": False,
    "origin": "pulled",
    "digest": "ab" * 32,
    "size": 5,
    "family": "llama",
    "parameter_size": "8B",
    "quantization_level": "Q4_K_M",
    "context_length": 8192,
    "capabilities": ["completion"],
    "pinned": False,
    "drift": "",
}


def members_of(type_: Type) -> dict[str, Type]:
    """The attributes of an object's type."""
    members = type_[1]
    assert isinstance(members, dict)
    return members


def _whole(values: Values, type_: Type) -> dict[str, Any]:
    """Values with a null for each attribute that they do not have."""
    return {name: values.get(name) for name in members_of(type_)}


def value_of(type_: Type, random: Random, depth: int = 0, *, is_known: bool = False) -> Any:
    """Any value of a type of Terraform's. `is_known`: with nothing in it that is only known later."""
    if random.random() < 0.25 and depth:
        return None
    if not is_known and random.random() < 0.05 and depth:
        return UNKNOWN
    match type_:
        case "string":
            return random.choice(_TEXTS)
        case "number":
            return random.choice(_NUMBERS)
        case "bool":
            return random.random() < 0.5
        case ["object", members]:
            return {name: value_of(each, random, depth + 1, is_known=is_known) for name, each in members.items()}
        case ["list" | "set", element]:
            return [value_of(element, random, depth + 1, is_known=is_known) for _ in range(random.choice((0, 1, 2)))]
        case ["map", element]:
            keys = [random.choice(_TEXTS) for _ in range(random.choice((0, 1, 2)))]
            return {key: value_of(element, random, depth + 1, is_known=is_known) for key in keys}
        case ["tuple", elements]:
            return [value_of(each, random, depth + 1, is_known=is_known) for each in elements]
    return None


class Messages:
    """The provider's service, in this process, with nothing behind it."""

    name = "messages"

    def __init__(self, random: Random, provider: type[Provider] | None = None) -> None:
        logging.getLogger("ollama_provider").setLevel(logging.CRITICAL)
        logging.getLogger("ollama_provider.terraform.protocol.service").setLevel(logging.CRITICAL)
        self.random = random
        self._provider = (provider or (lambda: OllamaProvider({"OLLAMA_HOST": _NOBODY})))()
        self._service = Service(lambda: self._provider)
        self._runner = asyncio.Runner()
        self._handler = self._service.handler()
        config = dict.fromkeys(members_of(self._provider.schema.type)) | {"host": _NOBODY}
        self._sent(
            "ConfigureProvider", self._message("ConfigureProvider", {"config": self._packed(config)}), is_whole=True
        )

    def close(self) -> None:
        self._runner.run(self._service.close())
        self._runner.close()

    def step(self) -> tuple[str, bytes]:
        """One message. Raises BrokenError, and whatever a call should not have raised."""
        random = self.random
        name, fields = self._fields()
        message = self._message(name, fields)
        is_whole = random.random() < 0.75
        if not is_whole:
            message = mutated(message, [message], random)
        self._sent(name, message, is_whole=is_whole)
        return name, message

    def _message(self, name: str, fields: dict[str, Any]) -> bytes:
        found: bytes = getattr(wire, name).Request(**fields).SerializeToString()
        return found

    def _packed(self, values: Any, type_: Type | None = None) -> wire.DynamicValue:
        return wire.DynamicValue(msgpack=encode(values, type_ or self._provider.schema.type))

    def _fields(self) -> tuple[str, dict[str, Any]]:
        random = self.random
        resource, source = random.choice(self._provider.resources), random.choice(self._provider.data_sources)
        of_resource, type_ = {"type_name": resource.name}, resource.schema.type

        config, state = self._near(_CONFIG, type_), self._near(_STATE, type_, is_known=True)
        private = random.choice((b"", b"{}", json.dumps(changed({"a": {"b": 1}}, random)).encode("utf-8", "replace")))
        damaged = {name: changed(value, random) if random.random() < 0.1 else value for name, value in _STATE.items()}
        raw = wire.RawState(json=json.dumps(damaged, ensure_ascii=False).encode("utf-8", "replace"))
        match random.randrange(9):
            case 0:
                values = self._packed(value_of(self._provider.schema.type, random))
                return "ValidateProviderConfig", {"config": values}
            case 1:
                return "ValidateResourceConfig", {**of_resource, "config": self._packed(config, type_)}
            case 2:
                is_known = random.random() < 0.7
                values = self._packed(value_of(source.schema.type, random, is_known=is_known), source.schema.type)
                is_valid = is_known and self._is_valid("ValidateDataResourceConfig", source.name, values)
                name = "ReadDataSource" if is_valid else "ValidateDataResourceConfig"
                return name, {"type_name": source.name, "config": values}
            case 3:
                version = random.choice((0, 0, 1, resource.schema.version, 99))
                return "UpgradeResourceState", {**of_resource, "version": version, "raw_state": raw}
            case 4:
                return "ReadResource", {**of_resource, "current_state": self._packed(state, type_), "private": private}
            case 5 | 6:
                values = self._packed(config, type_)
                if not self._is_valid("ValidateResourceConfig", resource.name, values):
                    return "ValidateResourceConfig", {**of_resource, "config": values}
                return "PlanResourceChange", {
                    **of_resource,
                    "prior_state": self._packed(random.choice((None, _whole(_STATE, type_))), type_),
                    "proposed_new_state": random.choice((values, self._packed(None, type_))),
                    "config": values,
                    "prior_private": private,
                }
            case 7:
                return "ImportResourceState", {**of_resource, "id": random.choice(_TEXTS)}
        function = random.choice(self._provider.functions)
        arguments = [self._packed(value_of(one.type, random, is_known=True), one.type) for one in function.parameters]
        return "CallFunction", {"name": function.name, "arguments": arguments}

    def _near(self, values: Values, type_: Type, *, is_known: bool = False) -> dict[str, Any]:
        """Values of which up to four are anything that their types allow."""
        found = _whole(values, type_)
        for name in self.random.sample(sorted(found), self.random.choice((0, 1, 2, 4))):
            found[name] = value_of(members_of(type_)[name], self.random, 1, is_known=is_known)
        return found

    def _is_valid(self, call: str, name: str, config: wire.DynamicValue) -> bool:
        """Whether Terraform would plan or read it: it asks the provider first, each time."""
        handler: Any = self._handler.service(Details(f"/{SERVICE}/{call}"))
        request = getattr(wire, call).Request(type_name=name, config=config)
        answer = self._runner.run(_within(handler.unary_unary(request, None)))
        return not any(one.severity == wire.Diagnostic.ERROR for one in answer.diagnostics)

    def _sent(self, name: str, message: bytes, *, is_whole: bool) -> None:
        handler: Any = self._handler.service(Details(f"/{SERVICE}/{name}"))
        try:
            request = handler.request_deserializer(message)
        except DecodeError:  # which gRPC answers
            return
        answer = self._runner.run(_within(handler.unary_unary(request, None)))
        text = str(answer)
        handler.response_serializer(answer)
        if is_whole and "This is a defect of ollama-iac" in text:
            raise BrokenError(f"{name}: {text[:1500]}\n{request}"[:4000])


async def _within(work: Any) -> Any:
    async with asyncio.timeout(30):
        return await work
