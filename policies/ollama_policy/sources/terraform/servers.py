"""Resources that run Ollama in a container, as subjects: what its variables are, its image and its memory."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ollama_policy.model.settings import GPU_COUNT, MEMORY_LIMIT, Span, Subject, Unknown
from ollama_policy.sources.terraform.language import values
from ollama_policy.sources.terraform.language.blocks import ABSENT, Block, Expression, attribute
from ollama_policy.sources.terraform.modules.expansion import expand
from ollama_policy.sources.terraform.modules.module import Instance
from ollama_policy.sources.terraform.server_reader import Reader, members_of


def subjects(block: Block, instances: list[Instance]) -> Iterator[Subject]:
    """One subject for each container that runs Ollama, for each instance of the block."""
    found = [
        subject
        for instance in instances
        for suffix, scope in expand(block, instance.scope())
        for subject in READERS[block.labels[0]](
            Reader(block, instance, scope, f"{instance.prefix}{block.labels[0]}.{block.labels[1]}{suffix}")
        )
    ]
    if len(found) > 1:
        first = {key: setting.value for key, setting in found[0].settings.items()}
        if any({key: setting.value for key, setting in each.settings.items()} != first for each in found):
            for each in found:
                for setting in each.settings.values():
                    setting.is_literal = False
    yield from found


def _docker_container(reader: Reader) -> Iterator[Subject]:
    """kreuzwerker/docker: `env` is a set of "NAME=value", `memory` is in MB (of 1024 * 1024 bytes)."""
    block, subject = reader.block, reader.subject()
    is_ollama = reader.image(subject, attribute(block, "image"))
    if not is_ollama and not reader.serves(attribute(block, "entrypoint"), attribute(block, "command")):
        return
    reader.pairs(subject, attribute(block, "env"))
    reader.memory(subject, attribute(block, "memory"), 1024 * 1024)
    yield subject


def _docker_service(reader: Reader) -> Iterator[Subject]:
    for task in reader.block.nested("task_spec"):
        for container in task.nested("container_spec"):
            subject = reader.subject()
            is_ollama = reader.image(subject, attribute(container, "image"))
            if not is_ollama and not reader.serves(attribute(container, "command"), attribute(container, "args")):
                continue
            reader.mapped(subject, attribute(container, "env"))
            for resources in task.nested("resources"):
                for limits in resources.nested("limits"):
                    reader.memory(subject, attribute(limits, "memory_bytes"))
            yield subject


def _kubernetes(reader: Reader) -> Iterator[Subject]:
    """hashicorp/kubernetes: nested `container` blocks, wherever the kind of workload has them."""
    for container in _containers(reader.block, 8):
        name = attribute(container, "name")
        subject = reader.subject(
            "" if name is None else str(name.literal() if name.literal() is not ABSENT else name.text), container
        )
        is_ollama = reader.image(subject, attribute(container, "image"))
        if not is_ollama and not reader.serves(attribute(container, "command"), attribute(container, "args")):
            continue
        for env in container.nested("env"):
            reader.named(subject, attribute(env, "name"), attribute(env, "value"), env)
        for each in container.nested("env_from"):
            reader.config_map(subject, each)
        for each in container.nested("dynamic"):
            if each.labels and each.labels[0] in ("env", "env_from"):
                subject.unknown = Unknown(f'a dynamic "{each.labels[0]}" block')
        for resources in container.nested("resources"):
            _limits(reader, subject, resources)
        yield subject


def _limits(reader: Reader, subject: Subject, resources: Block) -> None:
    limits = attribute(resources, "limits")
    parts = members_of(limits) if limits is not None else {}
    for old in resources.nested("limits"):
        parts |= {each.name: each for each in old.attributes()}
    if limits is not None and limits.members() is None and isinstance(value := reader.value(limits), Unknown):
        reader.add(subject, MEMORY_LIMIT, limits, value)
    _limited(reader, subject, parts)


def _limited(reader: Reader, subject: Subject, parts: Mapping[str, Expression]) -> None:
    reader.memory(subject, parts.get("memory"))
    for gpu in ("nvidia.com/gpu", "amd.com/gpu"):
        count = values.to_number(reader.value(parts.get(gpu)))
        if count is not None:
            reader.add(subject, GPU_COUNT, parts.get(gpu), count)


def _manifest(reader: Reader) -> Iterator[Subject]:
    from ollama_policy.sources.terraform import manifest  # noqa: PLC0415 - it needs a parser of YAML

    return manifest.subjects(reader)


def _helm_release(reader: Reader) -> Iterator[Subject]:
    from ollama_policy.sources.terraform import helm_release  # noqa: PLC0415 - as above

    return helm_release.subjects(reader)


def _containers(block: Block, depth: int) -> Iterator[Block]:
    if depth == 0:
        return
    yield from block.nested("container")
    for kind in ("spec", "template", "job_template"):
        for inner in block.nested(kind):
            yield from _containers(inner, depth - 1)


def _task_definition(reader: Reader) -> Iterator[Subject]:
    """AWS ECS: `container_definitions` is JSON; `memory` of a container is in MiB."""
    written = attribute(reader.block, "container_definitions")
    if written is None:
        return
    encoded = written.call("jsonencode")
    items = None if encoded is None else encoded.items()
    for item in items or ():
        parts = members_of(item)
        subject = reader.subject(str(reader.value(parts.get("name")) or ""), item)
        is_ollama = reader.image(subject, parts.get("image"))
        if not is_ollama and not reader.serves(parts.get("entryPoint"), parts.get("command")):
            continue
        subject.span = Span(parts["image"].start, parts["image"].end) if "image" in parts else subject.span
        reader.listed(subject, parts.get("environment"))
        if "environmentFiles" in parts:
            subject.unknown = Unknown("environmentFiles: a file in a bucket")
        reader.memory(subject, parts.get("memory") or attribute(reader.block, "memory"), 1024 * 1024)
        yield subject


_WORKLOADS: Final = (
    "deployment",
    "stateful_set",
    "daemon_set",
    "daemonset",
    "pod",
    "job",
    "cron_job",
    "replication_controller",
)
READERS: Final[dict[str, Callable[[Reader], Iterator[Subject]]]] = {
    "docker_container": _docker_container,
    "docker_service": _docker_service,
    "aws_ecs_task_definition": _task_definition,
    "kubernetes_manifest": _manifest,
    "helm_release": _helm_release,
    **{f"kubernetes_{kind}{version}": _kubernetes for kind in _WORKLOADS for version in ("", "_v1")},
}
