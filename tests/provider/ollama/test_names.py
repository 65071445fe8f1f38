"""Names and addresses, as Ollama itself reads them."""

import re

import pytest

from ollama_provider.ollama.names import (
    DEFAULT_SERVER,
    NAME_PATTERN,
    InvalidNameError,
    InvalidServerError,
    ModelName,
    server_url,
)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("llama3", "llama3:latest"),
        ("llama3:latest", "llama3:latest"),
        ("llama3.1:8b-instruct-q4_K_M", "llama3.1:8b-instruct-q4_K_M"),
        ("library/llama3", "llama3:latest"),
        ("registry.ollama.ai/library/llama3:8b", "llama3:8b"),
        ("REGISTRY.OLLAMA.AI/Library/Llama3", "Llama3:latest"),
        ("someone/llama3", "someone/llama3:latest"),
        ("localhost:5000/library/tiny", "localhost:5000/library/tiny:latest"),
        ("localhost:5000/someone/tiny:1", "localhost:5000/someone/tiny:1"),
        ("hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0", "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q8_0"),
        ("_x", "_x:latest"),
        ("a" * 80, "a" * 80 + ":latest"),
    ],
)
def test_a_name_is_shown_in_its_shortest_form(text: str, shortest: str) -> None:
    assert str(ModelName.parse(text)) == shortest
    assert ModelName.parse(shortest) == ModelName.parse(text)
    assert re.fullmatch(NAME_PATTERN, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3", "llama3:latest"),
        ("LLaMA3", "llama3"),
        ("llama3:8B", "llama3:8b"),
        ("Someone/x", "someone/X"),
        ("LOCALHOST:5000/a/b", "localhost:5000/a/b"),
        ("library/llama3", "registry.ollama.ai/library/llama3:latest"),
    ],
)
def test_names_are_equal_as_ollama_compares_them(one: str, other: str) -> None:
    assert ModelName.parse(one) == ModelName.parse(other)
    assert hash(ModelName.parse(one)) == hash(ModelName.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("llama3", "llama3:8b"), ("llama3", "someone/llama3"), ("a/x", "hf.co/a/x"), ("h:1/a/x", "h:2/a/x")],
)
def test_different_models_have_different_names(one: str, other: str) -> None:
    assert ModelName.parse(one) != ModelName.parse(other)


def test_a_name_is_no_text() -> None:
    assert ModelName.parse("llama3") != "llama3:latest"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "model is empty"),
        (":8b", "model is empty"),
        ("llama3:", "tag is empty"),
        ("someone/", "model is empty"),
        ("/llama3", "namespace is empty"),
        ("//llama3", "registry is empty"),
        ("/a/llama3", "registry is empty"),
        ("h//llama3", "namespace is empty"),
        ("a/b/c/d", "4 parts between slashes"),
        ("my model", "model 'my model'"),
        (" llama3", "model ' llama3'"),
        ("llama3\n", "model 'llama3\\n'"),
        ("llama3\x1b[31m", "model 'llama3\\x1b[31m'"),
        ("-llama3", "model '-llama3'"),
        (".llama3", "model '.llama3'"),
        ("lläma", "model 'lläma'"),
        ("a" * 81, "model 'aaa"),
        ("llama3:8b@x", "tag '8b@x'"),
        ("llama3:8b:9b", "model 'llama3:8b'"),
        ("llama3:" + "t" * 81, "tag 'ttt"),
        ("some.one/llama3", "namespace 'some.one'"),
        ("../llama3", "namespace '..'"),
        ("some one/llama3", "namespace 'some one'"),
        ("ho st/a/b", "registry 'ho st'"),
        ("$(id)", "model '$(id)'"),
        ("sha256:" + "a" * 64 + "/x", "namespace 'sha256:aaa"),
    ],
)
def test_a_malformed_name_is_refused_and_the_part_is_named(text: str, part: str) -> None:
    with pytest.raises(InvalidNameError) as refused:
        ModelName.parse(text)
    assert part in str(refused.value)
    assert str(refused.value).isprintable()
    assert not re.fullmatch(NAME_PATTERN, text)


