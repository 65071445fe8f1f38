"""OLL302: an image that is another one tomorrow."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import image_of
from ollama_policy.model.settings import IMAGE, Kind, Subject
from ollama_policy.rules.examples import compose


class UnpinnedImage(Rule):
    id = "OLL302"
    name = "unpinned-image"
    severity = Severity.INFO
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((IMAGE,))
    summary = "an Ollama image without a version"
    why = (
        "A tag such as `latest` or `rocm` moves with every release, and releases change how much memory Ollama uses "
        "and when it releases it: 0.15.5 introduced contexts of up to 262144 tokens, and 0.30 a prompt cache of 8 GiB "
        "for each runner. Such a change should come with a commit, not with a restart."
    )
    fix = "Name a version, such as `ollama/ollama:0.34.3`, or a digest."
    bad = (compose(image="«ollama/ollama:latest»"),)
    good = (compose(image="ollama/ollama:0.34.3"),)
    source = "docker.io/ollama/ollama"
    not_shown = "A test needs a container engine, and a registry in which a tag moves."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        setting, image = subject.known(IMAGE), image_of(subject)
        if setting is None or image is None or not image.is_official or image.is_pinned:
            return
        named = f"the tag {image.tag} moves" if image.tag else "an image without a tag is latest, which moves"
        yield self.at(
            setting,
            subject,
            "the next pull may change the version of Ollama",
            label=named,
            advice="name a version or a digest",
        )
