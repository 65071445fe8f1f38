"""The command that fixes a drift, to be pasted into a shell."""

import json
from contextlib import suppress
from shlex import quote
from typing import Final

from ollama_policy.live.declared import Declared, is_pulumi, is_terraform
from ollama_policy.model.servers import decided
from ollama_policy.rules.invalid_declaration import problems_in
from ollama_provider.ollama.names import ModelName
from ollama_provider.ollama.parameters import typed_all

_DERIVED: Final = ("parameters", "system", "template")
_LONGEST_BODY: Final = 1000


def apply(declared: Declared, by_hand: str) -> str:
    """What applies one declaration: its engine, or where it has none, a command of Ollama's own.

    Of one that an apply refuses, what to declare instead: a command would be refused, or reach another model.
    """
    subject = declared.subject
    if problems := problems_in(subject):
        return f"change the declaration, which an apply refuses: {problems[0]}"
    folder = "" if subject.unit in ("", ".") else subject.unit
    if is_terraform(subject):
        where = f" -chdir={quote(folder)}" if folder else ""
        return f"terraform{where} apply -target={quote(subject.address)}"
    if is_pulumi(subject):
        where = f" --cwd {quote(folder)}" if folder else ""
        name = _resource_name(subject.address)
        # Without a refresh it compares with the state alone, and finds nothing to do.
        return f"pulumi up --refresh{where}" + (f" --target {quote(f'**::{name}')}" if name else "")
    return by_hand


def refresh(declared: Declared) -> str:
    """What takes the content that is there into the state."""
    subject = declared.subject
    folder = "" if subject.unit in ("", ".") else subject.unit
    if is_terraform(subject):
        where = f" -chdir={quote(folder)}" if folder else ""
        return f"terraform{where} apply -refresh-only -target={quote(subject.address)}"
    return "pulumi refresh" + (f" --cwd {quote(folder)}" if folder else "")


def pull(url: str, declared: Declared) -> str:
    if declared.is_made_here:
        return _make(url, declared)
    insecure = "--insecure " if declared.subject.value("insecure") is True else ""
    return ollama(url, f"pull {insecure}{_word(declared.model_name)}")


def _make(url: str, declared: Declared) -> str:
    """Derives a model as it is declared; in words where that is from a file, not known, or too long for a line."""
    subject, base = declared.subject, declared.base
    fields = {key: value for key in _DERIVED if (value := subject.value(key)) is not None}
    if isinstance(fields.get("parameters"), dict):
        fields["parameters"] = typed_all(fields["parameters"])
    if base is not None and all(decided(subject, key) for key in _DERIVED):
        with suppress(TypeError):  # of a value inside that is not known
            body = json.dumps({"model": str(declared.model_name), "from": str(base), **fields, "stream": False})
            if len(body) < _LONGEST_BODY:
                return f"curl -fsS {quote(f'{url}/api/create')} -d {quote(body)}"
    return f"make {declared.model_name} again, as it is declared"


def stop(url: str, name: ModelName) -> str:
    return ollama(url, f"stop {_word(name)}")


def hold(url: str, name: ModelName, keep_alive: str) -> str:
    """Loads a model, or arms the timer of one that is loaded."""
    return ollama(url, f"run --keepalive {quote(keep_alive)} {_word(name)} ''")


def hold_embedding(url: str, name: ModelName, keep_alive: str) -> str:
    """As `hold`, of a model that only embeds: `ollama run` asks it for a text, and Ollama refuses that."""
    body = json.dumps({"model": str(name), "input": "", "keep_alive": keep_alive})
    return f"curl -fsS {quote(f'{url}/api/embed')} -d {quote(body)}"


def remove(url: str, name: ModelName) -> str:
    return ollama(url, f"rm {_word(name)}")


def pull_and_stop(url: str, name: ModelName) -> str:
    """Frees an orphan whose weights are on the server no more: its name reaches it, once it has them again."""
    return f"{ollama(url, f'pull {_word(name)}')} && {stop(url, name)}"


def reclaim(url: str) -> str:
    return f"ollama-policy reclaim --host {quote(url)}"


def reload(url: str, name: ModelName) -> str:
    return f"ollama-policy reclaim --host {quote(url)} --reload {_word(name)}"


def ollama(url: str, arguments: str) -> str:
    return f"OLLAMA_HOST={quote(url)} ollama {arguments}"


def _word(name: ModelName) -> str:
    return quote(str(name))


def _resource_name(address: str) -> str:
    """`chat` of `OllamaModel("chat")` or `resources.chat`; empty where the name is not written plainly."""
    if address.startswith("resources."):
        return address.removeprefix("resources.")
    inside = address.removeprefix("OllamaModel(").removesuffix(")")
    is_plain = len(inside) > 2 and inside[0] == inside[-1] == '"' and "\\" not in inside
    return inside[1:-1] if is_plain else ""
