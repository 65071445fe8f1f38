"""A server behind TLS, with the certificate of a private authority."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from ollama_provider.connections import ProviderSettings
from ollama_provider.ollama.errors import UnreachableError
from ollama_provider.ollama.http.api import Ollama
from tests.engines.faulty_ollama import FakeOllamaWithFaults


def version_at(url: str, ca_file: str | None) -> str:
    async def ask() -> str:
        settings = ProviderSettings.read({"host": url, "ca_file": ca_file}, {})
        async with Ollama(settings.connection(None)) as client:
            return await client.version()

    return asyncio.run(ask())


def test_a_private_authority_is_trusted_where_it_is_named_and_only_there(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with FakeOllamaWithFaults() as fake:
        fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True)
        url = f"https://localhost:{fake.port}"
        assert version_at(url, str(ca_file)) == "0.17.4"
        with pytest.raises(UnreachableError, match=r"the version at https://localhost.*CERTIFICATE_VERIFY_FAILED"):
            version_at(url, None)