def test_a_second_name_is_always_the_same_and_in_the_same_repository() -> None:
    second = ModelName.parse("h:1/a/llama3:8b").beside("purpose")
    assert second == ModelName.parse("H:1/A/LLAMA3:8B").beside("purpose")
    assert re.fullmatch(r"h:1/a/llama3:purpose-[0-9a-f]{12}", str(second))
    assert second == ModelName.parse(str(second))
    assert second != ModelName.parse("h:1/a/llama3:9b").beside("purpose")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", DEFAULT_SERVER),
        ("   ", DEFAULT_SERVER),
        ('""', DEFAULT_SERVER),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("example.com:1234", "http://example.com:1234"),
        (" example.com:1234 ", "http://example.com:1234"),
        ("'example.com:1234'", "http://example.com:1234"),
        ('"example.com:1234"', "http://example.com:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("HTTPS://example.com", "https://example.com:443"),
        ("http://example.com:11434", "http://example.com:11434"),
        ("http://example.com:11434/", "http://example.com:11434"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("example.com/a/b", "http://example.com:11434/a/b"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::1]", "http://[::1]:11434"),
        ("[::ffff:127.0.0.1]", "http://127.0.0.1:11434"),
        ("http://[::ffff:10.1.2.3]:8080", "http://10.1.2.3:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("::", "http://[::1]:11434"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]:443/x"),
    ],
)
def test_an_address_is_read_by_the_rules_of_ollama_host(host: str, url: str) -> None:
    assert server_url(host) == url
    assert server_url(url) == url


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("ftp://example.com", "scheme is 'ftp'"),
        ("unix:///run/ollama.sock", "scheme is 'unix'"),
        ("://example.com", "scheme is ''"),
        ("example.com:99999", "0-65535"),
        ("example.com:http", "'http'"),
        ("example.com:-1", "'-1'"),
        ("exa mple.com", "without spaces"),
        ("example.com\n", None),
        ("example.com?x=1", "query"),
        ("example.com/#x", "fragment"),
        ("[::1", "[scheme://]host[:port][/path]"),
        ("exa$mple", "host 'exa$mple'"),
        ("example.com\x07", "host 'example.com\\x07'"),
    ],
)
def test_an_address_that_ollama_would_not_use_is_refused(host: str, why: str | None) -> None:
    if why is None:
        assert server_url(host) == "http://example.com:11434"
        return
    with pytest.raises(InvalidServerError) as refused:
        server_url(host)
    assert why in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "host",
    [
        "http://user:hunter2@example.com",
        "user:hunter2@example.com:11434",
        "https://hunter2@example.com",
        "http://user:x/hunter2@example.com",
        "user:hunter2/x@example.com",
        "user:hun ter2@example.com",
        "'http://user:hunter2@example.com'",
        "http://user:hunter2@[::1]:80/x",
        "ftp://user:hunter2@example.com",
    ],
)
def test_an_address_with_a_password_is_refused_and_never_repeated(host: str) -> None:
    with pytest.raises(InvalidServerError, match="token or a header") as refused:
        server_url(host)
    assert "hunter2" not in str(refused.value)
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "is_local", "is_cloud", "reached"),
    [
        ("chat", False, False, "chat:latest"),
        ("chat:local", True, False, "chat:latest"),
        ("host:5000/a/chat:LOCAL", True, False, "host:5000/a/chat:latest"),
        ("kimi-k3:cloud", False, True, "kimi-k3:latest"),
        ("gpt-oss:120b-Cloud", False, True, "gpt-oss:120b"),
        ("my-cloud", False, False, "my-cloud:latest"),
        ("chat:mycloud", False, False, "chat:mycloud"),
        ("chat:localhost", False, False, "chat:localhost"),
    ],
)
def test_tags_by_which_ollama_reaches_another_model(text: str, is_local: bool, is_cloud: bool, reached: str) -> None:
    name = ModelName.parse(text)
    assert (name.is_local_tag, name.is_cloud_tag, str(name.reached)) == (is_local, is_cloud, reached)


def test_two_tags_are_told_with_the_name_that_was_meant() -> None:
    with pytest.raises(InvalidNameError, match=r"a tag of its own.*is written gpt-oss:20b-cloud$"):
        ModelName.parse("gpt-oss:20b:cloud")
    with pytest.raises(InvalidNameError, match=r"has a tag of its own, and a name has one$"):
        ModelName.parse("chat:8b:local")
