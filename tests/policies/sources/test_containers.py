import pytest

from ollama_policy.sources.common.containers import Role, role

_IMAGE = "ollama/ollama:0.17.4"


@pytest.mark.parametrize(
    ("image", "entrypoint", "command", "expected"),
    [
        (_IMAGE, None, None, Role.SERVER),
        (_IMAGE, None, "serve", Role.SERVER),
        (_IMAGE, None, "", Role.SERVER),
        (_IMAGE, None, "pull llama3", Role.OTHER),
        (_IMAGE, None, "/start.sh", Role.UNSURE),
        (_IMAGE, "/bin/ollama", "serve", Role.SERVER),
        (_IMAGE, "/bin/sh -c", "ollama serve & sleep 5; ollama pull llama3; wait", Role.SERVER),
        (_IMAGE, "/bin/sh -c", "sleep 3; OLLAMA_HOST=ollama ollama pull llama3", Role.OTHER),
        (_IMAGE, "/bin/sh", "/pull-models.sh", Role.OTHER),
        (_IMAGE, "/entrypoint.sh", None, Role.UNSURE),
        ("debian", None, "ollama serve", Role.SERVER),
        ("debian", "ollama", '", "serve', Role.SERVER),
        ("debian", None, None, Role.OTHER),
        ("open-webui:ollama", None, None, Role.OTHER),
    ],
)
def test_what_a_container_does(image: str, entrypoint: str | None, command: str | None, expected: Role) -> None:
    assert role(image, entrypoint, command) is expected


def test_one_that_serves_only_to_pull_is_no_server_where_it_ends_soon() -> None:
    command = "ollama serve & ollama pull llama3"
    assert role(_IMAGE, "sh -c", command, is_short_lived=True) is Role.OTHER
    assert role(_IMAGE, "sh -c", "ollama serve", is_short_lived=True) is Role.SERVER
