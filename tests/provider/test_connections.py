"""Where servers and secrets come from, and where secrets do not go."""

import os
from pathlib import Path
from typing import Any

import pytest

from ollama_provider.apply.server import Servers
from ollama_provider.connections import ProviderSettings
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.ollama.answers import Connection
from ollama_provider.ollama.http.api import Ollama
from ollama_provider.ollama.names import server_url

SECRET = "hunter2-and-more"


def refusal(configuration: dict[str, Any], environment: dict[str, str]) -> str:
    with pytest.raises(InvalidDeclarationError) as refused:
        ProviderSettings.read(configuration, environment)
    assert str(refused.value).replace("\n", " ").isprintable()
    return str(refused.value)


@pytest.mark.parametrize(
    ("configuration", "environment", "url", "token"),
    [
        ({}, {}, "http://127.0.0.1:11434", None),
        ({"host": None, "token": None, "headers": None, "ca_file": None}, {}, "http://127.0.0.1:11434", None),
        ({"host": "", "token": ""}, {"OLLAMA_HOST": "", "OLLAMA_API_KEY": ""}, "http://127.0.0.1:11434", None),
        ({}, {"OLLAMA_HOST": "e:1", "OLLAMA_API_KEY": "from-e"}, "http://e:1", "from-e"),
        ({"host": "c:1"}, {"OLLAMA_HOST": "e:1", "OLLAMA_API_KEY": "from-e"}, "http://c:1", "from-e"),
        ({"token": "from-c"}, {"OLLAMA_HOST": "e:1", "OLLAMA_API_KEY": "from-e"}, "http://e:1", "from-c"),
        ({"host": "c:1", "token": "from-c"}, {}, "http://c:1", "from-c"),
        ({"host": "c:1"}, {"OLLAMA_HOST": "ftp://e"}, "http://c:1", None),
    ],
)
def test_configuration_goes_over_the_environment(
    configuration: dict[str, Any], environment: dict[str, str], url: str, token: str | None
) -> None:
    settings = ProviderSettings.read(configuration, environment)
    connection = settings.connection(None)
    assert (connection.url, connection.token) == (url, token)
    assert settings.connection("r:2").url == "http://r:2"


@pytest.mark.parametrize("configured", [{"token": SECRET}, {"headers": {"X-Api-Key": SECRET}}, {}])
def test_credentials_go_to_the_server_of_the_provider_and_no_other(configured: dict[str, Any]) -> None:
    environment = {"OLLAMA_HOST": "localhost:1234"} | ({} if configured else {"OLLAMA_API_KEY": SECRET})
    for host in ({}, {"host": "127.0.0.1:1234"}):
        settings = ProviderSettings.read({**configured, **host}, environment)
        for own in (None, "localhost:1234", "127.0.0.1:1234", "http://127.0.0.1:1234/"):
            sent = settings.connection(own)
            assert SECRET in (sent.token, *sent.headers.values())
            assert not sent.withheld
        for other in ("127.0.0.1:1235", "https://localhost:1234", "localhost:1234/path", "localhost.example:1234"):
            sent = settings.connection(other)
            assert (sent.token, sent.headers, sent.url) == (None, {}, server_url(other))
            assert "go only to its own server, http://" in sent.withheld
            assert SECRET not in repr(sent)


def test_without_credentials_nothing_is_withheld() -> None:
    assert ProviderSettings.read({"host": "c:1"}, {}).connection("r:2").withheld == ""


def test_a_server_that_credentials_are_withheld_from_is_told_once() -> None:
    told: list[str] = []
    settings, servers = ProviderSettings.read({"host": "c:1", "token": SECRET}, {}), Servers()
    for host in ("r:2", "r:2", None, "r:3"):
        servers.at(settings.connection(host)).tell_withheld(told.append)
    why = "is asked without a credential: the provider's token and headers go only to its own server, http://c:1"
    assert told == [f"http://r:2 {why}", f"http://r:3 {why}"]


def test_headers_reach_the_connection() -> None:
    headers = {"X-Api-Key": SECRET, "CF-Access-Client-Id": "a b"}
    assert ProviderSettings.read({"headers": headers}, {}).connection(None).headers == headers


@pytest.mark.parametrize(
    "headers",
    [
        "X-Api-Key: " + SECRET,
        [SECRET],
        {"X-Api-Key": 5, "X": SECRET},
        {"X-Api-Key": f"{SECRET}\r\nX-Other: 1"},
        {"X-Api-Key": f"{SECRET}é"},
        {"X-Api-Key": f" {SECRET}"},
        {f"X {SECRET}": "1"},
        {"": SECRET},
        {5: SECRET},
    ],
)
def test_headers_that_cannot_be_sent_are_refused_and_not_repeated(headers: Any) -> None:
    text = refusal({"headers": headers}, {})
    assert text == "headers: found something else, expected a map of header names to one-line ASCII texts"


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}é", f"{SECRET}\x00", f" {SECRET}"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(token: str) -> None:
    expected = "found something else, expected a one-line text of ASCII characters"
    assert refusal({"token": token}, {}) == f"token: {expected}"
    assert refusal({}, {"OLLAMA_API_KEY": token}) == f"OLLAMA_API_KEY: {expected}"


