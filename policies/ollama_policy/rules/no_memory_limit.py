"""OLL203: a container that may take all memory of its machine."""

from collections.abc import Iterator
from typing import ClassVar

from ollama_policy.model.rule import Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided
from ollama_policy.model.settings import IMAGE, MEMORY_LIMIT, Kind, Style, Subject
from ollama_policy.rules.examples import compose


class NoMemoryLimit(Rule):
    id = "OLL203"
    name = "no-memory-limit"
    severity = Severity.INFO
    kind = Kind.SERVER
    keys: ClassVar[frozenset[str]] = frozenset()
    summary = "an Ollama container without a memory limit"
    why = (
        "Ollama does not bound its own memory use: models that do not fit on the GPU, prompt caches and leaks grow "
        "until the kernel ends a process, and without a limit that may be any process on the machine. With a limit, it "
        "is a process of this container. Before 0.30 Ollama also evicts models sooner, because it treats the limit as "
        "the memory that is available; from 0.30 on it does so only for a GPU's memory."
    )
    fix = "Set a limit, with room for the container's models: `mem_limit`, or `resources.limits.memory`."
    bad = (compose(image="«ollama/ollama:0.34.3»", limit=""),)
    good = (compose(limit="64g"),)
    source = "discover/cpu_linux.go: the available memory is the memory.max of cgroup v2; server/sched.go:552"
    experiment = (
        "A model loads however much memory it needs; in a cgroup that is too small for it the kernel ends the runner, "
        "the load fails with HTTP 500, and the server keeps running. The test needs a cgroup that it may create."
    )

    def judge(self, subject: Subject, target: Target) -> Iterator[Finding]:
        image = subject.known(IMAGE)
        # A Dockerfile, a unit or a shell's command has no place, or another, for a limit.
        if image is None or subject.style is Style.BARE or not decided(subject, MEMORY_LIMIT):
            return
        if subject.value(MEMORY_LIMIT) is None:
            yield self.at(
                image,
                subject,
                "this container may use all memory of its machine",
                label="it has no memory limit",
                advice="set a memory limit, with room for the models that it runs",
            )
