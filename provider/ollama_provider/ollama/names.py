"""Model names and server addresses as Ollama reads them (its types/model/name.go and envconfig/config.go)."""

import re
from dataclasses import dataclass

DEFAULT_REGISTRY = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"
DEFAULT_SERVER = "http://127.0.0.1:11434"
NAME_SHAPE = "[registry[:port]/][namespace/]model[:tag]"

_PART = {
    "registry": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"),
    "namespace": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"),
    "model": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"),
}
_PREFIX_PATTERN = rf"({_PART['registry'].pattern}/)?{_PART['namespace'].pattern}/"
NAME_PATTERN = rf"^({_PREFIX_PATTERN})?{_PART['model'].pattern}(:{_PART['tag'].pattern})?$"
_LOCAL, _CLOUD = "local", "cloud"  # tags that say where a model is: internal/modelref/modelref.go
_DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidNameError(ValueError):
    """The text is not a model name that Ollama accepts; the message says which part is wrong."""


class InvalidServerError(ValueError):
    """The text is not an address of an Ollama server; the message says what is wrong and never repeats a password."""


@dataclass(frozen=True)
class ModelName:
    """A full model name. Two names are equal as Ollama compares them: without regard to case."""

    registry: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Reads a name, filling in Ollama's defaults. Raises InvalidNameError."""
        rest, tag = text, DEFAULT_TAG
        if rest.rfind(":") > rest.rfind("/"):
            rest, _, tag = rest.rpartition(":")
        *prefix, model = rest.split("/")
        if ":" in model:
            hint = f"; the cloud's model is written {rest}-cloud" if tag.lower() == _CLOUD else ""
            raise InvalidNameError(f"its model {model!r} has a tag of its own, and a name has one{hint}")
        if len(prefix) > 2:
            raise InvalidNameError(f"it has {len(prefix) + 1} parts between slashes, and Ollama knows at most 3")
        namespace = prefix.pop() if prefix else DEFAULT_NAMESPACE
        registry = prefix.pop() if prefix else DEFAULT_REGISTRY
        parts = {"registry": registry, "namespace": namespace, "model": model, "tag": tag}
        for part, value in parts.items():
            if not value:
                raise InvalidNameError(f"its {part} is empty")
            if not _PART[part].fullmatch(value):
                raise InvalidNameError(f"its {part} {value!r} has a character, or a length, that Ollama refuses")
        return cls(**parts)

    def __str__(self) -> str:
        """The shortest form with a tag, as /api/tags and /api/ps show it: `llama3:latest`."""
        if self.registry.lower() != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.namespace}/{self.model}:{self.tag}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def is_local_tag(self) -> bool:
        """Whether its tag is `local`, which from 0.18.0 on is not a tag to most of Ollama (`versions.SOURCE_TAGS`)."""
        return self.tag.lower() == _LOCAL

    @property
    def is_cloud_tag(self) -> bool:
        """Whether calls with this name go to ollama.com, from 0.18.0 on: its tag is `cloud`, or ends in `-cloud`."""
        return f"-{self.tag.lower()}".endswith(f"-{_CLOUD}")

    @property
    def names_a_source(self) -> bool:
        """Whether its tag says where calls go, from 0.18.0 on: a model that is here is not called by such a name."""
        return self.is_local_tag or self.is_cloud_tag

    @property
    def reached(self) -> "ModelName":
        """What a name with a tag of a source stands for: `chat:latest` for `chat:local`; else the name itself."""
        tag = self.tag
        if self.is_local_tag or tag.lower() == _CLOUD:
            tag = DEFAULT_TAG
        elif self.is_cloud_tag:
            tag = tag[: -len(f"-{_CLOUD}")]
        return ModelName(self.registry, self.namespace, self.model, tag)

    def _key(self) -> str:
        return f"{self.registry}/{self.namespace}/{self.model}/{self.tag}".lower()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelName) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def beside(self, purpose: str) -> "ModelName":
        """A second name in the same repository that nobody else would choose, always the same for this name."""
        import hashlib  # noqa: PLC0415 - 3 ms that a checker of names does not need

        digest = hashlib.sha256(self._key().encode()).hexdigest()[:12]
        return ModelName(self.registry, self.namespace, self.model, f"{purpose}-{digest}")


def server_url(text: str) -> str:
    """The base URL that Ollama's own client would use for a value of OLLAMA_HOST, without a slash at the end.

    `[scheme://]host[:port][/path]`; without a scheme the port defaults to 11434, `http://` means 80 and `https://` 443.
    An address that means "every interface" is dialled as loopback. Raises InvalidServerError where Ollama would
    fall back in silence (a bad port), and for anything that carries a password.
    """
    import ipaddress  # noqa: PLC0415 - as above
    from urllib.parse import urlsplit  # noqa: PLC0415

    stripped = text.strip().strip("\"'")
    if not stripped:
        return DEFAULT_SERVER
    if "@" in stripped:  # anywhere: a password with a slash in it must not be taken for a path and repeated
        raise InvalidServerError(
            "a URL with a user or password in it would end up in states and logs; "
            "give the secret as a token or a header instead"
        )
    scheme, separator, rest = stripped.partition("://")
    if not separator:
        scheme, rest = "http", stripped
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidServerError(f"its scheme is {scheme!r}, expected http or https")
    authority, _, path = rest.partition("/")
    if any(character in rest for character in "?#") or any(character.isspace() for character in rest):
        raise InvalidServerError("expected [scheme://]host[:port][/path], without spaces, query or fragment")
    if authority.count(":") > 1 and not authority.startswith("["):
        authority = f"[{authority}]"
    try:
        split = urlsplit(f"{scheme}://{authority}")
        host, port = split.hostname or "127.0.0.1", split.port
    except ValueError as error:
        raise InvalidServerError(f"{error}; expected [scheme://]host[:port][/path]") from None
    if port is None:
        port = _DEFAULT_PORTS[scheme] if separator else 11434
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", host):
            raise InvalidServerError(f"its host {host!r} is not a name and no address") from None
    else:
        address = getattr(address, "ipv4_mapped", None) or address  # both dial the same
        if address.is_unspecified:
            address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
        host = f"[{address}]" if address.version == 6 else str(address)
    base = f"{scheme}://{host}:{port}"
    path = path.strip("/")
    return f"{base}/{path}" if path else base


def server_key(text: str) -> str:
    """What two addresses of one server have in common: its URL, where `localhost` is 127.0.0.1.

    `::1` is another one: what listens there need not be what listens at 127.0.0.1. Raises InvalidServerError.
    """
    return re.sub(r"^(https?://)localhost(?=:)", r"\g<1>127.0.0.1", server_url(text))