def test_a_ca_file_must_hold_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    expected = f"ca_file: found {str(file)!r}, expected a file with the certificates of an authority"
    assert refusal({"ca_file": str(file)}, {}) == expected
    file.write_text("no certificate")
    assert refusal({"ca_file": str(file)}, {}) == expected
    assert "ca_file: " in refusal({"ca_file": str(tmp_path)}, {})


def test_the_environments_certificates_must_be_a_file_where_they_are_used(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    host = {"host": "https://example.com"}
    expected = f"SSL_CERT_FILE: found {str(fifo)!r}, expected a file with the certificates of an authority"
    assert refusal(host, {"SSL_CERT_FILE": str(fifo)}) == expected
    assert "SSL_CERT_DIR: " in refusal(host, {"SSL_CERT_DIR": str(fifo)})
    several = os.pathsep.join((str(fifo), str(tmp_path)))
    ProviderSettings.read(host, {"SSL_CERT_DIR": several})
    ProviderSettings.read({"host": "http://example.com"}, {"SSL_CERT_FILE": str(fifo)})


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("ftp://example.com", "its scheme is 'ftp'"),
        ("example.com:port", "'port'"),
        (f"http://user:{SECRET}@example.com", "give the secret as a token or a header instead"),
        (f"http://user:x/{SECRET}@example.com", "give the secret as a token or a header instead"),
        (f"http://example.com?key={SECRET}", "without spaces, query or fragment"),
    ],
)
def test_a_host_that_cannot_be_used_is_refused_by_where_it_was_given(host: str, why: str) -> None:
    for found in (refusal({"host": host}, {"OLLAMA_HOST": "e"}), refusal({}, {"OLLAMA_HOST": host})):
        assert "found an address that cannot be used, expected an address as in OLLAMA_HOST; " in found
        assert why in found
        assert SECRET not in found
    assert refusal({"host": host}, {}).startswith("host: ")
    assert refusal({}, {"OLLAMA_HOST": host}).startswith("OLLAMA_HOST: ")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = {"host": "ftp://x", "headers": 5, "ca_file": str(tmp_path / "none"), "token": "\n"}
    assert len(refusal(wrong, {}).splitlines()) == 4


def test_no_secret_is_in_a_repr() -> None:
    settings = ProviderSettings.read({"token": SECRET, "headers": {"X-Api-Key": f"{SECRET}-2"}}, {})
    connection = settings.connection(None)
    shown = [settings, connection, Ollama(connection), Servers().at(connection)]
    assert not any(SECRET in text for thing in shown for text in (repr(thing), str(thing)))


@pytest.mark.parametrize(
    ("token", "headers", "text", "redacted"),
    [
        (None, {}, "as it was", "as it was"),
        (None, {"X-Empty": ""}, "as it was", "as it was"),
        (SECRET, {}, f"bad token {SECRET}.", "bad token ***."),
        (SECRET, {}, f"{SECRET}{SECRET}", "******"),
        (None, {"X-Api-Key": SECRET}, f"'{SECRET}'", "'***'"),
        (None, {"Authorization": f"Bearer {SECRET}"}, f"bad token {SECRET}.", "bad token ***."),
        (None, {"Authorization": f"Bearer {SECRET}"}, f"bad: Bearer {SECRET}.", "bad: ***."),
        ("abcd", {"X": "abcdefgh"}, "abcdefgh abcd", "*** ***"),
        ("abcdefgh", {"X": "abcd"}, "abcdefgh abcd", "*** ***"),
    ],
)
def test_what_a_server_repeats_of_a_secret_is_redacted(
    token: str | None, headers: dict[str, str], text: str, redacted: str
) -> None:
    assert Connection("http://x:1", token, headers).redact(text) == redacted


def test_one_client_serves_a_connection() -> None:
    servers = Servers()
    one = ProviderSettings.read({"token": "a"}, {})
    assert servers.at(one.connection(None)) is servers.at(one.connection("127.0.0.1:11434"))
    assert servers.at(one.connection(None)) is not servers.at(one.connection("127.0.0.2"))
    other = ProviderSettings.read({"token": "b"}, {})
    assert servers.at(one.connection(None)) is not servers.at(other.connection(None))
