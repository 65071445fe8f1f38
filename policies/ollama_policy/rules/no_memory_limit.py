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
    summary = "a container of Ollama without a memory limit"
    why = (
        "Ollama has no bound of its own for the memory that it takes: models that the GPU does not hold, prompt caches "
        "and leaks grow until the kernel ends something, and without a limit that may be any process of the machine. "
        "With one, that is a process of this container. Before 0.30 Ollama also evicts models sooner, as it takes the "
        "limit for the memory that there is; from 0.30 on it does so for a GPU's memory alone."
    )
    fix = "Give the container a limit, with room for its models: `mem_limit`, or `resources.limits.memory`."
    bad = (compose(image="«ollama/ollama:0.34.3»", limit=""),)
    good = (compose(limit="64g"),)
    source = "discover/cpu_linux.go: what there is, is the memory.max of cgroup v2; server/sched.go:552"
    experiment = (
        "A model loads whatever it takes; in a cgroup that is too small for it the kernel ends the runner, the "
        "load is HTTP 500, and the server lives on. Needs a cgroup that the test may make."
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
                "this container may take all memory of its machine",
                label="it has no memory limit",
                advice="limit it, with room for the models that it runs",
            )
