"""Which declarations surely go to one server, and are applied together."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from ollama_policy.model.servers import decided
from ollama_policy.model.settings import Kind, Subject, Unknown


def groups(subjects: Iterable[Subject]) -> Iterator[list[Subject]]:
    """The models of a tree by what is applied together and the server; without those whose server nothing tells."""
    found: dict[Hashable, list[Subject]] = defaultdict(list)
    for subject in subjects:
        if subject.kind is Kind.MODEL and _is_decided(subject):
            found[_applied_with(subject), _server(subject)].append(subject)
    yield from found.values()


def _is_decided(subject: Subject) -> bool:
    return decided(subject, "host") if subject.provider_host is None else subject.shows_all


def _server(subject: Subject) -> Hashable:
    """Its own host or its provider's; where that is not known the provider, and "" where the environment says it."""
    host: Any = subject.value("host") if subject.provider_host is None else subject.provider_host
    if isinstance(host, Unknown):
        return host
    if not isinstance(host, str) or not host:
        return ""
    from ollama_provider.ollama.names import InvalidServerError, server_key  # noqa: PLC0415 - most name no host

    try:
        return server_key(host)
    except InvalidServerError:
        return host


def _applied_with(subject: Subject) -> str:
    path = subject.file.path
    if path.endswith(".json") and not path.endswith(".tf.json"):
        return path  # a plan or an export: of each stack there may be one, in one folder
    if path.endswith((".tf", ".tf.json", ".tofu")):
        return f"{subject.unit or path.rpartition('/')[0]}/*.tf"
    return subject.unit or path
