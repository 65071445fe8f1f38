"""What a project decides once: `ollama-policy.toml`, or the table `[tool.ollama-policy]` of pyproject.toml.

`FIELDS` is the one source of the keys: their check, the JSON Schema and the documentation come from it.
"""

# pathlib costs the start 5 ms, and a long walk much more.
# ruff: noqa: PTH100, PTH112, PTH113, PTH118, PTH119, PTH120

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ollama_policy.model.rule import Severity, Target
from ollama_policy.text.named_files import read_named
from ollama_policy.text.spelling import suggestion
from ollama_provider.ollama.sizes import bytes_of

_Read = TypeVar("_Read")

FILE_NAME = "ollama-policy.toml"
_TABLE = "ollama-policy"
_LEVELS = tuple(severity.value for severity in Severity)
_ID_PREFIX = r"[A-Za-z]{1,3}[0-9]{0,3}"
_VERSION = r"v?([0-9]{1,6})\.([0-9]{1,6})(?:\.([0-9]{1,6}))?(?:-.*)?"

_PREFIXES = {"type": "array", "items": {"type": "string", "pattern": f"^{_ID_PREFIX}$"}}
_TEXTS = {"type": "array", "items": {"type": "string"}}

FIELDS: dict[str, dict[str, Any]] = {
    "select": _PREFIXES | {"description": "The rules to use, by id or its beginning. All of them by default."},
    "ignore": _PREFIXES | {"description": "Rules not to use, by id or its beginning. The longer of two prefixes wins."},
    "severity": {
        "type": "object",
        "propertyNames": {"pattern": f"^{_ID_PREFIX}$"},
        "additionalProperties": {"enum": list(_LEVELS)},
        "description": "Another severity, by id or its beginning.",
    },
    "per-path-ignores": {
        "type": "object",
        "additionalProperties": _PREFIXES,
        "description": "Rules not to use in files that match a pattern as in .gitignore.",
    },
    "exclude": _TEXTS | {"description": "Files and folders not to look at, patterns as in .gitignore."},
    "baseline": {"type": "string", "description": "The baseline, relative to this file."},
    "fail-on": {"enum": list(_LEVELS), "description": "The lowest severity that fails a run. `warning` by default."},
    "strict": {"type": "boolean", "description": "Whether a value that cannot be decided fails a run."},
    "target-version": {
        "type": "string",
        "pattern": r"^v?\d+\.\d+(\.\d+)?(-.*)?$",
        "description": "The version of Ollama that this is meant for, where the configuration does not say.",
    },
    "target-memory": {
        "type": ["string", "integer"],
        "description": 'The memory of the machine, such as "64GiB", or in bytes. K, M, G and T are powers of 1024.',
    },
    "target-gpu-memory": {
        "type": ["string", "integer"],
        "description": 'The memory of one GPU, such as "24GiB", or in bytes. K, M, G and T are powers of 1024.',
    },
    "target-gpu-count": {"type": "integer", "minimum": 0, "description": "How many GPUs the machine has."},
    "fix": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z]{3}[0-9]{3}$"},
        "additionalProperties": {"type": "string"},
        "description": 'Which cure `--fix` writes, by the id of a rule that has several: `OLL001 = "keep-alive"` in '
        'place of `"manual"`, the default.',
    },
    "snapshot": {
        "type": "string",
        "description": "What servers said, as `ollama-policy fit --record` writes it, relative to this file: "
        "what the declared models are made of, for the rules that add up memory.",
    },
}


class ConfigurationError(Exception):
    """A configuration that cannot be used, with the file and what to write instead."""


class Configuration(NamedTuple):
    """A project's decisions. `folder` is what its patterns are relative to."""

    folder: str = os.curdir
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, Severity] = {}
    per_path_ignores: Mapping[str, tuple[str, ...]] = {}
    exclude: tuple[str, ...] = ()
    baseline: str | None = None
    fail_on: Severity = Severity.WARNING
    is_strict: bool = False
    target: Target = Target()
    cures: Mapping[str, str] = {}  # the name of the fix to write, by the rule's id

    def selects(self, rule_id: str) -> bool:
        """Whether a rule is used: by the longest prefix of `select` and `ignore`; `ignore` where both are as long."""
        chosen = _longest(rule_id, self.select) if self.select else 0
        return chosen is not None and chosen > (-1 if (left := _longest(rule_id, self.ignore)) is None else left)

    def severity_of(self, rule_id: str, default: Severity) -> Severity:
        length = _longest(rule_id, tuple(self.severity))
        return default if length is None else self.severity[rule_id[:length]]


