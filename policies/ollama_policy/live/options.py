"""What a run over files is asked for, and the rules, configuration and baseline that it comes to."""

# Each step imports what it needs, and pathlib costs the start 5 ms.
# ruff: noqa: PLC0415

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ollama_policy.errors import CannotLookError
from ollama_policy.text.terminal import progress

if TYPE_CHECKING:
    from ollama_policy.live.capacity.minimum import RecordedModels
    from ollama_policy.model.rule import Target
    from ollama_policy.model.settings import SourceFile, Subject
    from ollama_policy.pipeline.check import Options
    from ollama_policy.pipeline.configuration import Configuration
    from ollama_provider.ollama.names import ModelName


class Request(NamedTuple):
    """What `check` is asked for; the defaults are those of the command line."""

    paths: Sequence[str] = ()
    form: str = "text"
    output: str | None = None
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    is_strict: bool = False
    fail_on: str | None = None
    does_fix: bool = False
    shows_diff: bool = False
    with_unsafe_fixes: bool = False
    fix_with: Sequence[str] = ()
    baseline: str | None = None
    config: str | None = None
    stdin_filename: str | None = None
    target_version: str | None = None
    is_verbose: bool = False


def options_of(request: Request, overlay: dict[str, bytes], *, with_baseline: bool = True) -> "Options":
    """The request's rules, configuration and baseline. Raises CannotLookError."""
    from ollama_policy.pipeline import configuration as settings
    from ollama_policy.pipeline.check import Options
    from ollama_policy.rules import RULES

    try:
        configuration = _configuration(request)
        given = settings.parse({"select": _split(request.select), "ignore": _split(request.ignore)})
        target = configuration.target
        if request.target_version is not None:
            target = target._replace(version=settings.version(request.target_version))
        target = target._replace(models=_Models(target.snapshot))
        configuration = configuration._replace(
            select=given.select or configuration.select,
            ignore=(*configuration.ignore, *given.ignore),
            target=target,
            cures=dict(configuration.cures) | dict(map(_cure, request.fix_with)),
        )
        _check_prefixes(configuration)
        if configuration.cures:
            from ollama_policy.rules.registry import EVERY_RULE

            settings.check_cures(configuration.cures, {rule.id: rule.cures for rule in EVERY_RULE if rule.cures})
    except (settings.ConfigurationError, ValueError) as error:
        raise CannotLookError(str(error)) from None
    baseline = (request.baseline or configuration.baseline) if with_baseline else None
    return Options(
        rules=RULES,
        configuration=configuration,
        baseline=None if baseline is None else _baseline_file(baseline),
        overlay=overlay,
        progress=progress(),
    )


class _Models:
    """What is known of models, read when a rule first asks for it; a snapshot at once."""

    def __init__(self, snapshot: str | None) -> None:
        self._snapshot = snapshot
        if snapshot is not None:
            self._known  # noqa: B018 - it says what is wrong with it

    @cached_property
    def _known(self) -> "RecordedModels":
        from ollama_policy.live.capacity.minimum import RecordedModels

        return RecordedModels(self._snapshot)

    def least_bytes(self, subjects: "Sequence[Subject]", target: "Target") -> "dict[ModelName, int]":
        return self._known.least_bytes(subjects, target)

    def runs_elsewhere(self, name: "ModelName") -> bool:
        return self._known.runs_elsewhere(name)


def _cure(text: str) -> tuple[str, str]:
    rule_id, equals, cure = text.partition("=")
    if not equals:
        raise CannotLookError(f"--fix-with {text}: expected the id of a rule and its cure, such as OLL001=keep-alive")
    return rule_id.strip().upper(), cure.strip()


def _check_prefixes(configuration: "Configuration") -> None:
    from ollama_policy.pipeline import configuration as settings

    if configuration.select or configuration.ignore or configuration.severity or configuration.per_path_ignores:
        from ollama_policy.rules.registry import EVERY_RULE

        settings.check_prefixes(configuration, [rule.id for rule in EVERY_RULE])


def _configuration(request: Request) -> "Configuration":
    from ollama_policy.pipeline import configuration as settings

    path = request.config or settings.find(request.paths[0])
    return settings.Configuration() if path is None else settings.load(path)


def _baseline_file(path: str) -> "SourceFile":
    from ollama_policy.model.settings import SourceFile
    from ollama_policy.pipeline.regular_files import read_regular

    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        raise CannotLookError(f"cannot read the baseline {path}: {getattr(error, 'strerror', error)}") from None
    if data is None:
        raise CannotLookError(f"cannot read the baseline {path}: it is too large")
    return SourceFile(path.replace(os.sep, "/"), data)


def _split(values: Sequence[str]) -> list[str]:
    return [one.strip() for value in values for one in value.split(",") if one.strip()]
