"""Being a plugin of Terraform's: the handshake on stdout, TLS, and an end with the host.

What go-plugin expects: one line `1|6|NETWORK|ADDRESS|grpc|CERTIFICATE` on stdout and nothing else ever, logs on stderr,
SIGINT left to the host, and an end when it calls Shutdown.
"""

import asyncio
import base64
import contextlib
import datetime
import json
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from ollama_provider.terraform.protocol.provider import Provider
from ollama_provider.terraform.protocol.service import Service

PROTOCOL = 6
_MESSAGE_BYTES = 256 * 2**20
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 0.02


def serve(provider: Callable[[], Provider]) -> None:
    """Answers the host that started this process until it says that it is done, or is gone."""
    handshake = _take_stdout()
    _log_to_stderr()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to everybody; the host calls StopProvider

    def say(address: str, certificate: str) -> None:
        os.write(handshake, f"1|{PROTOCOL}|unix|{address}|grpc|{certificate}\n".encode())
        os.close(handshake)

    asyncio.run(_serve(provider, say, host=os.getppid(), encrypted="PLUGIN_CLIENT_CERT" in os.environ))
    sys.stderr.flush()
    os._exit(0)  # the host waits for the end of each of several processes a command, and an orderly one takes 50 ms


def serve_attached(provider: Callable[[], Provider], sources: Sequence[str]) -> None:
    """Answers any host that is told so by TF_REATTACH_PROVIDERS, which is printed, until SIGINT or SIGTERM.

    `sources` are the addresses under which configurations may name the provider.
    """
    _log_to_stderr()

    def say(address: str, _certificate: str) -> None:
        attached = {
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL,
            "Pid": os.getpid(),
            "Test": True,  # the host leaves the process running
            "Addr": {"Network": "unix", "String": address},
        }
        print(f"TF_REATTACH_PROVIDERS='{json.dumps(dict.fromkeys(sources, attached))}'", flush=True)

    asyncio.run(_serve(provider, say, host=None, encrypted=False))


async def _serve(
    provider: Callable[[], Provider], say: Callable[[str, str], None], *, host: int | None, encrypted: bool
) -> None:
    done = asyncio.Event()
    for number in (signal.SIGTERM,) if host else (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
    )
    service = Service(provider)
    server.add_generic_rpc_handlers((service.handler(), _go_plugin(done)))
    with _private_folder() as folder:
        address, certificate = f"{folder}/plugin.sock", ""
        if encrypted:
            certificate, credentials = _identity()
            server.add_secure_port(f"unix:{address}", credentials)
        else:
            server.add_insecure_port(f"unix:{address}")
        await server.start()
        say(address, certificate)
        watch = asyncio.ensure_future(_until_gone(host, done)) if host else None
        await done.wait()
        if watch:
            watch.cancel()
        await server.stop(_GRACE_SECONDS)
        await service.close()


async def _until_gone(host: int, done: asyncio.Event) -> None:
    # A killed host tells nobody.
    while os.getppid() == host:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(_LOOK_SECONDS)
    done.set()


def _go_plugin(done: asyncio.Event) -> grpc.GenericRpcHandler:
    async def shutdown(_request: bytes, _context: Any) -> bytes:
        asyncio.get_running_loop().call_soon(done.set)
        return b""

    return grpc.method_handlers_generic_handler(
        "plugin.GRPCController", {"Shutdown": grpc.unary_unary_rpc_method_handler(shutdown)}
    )


def _take_stdout() -> int:
    """The real stdout, for the handshake alone; what else is printed, by whomever, goes to stderr."""
    handshake = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return handshake


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    # A socket's path has at most 107 bytes, and only this user may come near it.
    with tempfile.TemporaryDirectory(prefix="tf-ollama-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _identity() -> tuple[str, grpc.ServerCredentials]:
    """A certificate for this process alone, as the handshake has it, and what the server needs for it.

    The host's own certificate has a P-521 key, which gRPC for Python cannot check: so the host knows that it speaks to
    us, and what keeps others away from us is the socket's folder.
    """
    from cryptography import x509  # noqa: PLC0415 - a host without TLS does not need it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(64))
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain_pem = certificate.public_bytes(serialization.Encoding.PEM)
    der = certificate.public_bytes(serialization.Encoding.DER)
    # go-plugin decodes base64 without padding.
    return base64.b64encode(der).decode().rstrip("="), grpc.ssl_server_credentials([(key_pem, chain_pem)])


class _JsonLines(logging.Formatter):
    """What go-plugin reads from stderr: the level and the module make TF_LOG's filters work."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
        return json.dumps({"@level": level, "@message": text, "@module": record.name})


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
