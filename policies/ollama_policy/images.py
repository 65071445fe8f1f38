"""References of container images, as far as they say which Ollama is in them."""

import re
from typing import NamedTuple

from ollama_provider.ollama.variables import Version

_VERSION = r"v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?![0-9.])"


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


def version_in(text: str) -> Version | None:
    """The version that a text begins with: `0.5.4`, `v0.5.4-rocm`, `0.33.0-rc2`."""
    match = re.match(_VERSION, text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def shown(version: Version) -> str:
    return ".".join(map(str, version))
