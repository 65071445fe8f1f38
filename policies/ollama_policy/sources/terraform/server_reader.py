"""One instance of a Terraform resource that may run Ollama, read into subjects: variables, image and memory."""

import re
from typing import Any, Final

from ollama_policy.model import images
from ollama_policy.model.settings import IMAGE, MEMORY_LIMIT, Kind, Setting, Span, Style, Subject, Unknown
from ollama_policy.sources.common.budget import SETTINGS
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import ABSENT, Block, Expression, attribute
from ollama_policy.sources.terraform.language.evaluate import evaluate
from ollama_policy.sources.terraform.language.scope import Scope
from ollama_policy.sources.terraform.models import origin_of
from ollama_policy.sources.terraform.modules.module import Instance
from ollama_provider.ollama.sizes import Convention, bytes_of

_IMAGE_OF: Final = re.compile(r"\b(docker_image)\.([A-Za-z_][\w-]*)\.(?:image_id|latest|repo_digest|name)\b")
_CONFIG_MAP_OF: Final = re.compile(r"\b(kubernetes_config_map(?:_v1)?)\.([A-Za-z_][\w-]*)\.metadata\b")
_PAIR: Final = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)=')


class Reader:
    """One instance of a resource, read into subjects."""

    def __init__(self, block: Block, instance: Instance, scope: Scope, address: str) -> None:
        self.block = block
        self.instance = instance
        self.scope = scope
        self.address = address

    def subject(self, name: str = "", place: Block | Expression | None = None) -> Subject:
        start, end = self.block.start, self.block.header_end
        if isinstance(place, Expression):
            start, end = place.start, place.end
        elif place is not None:
            start, end = place.start, place.header_end
        address = f"{self.address}[{name}]" if name else self.address
        style = Style.JSON if self.block.is_json else Style.HCL
        return Subject(Kind.SERVER, address, self.block.file, Span(start, end), style, unit=self.instance.root)

    def spend(self, steps: int) -> None:
        """Counts what many blocks may share, such as one text. Raises TooLargeError."""
        SETTINGS.of(self.instance.folder.workspace.tree).spend(steps, self.block.start)

    def value(self, expression: Expression | None) -> Any:
        if expression is None:
            return None
        found = evaluate(expression, self.scope)
        return values.first_unknown(found) or found

    def add(self, subject: Subject, key: str, expression: Expression | None, value: Any = ABSENT) -> None:
        """A setting at an expression's place; `value` where it is not the expression's own. None is not there."""
        if expression is None:
            return
        is_literal = value is ABSENT and expression.literal() is not ABSENT
        value = self.value(expression) if value is ABSENT else value
        if value is None:
            return
        # Variables are texts wherever they go: the container gets "true" for true.
        if key.isupper() and not isinstance(value, Unknown):
            value = values.to_text(value)
        origin = "" if is_literal else self.origin(expression)
        span = Span(expression.start, expression.end)
        subject.add(Setting(key, value, span, expression.file, origin, is_literal))

    def origin(self, expression: Expression) -> str:
        """Where a value comes from that is not plainly written."""
        return "" if expression.literal() is not ABSENT else origin_of(expression, self.instance)

    def image(self, subject: Subject, expression: Expression | None) -> bool:
        """Adds the image; whether it is Ollama's."""
        if expression is None:
            return False
        origin, is_literal = self.origin(expression), expression.literal() is not ABSENT
        value: Any = self.value(expression)
        if isinstance(value, Unknown) and (named := _IMAGE_OF.search(expression.text)):
            found = self._resource(named[1], named[2])
            source = None if found is None else attribute(found, "name")
            if found is not None and source is not None:
                value, expression, origin, is_literal = self.value(source), source, f"{named[1]}.{named[2]}", False
                if any(found.nested("build")) and isinstance(value, str):
                    is_ollama = images.is_ollama(value)
                    value = Unknown(f"{origin} is built here")
                    self._put(subject, IMAGE, value, expression, origin, is_literal=False)
                    return is_ollama
        if isinstance(value, str | Unknown):
            self._put(subject, IMAGE, value, expression, origin, is_literal=is_literal)
        if isinstance(value, str):
            return images.is_ollama(value)
        # An unknown tag behind a name that is known: "ollama/ollama:${var.tag}".
        head = re.match(r'"([^"$%{}]*):\$\{', expression.text)
        return head is not None and images.is_ollama(head[1])

    def _put(self, subject: Subject, key: str, value: Any, place: Expression, origin: str, *, is_literal: bool) -> None:
        subject.add(Setting(key, value, Span(place.start, place.end), place.file, origin, is_literal))

    def _resource(self, kind: str, name: str) -> Block | None:
        return self.instance.folder.block("resource", [kind, name], self.instance.near)

    def config_map(self, subject: Subject, source: Block) -> None:
        """Adds the variables of an `env_from` that `env` does not have, where it names a config map of this module."""
        for each in source.nested("config_map_ref"):
            name = attribute(each, "name")
            named = None if name is None else _CONFIG_MAP_OF.search(name.text)
            found = None if named is None else self._resource(named[1], named[2])
            data = None if found is None else attribute(found, "data")
            if data is not None and attribute(source, "prefix") is None:
                others = self.subject()
                self.mapped(others, data)
                subject.settings = others.settings | subject.settings
                subject.unknown = subject.unknown or others.unknown
                return
        subject.unknown = Unknown("env_from: variables from a config map or a secret")

    def serves(self, *commands: Expression | None) -> bool:
        """Whether a command plainly is `ollama serve`."""
        words: list[str] = []
        for each in commands:
            value = self.value(each)
            words += (
                [value]
                if isinstance(value, str)
                else [str(word) for word in value or ()]
                if isinstance(value, list)
                else []
            )
        return re.search(r"(?:^|[\s/;&])ollama serve\b", " ".join(words)) is not None

    def pairs(self, subject: Subject, expression: Expression | None) -> None:
        """Adds variables that are written as a list of `"NAME=value"`."""
        if expression is None:
            return
        items = expression.items()
        if items is None and (inner := expression.call("toset")) is not None:
            items = inner.items()
        if items is not None:
            for item in items:
                self._pair(subject, item)
            return
        value = self.value(expression)
        if isinstance(value, Unknown):
            subject.unknown = value
        for text in value if isinstance(value, list) else ():
            name, mark, rest = str(text).partition("=")
            if mark:
                self.add(subject, name, expression, rest)

    def _pair(self, subject: Subject, item: Expression) -> None:
        text = self.value(item)
        written = _PAIR.match(item.text)
        if isinstance(text, Unknown):
            if written is None:
                subject.unknown = text
                return
            name = written[1]
        else:
            name, mark, text = str(text).partition("=")
            if not mark:
                return
        is_literal = item.literal() is not ABSENT and written is not None
        start, end = item.start, item.end
        if written is not None and written[1] == name and item.text.endswith('"'):
            start, end = start + written.end(), end - 1  # what the name begins with is ASCII
        span = Span(start, end)
        subject.add(Setting(name, text, span, item.file, self.origin(item), is_literal))

    def mapped(self, subject: Subject, expression: Expression | None) -> None:
        """Adds variables that are written as a map of names to values."""
        if expression is None:
            return
        members = expression.members()
        if members is not None:
            for key, value in members:
                name = key.literal() if key.literal() is not ABSENT else key.text
                self.add(subject, str(name).strip('"'), value)
            return
        value = self.value(expression)
        if isinstance(value, Unknown):
            subject.unknown = value
        for name, text in value.items() if isinstance(value, dict) else ():
            self.add(subject, str(name), expression, text)

    def listed(self, subject: Subject, expression: Expression | None) -> None:
        """Adds variables that are written as a list of objects with name and value."""
        if expression is None:
            return
        items = expression.items()
        if items is None:
            value = self.value(expression)
            subject.unknown = value if isinstance(value, Unknown) else subject.unknown
            for each in value if isinstance(value, list) else ():
                if isinstance(each, dict) and "name" in each:
                    self.add(subject, str(each["name"]), expression, each.get("value"))
            return
        for item in items:
            parts = members_of(item)
            self.named(subject, parts.get("name"), parts.get("value"), item)

    def named(
        self, subject: Subject, name: Expression | None, value: Expression | None, place: Expression | Block
    ) -> None:
        """Adds one variable that is written as a name and a value."""
        found = self.value(name)
        if isinstance(found, Unknown) or (name is None and isinstance(place, Expression) and place.members() is None):
            subject.unknown = found if isinstance(found, Unknown) else Unknown("an expression among the variables")
        elif isinstance(found, str):
            if value is not None:
                self.add(subject, found, value)
            else:
                reason = Unknown(f"{found} comes from elsewhere (a secret or a field)")
                subject.add(Setting(found, reason, Span(place.start, place.end), place.file, "", False))

    def memory(self, subject: Subject, expression: Expression | None, factor: int = 1) -> None:
        """Adds a limit: a number of `factor` bytes, or a quantity such as `8Gi`."""
        value = self.value(expression)
        if isinstance(value, str):
            size = bytes_of(value.strip(), Convention.KUBERNETES)
            value = Unknown(f"{value!r} is not an amount of memory") if size is None else size * factor
        elif values.is_number(value):
            value = int(value * factor)
        if value is not None and value != 0:
            self.add(subject, MEMORY_LIMIT, expression, value)


def members_of(expression: Expression) -> dict[str, Expression]:
    return {key.text.strip('"'): value for key, value in expression.members() or ()}
