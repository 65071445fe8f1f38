"""Three things that Pulumi's host of dynamic providers lacks, added to it in its own process.

`pulumi.dynamic.__main__` answers every exception with a traceback, a create that came half way with no state, and
Ctrl-C (its Cancel call) with nothing. Where that module has other insides than the ones known here, all stay as they
are: nothing else depends on this file.
"""

import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

_stop = threading.Event()
_ENGINE_LOOK_SECONDS = 1.0
_PROVIDER = "__provider"  # the property by which the host finds a resource's provider
_UNKNOWN = 2  # the status that the host aborts a call with


class PlainError(Exception):
    """An error whose text is all that a user needs."""


class UnfinishedError(PlainError):
    """A create that failed and made something: it goes into the state, and the next `up` goes on from it."""

    def __init__(self, text: str, resource_id: str, outputs: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.resource_id = resource_id
        self.outputs = outputs


def adapt() -> None:
    """Makes the host of this process show PlainErrors as they are, and pass Ctrl-C on. Does so once."""
    host = sys.modules["__main__"]
    servicer = getattr(host, "DynamicResourceProviderServicer", None)
    if servicer is None or not hasattr(host, "empty_pb2") or getattr(host, "traceback", None) is not traceback:
        return
    _show_plain_errors(host)
    # The server has bound the method already, so the function itself has to change.
    servicer.Cancel.__code__ = _cancel.__code__


def must_stop() -> bool:
    """Whether the user asked to stop, or the engine has died and nobody waits for an answer any more."""
    return _stop.is_set() or _engine.is_gone()


def stop() -> None:
    _stop.set()


def _cancel(self: Any, request: Any, context: Any) -> Any:
    # This code runs with the globals of pulumi.dynamic.__main__.
    from ollama_provider.pulumi_host import stop  # noqa: PLC0415

    stop()
    return empty_pb2.Empty()  # type: ignore[name-defined] # noqa: F821


def _show_plain_errors(host: ModuleType) -> None:
    def format_exc() -> str:
        error = sys.exception()
        if isinstance(error, UnfinishedError):
            called = sys._getframe(1).f_locals  # of the host's wrapper of every call, which aborts it with this text
            _keep(called["request"], called["context"], error)
        return str(error) if isinstance(error, PlainError) else traceback.format_exc()

    host.traceback = SimpleNamespace(format_exc=format_exc)  # type: ignore[attr-defined]


def _keep(request: Any, context: Any, error: UnfinishedError) -> None:
    """Adds what was made to a create's failure, as a Go provider does (sdk/go, plugin: ErrorResourceInitFailed)."""
    from google.protobuf import struct_pb2  # noqa: PLC0415 - of Pulumi's own process, and for a failure alone
    from pulumi.runtime.proto import provider_pb2, status_pb2  # noqa: PLC0415

    outputs = struct_pb2.Struct()
    outputs.update(dict(error.outputs))
    outputs.fields[_PROVIDER].CopyFrom(request.properties.fields[_PROVIDER])
    failed = provider_pb2.ErrorResourceInitFailed(
        id=error.resource_id, properties=outputs, reasons=[str(error)], inputs=request.properties
    )
    status = status_pb2.Status(code=_UNKNOWN, message=str(error))
    status.details.add().Pack(failed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))


class _Engine:
    """The engine's own address, which it hands to every plugin; asked at most once a second whether it is there."""

    def __init__(self, arguments: list[str]) -> None:
        host, _, port = arguments[-1].rpartition(":") if len(arguments) > 1 else ("", "", "")
        self._address = (host, int(port)) if host and port.isdigit() else None
        self._looked_at = time.monotonic()
        self._is_gone = False

    def is_gone(self) -> bool:
        now = time.monotonic()
        if self._address and not self._is_gone and now - self._looked_at > _ENGINE_LOOK_SECONDS:
            self._looked_at = now
            try:
                socket.create_connection(self._address, timeout=_ENGINE_LOOK_SECONDS).close()
            except ConnectionRefusedError:
                self._is_gone = True
            except OSError:
                return False
        return self._is_gone


_engine = _Engine(sys.argv)