def _longest(rule_id: str, prefixes: Sequence[str]) -> int | None:
    return max((len(prefix) for prefix in prefixes if rule_id.startswith(prefix)), default=None)


def find(start: str) -> str | None:
    """The nearest configuration file in a path's folder or over it."""
    folder = os.path.abspath(start if os.path.isdir(start) else os.path.dirname(start) or os.curdir)
    while True:
        path = os.path.join(folder, FILE_NAME)
        if os.path.lexists(path) and not os.path.isdir(path):
            return path  # whatever it is: where it cannot be read that is said
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path) and _has_table(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _has_table(path: str) -> bool:
    try:
        return b"ollama-policy" in read_named(path) and bool(_read(path)[1])
    except OSError:
        return False


def load(path: str) -> Configuration:
    """The configuration in a file. Raises ConfigurationError."""
    is_pyproject, table = _read(path)
    where = f"[tool.{_TABLE}]" if is_pyproject else "the top"
    return parse(table, os.path.relpath(os.path.dirname(os.path.abspath(path))), f"{os.path.relpath(path)}: ", where)


def _read(path: str) -> tuple[bool, dict[str, Any]]:
    import tomllib  # noqa: PLC0415 - costs 9 ms to those who have no configuration

    is_pyproject = os.path.basename(path) == "pyproject.toml"
    try:
        document = tomllib.loads(read_named(path).decode("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{os.path.relpath(path)}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{os.path.relpath(path)}: {error}") from None
    if not is_pyproject:
        return False, document
    tool = document.get("tool")
    table = tool.get(_TABLE) if isinstance(tool, dict) else None
    return True, table if isinstance(table, dict) else {}


def parse(table: Mapping[str, Any], folder: str = os.curdir, prefix: str = "", where: str = "the top") -> Configuration:
    """The configuration that a table says. Raises ConfigurationError, with `prefix` and all faults."""
    faults = [_unknown(key, where) for key in table if key not in FIELDS]

    def read(key: str, reader: Callable[[Mapping[str, Any], str], Any], default: Any) -> Any:
        try:
            return reader(table, key)
        except ValueError as error:
            faults.append(str(error))
            return default

    def path(key: str) -> str | None:
        text = read(key, _path, None)
        return None if text is None else os.path.normpath(os.path.join(folder, text))

    configuration = Configuration(
        folder=folder,
        select=read("select", _ids, ()),
        ignore=read("ignore", _ids, ()),
        severity=read("severity", _severities, {}),
        per_path_ignores=read("per-path-ignores", _ids_of_patterns, {}),
        exclude=read("exclude", _texts, ()),
        baseline=path("baseline"),
        fail_on=read("fail-on", _fail_on, Severity.WARNING),
        is_strict=read("strict", _flag, False),
        target=Target(
            version=read("target-version", _version, None),
            memory_bytes=read("target-memory", _memory, None),
            gpu_memory_bytes=read("target-gpu-memory", _memory, None),
            gpu_count=read("target-gpu-count", _count, None),
            snapshot=path("snapshot"),
        ),
        cures=read("fix", _cures, {}),
    )
    if faults:
        raise ConfigurationError(prefix + "; ".join(faults))
    return configuration


def _unknown(key: str, where: str) -> str:
    hint = suggestion(key, FIELDS)
    return f"unknown key {key!r} at {where}" + (f"; {hint}" if hint else "")


def severity(value: Any) -> Severity:
    """Raises ValueError."""
    if value not in _LEVELS:
        raise ValueError(f"{value!r} is not a severity, expected one of {', '.join(_LEVELS)}")
    return Severity(value)


def version(text: str) -> tuple[int, int, int]:
    """Raises ValueError."""
    match = re.fullmatch(_VERSION, text)
    if match is None:
        raise ValueError(f"{text!r} is not a version, expected such as 0.34.3")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def _each(reader: Callable[[str], _Read], texts: Iterable[str]) -> tuple[_Read, ...]:
    """What is read of each text. Raises ValueError, with all faults."""
    found, faults = [], []
    for text in texts:
        try:
            found.append(reader(text))
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(found)


def _path(table: Mapping[str, Any], key: str) -> str | None:
    path: str | None = _optional(table, key, str, "a path")
    return path


def _flag(table: Mapping[str, Any], key: str) -> bool:
    return bool(_optional(table, key, bool, "true or false"))


def _fail_on(table: Mapping[str, Any], key: str) -> Severity:
    return severity(table.get(key, Severity.WARNING))


def _severities(table: Mapping[str, Any], key: str) -> dict[str, Severity]:
    levels = _mapping(table, key)
    return dict(_each(lambda rule_id: (_id(rule_id), severity(levels[rule_id])), levels))


def _ids_of_patterns(table: Mapping[str, Any], key: str) -> dict[str, tuple[str, ...]]:
    ignored = _mapping(table, key)
    return dict(_each(lambda pattern: (pattern, _ids(ignored, pattern)), ignored))


def _cures(table: Mapping[str, Any], key: str) -> dict[str, str]:
    cures = _mapping(table, key)
    return dict(_each(lambda rule_id: (_id(rule_id), str(cures[rule_id])), cures))


def _version(table: Mapping[str, Any], key: str) -> tuple[int, int, int] | None:
    text = _optional(table, key, str, "a version")
    return None if text is None else version(text)


def _memory(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    size = bytes_of(value.strip()) if isinstance(value, str) else None
    if size is None:
        raise ValueError(f'{key} = {value!r} is not an amount of memory, expected such as "24GiB"')
    return size


def _count(table: Mapping[str, Any], key: str) -> int | None:
    value: int | None = _optional(table, key, int, "a whole number")
    if value is not None and value < 0:
        raise ValueError(f"{key} = {value}, expected none or more")
    return value


def _optional(table: Mapping[str, Any], key: str, kind: type, expected: str) -> Any:
    value = table.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise ValueError(f"{key} = {value!r}, expected {expected}")
    return value


def _mapping(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = _optional(table, key, dict, "a table") or {}
    return value


def _texts(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} = {value!r}, expected a list of texts")
    return tuple(value)


def _ids(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return _each(_id, _texts(table, key))


def _id(text: str) -> str:
    if not re.fullmatch(_ID_PREFIX, text):
        raise ValueError(f"{text!r} is not a rule, expected an id such as OLL001 or its beginning")
    return text.upper()


def check_prefixes(configuration: Configuration, known: Sequence[str]) -> None:
    """Refuses what names no rule at all. Raises ConfigurationError."""
    ignored = [one for ids in configuration.per_path_ignores.values() for one in ids]
    prefixes = dict.fromkeys((*configuration.select, *configuration.ignore, *configuration.severity, *ignored))
    faults = []
    for prefix in prefixes:
        if not any(rule_id.startswith(prefix) for rule_id in known):
            hint = suggestion(prefix, known)
            faults.append(f"no rule begins with {prefix}" + (f"; {hint}" if hint else ""))
    if faults:
        raise ConfigurationError("; ".join(faults))


def check_cures(cures: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
    """Refuses a choice that no rule has; `known` are the cures by the rule's id. Raises ConfigurationError."""
    faults = []
    for rule_id, cure in cures.items():
        if rule_id not in known:
            faults.append(f"fix {rule_id} = {cure!r}: there is a choice of fixes for {', '.join(known)} only")
        elif cure not in known[rule_id]:
            faults.append(f"fix {rule_id} = {cure!r}: expected one of {', '.join(known[rule_id])}")
    if faults:
        raise ConfigurationError("; ".join(faults))


def schema() -> dict[str, Any]:
    """The JSON Schema of `ollama-policy.toml`, and of the table in pyproject.toml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ollama-policy.toml",
        "description": "What a project decides once about `ollama-policy check`.",
        "type": "object",
        "properties": FIELDS,
        "additionalProperties": False,
    }
