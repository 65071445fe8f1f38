"""References of container images: whether Ollama runs in one, and which version of it, as far as the text says."""

import re
from typing import Final, NamedTuple

from ollama_provider.ollama.versions import Version, version_in

# Compiled when first asked for: every run imports this.
_FILLED_IN: Final = r"\{\{.*?\}\}|\$\{[^${}]*\}|\$[A-Za-z_][A-Za-z0-9_]*"
_LONGEST: Final = 1000


class Image(NamedTuple):
    """`[registry[:port]/]path[:tag][@digest]`."""

    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Image":
        """Reads any text; what is not there is empty."""
        rest, _, digest = text.strip().partition("@")
        head, slash, name = rest.rpartition("/")
        name, _, tag = name.partition(":")
        return cls(head + slash + name, tag, digest)

    @property
    def is_official(self) -> bool:
        """Whether it is Ollama's own, or a mirror of it under the same path: only then the tag is Ollama's version."""
        return f"/{self.repository}".endswith("/ollama/ollama")

    @property
    def version(self) -> Version | None:
        return version_in(self.tag) if self.is_official else None

    @property
    def is_pinned(self) -> bool:
        """Whether it is the same tomorrow: by a digest, or by a tag that is a version."""
        return bool(self.digest) or version_in(self.tag) is not None


def is_ollama(reference: str) -> bool:
    """Whether an image is Ollama's server: its own, a mirror of it or a build of it, by the last part of its name.

    Not `open-webui:ollama`, `ollama-webui` or `litellm`: these have an Ollama at most beside what they are. A registry
    or a tag may be a reference, as in `${REGISTRY}/ollama/ollama:{{ version }}`.
    """
    if len(reference) > _LONGEST:
        return False
    found = 1 if "$" in reference or "{{" in reference else 0
    while found:  # references may stand in the defaults of others
        reference, found = re.subn(_FILLED_IN, "x", reference)
    return Image.parse(reference).repository.rpartition("/")[2].lower() == "ollama"


def shown(version: Version) -> str:
    return ".".join(map(str, version))
