"""OLL301: a version of Ollama whose leak is known and fixed later."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.images import Image, shown
from ollama_policy.model.rule import Finding, Fix, Rule, Severity, Target
from ollama_policy.model.servers import version_of
from ollama_policy.model.settings import IMAGE, VERSION, Edit, Kind, Setting, Subject
from ollama_policy.rules.examples import compose
from ollama_provider.ollama.leaks import fixed_in, leaks_in
from ollama_provider.ollama.versions import Version


class LeakingVersion(Rule):
    id = "OLL301"
    name = "leaking-version"
    severity = Severity.WARNING
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset((IMAGE, VERSION))
    summary = "a version of Ollama that is known to leak"
    why = (
        "Some releases leak memory because of their own defects, and no setting helps: 0.6.0 to 0.6.5 with gemma3, "
        "0.6.6 and 0.6.7 with images, all before 0.7.0 with structured outputs, and 0.6.6 to 0.7.0 lose runners in "
        "VRAM. The rule reports only leaks that a later release is known to fix. It does not report the prompt cache "
        "from 0.30 on, which OLL202 covers. It does not report the cache of MLX's runner either, on macOS and in the "
        "Linux image for CUDA: up to 8 GiB of prompts, which no variable bounds and no known release fixes."
    )
    fix = "Use a version that fixes the leak, and test what else changes: a newer version has defaults of its own."
    bad = (compose(image="«ollama/ollama:0.6.5»"),)
    good = (compose(image="ollama/ollama:0.7.1"),)
    source = "issues 10040, 10434, 10688 and 10433; for MLX 16698 and 17875, and mlxrunner/prefix_cache.go:43"
    not_shown = "The releases that leak are years old, and the leaks need images, structured outputs and GPUs."

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        version = version_of(subject, target)
        if version is None:
            return
        message = leaks_of(version)
        if not message:
            return
        wanted = fixed_in(version)
        label = f"fixed in {shown(wanted)}"
        setting = subject.known(VERSION) or subject.known(IMAGE)
        if setting is None:
            yield self.about(subject, message, label=label)
        else:
            edit = _edit(setting, version, wanted)
            fixes = (Fix(f"use {shown(wanted)}", (edit,)),) if edit else ()
            yield self.at(setting, subject, message, label=label, fixes=fixes)


def leaks_of(version: Version) -> str:
    """What a version loses memory by, in one sentence; empty where nothing is known."""
    words = "; ".join(f"{leak.what} ({leak.issues})" for leak in leaks_in(version))
    return f"Ollama {shown(version)} leaks: {words}" if words else ""


def _edit(setting: Setting, version: Version, wanted: Version) -> Edit | None:
    """Puts the wanted version in the place of the written one; none where a digest says which content is meant."""
    written = setting.written
    is_fixed = setting.key == IMAGE and Image.parse(str(setting.value)).digest
    if not setting.is_literal or is_fixed or written.count(shown(version)) != 1:
        return None
    return Edit(setting.file, setting.span, written.replace(shown(version), shown(wanted)))
