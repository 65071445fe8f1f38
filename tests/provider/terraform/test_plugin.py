"""A process that Terraform starts: its one line on stdout, what it has imported by then, and its end."""

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from ollama_provider.terraform.protocol import cookie
from ollama_provider.terraform.protocol import tfplugin6_pb2 as wire

PLUGIN = [sys.executable, "-m", "ollama_provider.terraform"]
# A provider that prints wherever it can, as a library that it uses may.
NOISY = """
import os, subprocess, sys
from ollama_provider.terraform.protocol import plugin
from tests.provider.terraform.toy import ToyProvider

def provider():
    print("made"); os.write(1, b"raw\\n"); subprocess.run(["echo", "a child"]); sys.__stdout__.write("dunder\\n")
    return ToyProvider()

print("before", file=sys.stderr)
plugin.serve(provider)
"""
# What is imported when the handshake is said.
AT_HANDSHAKE = """
import json, os, sys
from ollama_provider.terraform.protocol import plugin
serve = plugin._serve

async def telling(provider, say, **rest):
    def tell(*_):
        os.write(2, json.dumps(sorted(sys.modules)).encode())
        os._exit(0)
    await serve(provider, tell, **rest)

plugin._serve = telling
from ollama_provider.terraform.__main__ import main
main()
"""
# A host that starts a plugin and is killed.
KILLED_HOST = """
import subprocess, sys, time
plugin = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
plugin.stdout.readline()
print(plugin.pid, flush=True)
time.sleep(60)
"""


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OLLAMA_", "PLUGIN_"))}
    return {**kept, cookie.NAME: cookie.VALUE, **more}


@contextmanager
def started(command: list[str], **more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def handshake(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout
    line = process.stdout.readline().decode()
    assert line.endswith("\n"), process.communicate()[1].decode()
    return line.rstrip("\n").split("|")


def ask(channel: grpc.Channel, method: str, request: bytes = b"") -> bytes:
    method_of: Any = channel.unary_unary
    answer: bytes = method_of(method)(request, timeout=20, wait_for_ready=True)
    return answer


def shut_down(channel: grpc.Channel, process: subprocess.Popen[bytes]) -> tuple[str, list[str]]:
    """The rest of stdout, and the lines of stderr, of a plugin that ended by itself with 0."""
    ask(channel, "/plugin.GRPCController/Shutdown")
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    return stdout.decode(), stderr.decode().splitlines()


def test_stdout_is_the_handshake_and_nothing_else() -> None:
    with started([sys.executable, "-c", NOISY]) as process:
        core, protocol, network, address, kind, certificate = handshake(process)
        assert (core, protocol, network, kind, certificate) == ("1", "6", "unix", "grpc", "")
        folder = Path(address).parent
        assert folder.stat().st_mode & 0o777 == 0o700, "nobody else may come near the socket"
        with grpc.insecure_channel(f"unix:{address}") as channel:
            metadata = wire.GetMetadata.Response.FromString(ask(channel, "/tfplugin6.Provider/GetMetadata"))
            assert [one.type_name for one in metadata.resources] == ["toy_thing"]
            stdout, stderr = shut_down(channel, process)
        assert stdout == ""
        assert {"before", "made", "raw", "a child", "dunder"} <= set(stderr)
        assert not folder.exists()


def test_the_provider_itself_serves_its_schemas_and_prints_nothing() -> None:
    with started(PLUGIN) as process:
        address = handshake(process)[3]
        with grpc.insecure_channel(f"unix:{address}", options=[("grpc.max_receive_message_length", -1)]) as channel:
            answer = ask(channel, "/tfplugin6.Provider/GetProviderSchema")
            assert "ollama_model" in wire.GetProviderSchema.Response.FromString(answer).resource_schemas
            assert shut_down(channel, process) == ("", [])


def test_an_encrypted_plugin_shows_its_certificate_in_the_handshake() -> None:
    with started(PLUGIN, PLUGIN_CLIENT_CERT="whatever: gRPC for Python cannot check it") as process:
        *_, address, _, encoded = handshake(process)
        assert "=" not in encoded
        der = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        key = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        assert isinstance(key.curve, SECP256R1)
        credentials = grpc.ssl_channel_credentials(ssl.DER_cert_to_PEM_cert(der).encode())
        named = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(f"unix:{address}", credentials, named) as channel:
            ask(channel, "/tfplugin6.Provider/GetMetadata")
            assert shut_down(channel, process) == ("", [])


@pytest.mark.parametrize("certificate", [{}, {"PLUGIN_CLIENT_CERT": "a"}], ids=["plain", "encrypted"])
def test_neither_httpx_nor_pydantic_holds_the_handshake_up(certificate: dict[str, str]) -> None:
    command = [sys.executable, "-c", AT_HANDSHAKE]
    told = subprocess.run(command, env=environment(**certificate), capture_output=True, timeout=30)
    imported = set(json.loads(told.stderr))
    assert "grpc" in imported
    assert not imported & {"httpx", "pydantic", "ollama_provider.model", "ollama_provider.lifecycle", "yaml", "click"}
    assert ("cryptography" in imported) == bool(certificate)


def test_an_interrupt_is_the_host_s_matter_and_a_termination_is_the_end() -> None:
    with started(PLUGIN) as process:
        handshake(process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_plugin_whose_host_was_killed_ends_by_itself() -> None:
    with started([sys.executable, "-c", KILLED_HOST, *PLUGIN]) as host:
        assert host.stdout
        plugin = int(host.stdout.readline())
        host.kill()
        host.wait()
        deadline = time.monotonic() + 30
        while is_running(plugin):
            assert time.monotonic() < deadline, "it still runs"
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
