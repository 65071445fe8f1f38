"""What a user declares: the one source of an `ollama_model`'s fields, defaults, bounds and texts.

Schemas, documentation and every engine's adapter are generated from, or checked against, this file.
"""

import difflib
import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from ollama_provider.field_types import Deadline, Digest, KeepAlive, Name, checked_server, escaped, shown_value
from ollama_provider.files.gguf import is_missing, why_no_model
from ollama_provider.ollama import durations
from ollama_provider.ollama.names import (
    NAME_SHAPE,
    ModelName,
)
from ollama_provider.ollama.parameters import (
    PARAMETERS,
    ParameterError,
    ParameterType,
    refusal_of_name,
    typed,
    typed_all,
)
from ollama_provider.ollama.versions import OLDEST_SUPPORTED, Behavior, dotted

_TYPES_IN_SCHEMAS: dict[ParameterType, dict[str, Any]] = {
    # Numbers and truths may be given as texts, as engines often have them; a pattern is for texts alone.
    ParameterType.INTEGER: {"type": ["integer", "string"], "pattern": "^[+-]?[0-9]+$"},
    ParameterType.NUMBER: {
        "type": ["number", "string"],
        "pattern": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    },
    ParameterType.BOOLEAN: {
        "type": ["boolean", "string"],
        "pattern": "^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$",
    },
    ParameterType.TEXTS: {"type": ["array", "string"], "items": {"type": "string"}},
}
_PARAMETERS_SCHEMA = {
    "type": "object",
    "properties": {name: _TYPES_IN_SCHEMAS[kind] for name, kind in PARAMETERS.items()}
    | {"typical_p": _TYPES_IN_SCHEMAS[ParameterType.NUMBER]},
    "additionalProperties": False,
}


class MemoryManagement(StrEnum):
    """Who releases a model's memory."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class PullPolicy(StrEnum):
    """When an apply asks the registry for a model."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class OnDestroy(StrEnum):
    """What a destroy leaves behind."""

    DELETE = "delete"
    UNLOAD = "unload"
    KEEP = "keep"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    # An engine hands over an unset optional as null; it is the same as leaving it out.
    return {name: value for name, value in values.items() if value is not None}


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False)


class Timeouts(_Declared):
    """How long an apply waits, as Go durations."""

    pull: Deadline = Field(default="6h", description="For a whole pull, upload or creation. A stall ends it sooner.")
    load: Deadline = Field(default="10m", description="For a model to get into memory.")
    unload: Deadline = Field(default="1m", description="For a model to leave memory, requests in flight included.")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: object) -> object:
        return _given(values) if isinstance(values, Mapping) else values

    def in_seconds(self) -> dict[str, float]:
        return {name: durations.seconds(getattr(self, name)) for name in type(self).model_fields}


class ModelDeclaration(_Declared):
    """One declared model, valid in itself. Make it with `declare`."""

    name: Name = Field(
        description=f"The model's name, `{NAME_SHAPE}`. `llama3` is `llama3:latest`. The tag `local` is refused, "
        "because Ollama reaches `latest` by it. A tag `cloud`, or one that ends in `-cloud`, is a model on "
        "ollama.com: only `automatic` is accepted, and this server does not hold it in memory.",
        examples=["llama3"],
    )
    memory_management: MemoryManagement = Field(
        MemoryManagement.AUTOMATIC,
        description="Who releases the model's memory: with `automatic`, Ollama, after `keep_alive` without a call; "
        "with `manual`, the operator, by an apply.",
    )
    keep_alive: KeepAlive | None = Field(
        None,
        description="With `automatic`: how long the model may stay in memory without a call, a finite Go duration. "
        "Without it, the server's default and every client decide.",
        examples=["5m"],
    )
    resident: StrictBool | None = Field(
        None,
        description="With `manual`: true (the default there) loads the model and pins it, false unloads it.",
    )
    digest: Digest | None = Field(
        None,
        description="The manifest digest that the name must have. A pull that gets another one is an error, and the "
        "previous content stays.",
    )
    pull_policy: PullPolicy = Field(
        PullPolicy.MISSING,
        description="`missing` pulls a model that is not there, `always` asks the registry at every apply, `never` "
        "does not pull.",
    )
    insecure: StrictBool = Field(False, description="Whether to pull over plain HTTP or unverified TLS.")
    base: Name | None = Field(
        None,
        description="Derive the model from this one, which is pulled if it is missing, and stays when the derived "
        "model is destroyed. To have it deleted as well, declare it in the same apply; one that you declare in a "
        "later apply counts as found.",
        examples=["llama3"],
    )
    gguf: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="Make the model from this local GGUF file, which is uploaded once. For a model in several files, "
        "give the first, `...-00001-of-00003.gguf`, with the others beside it; Ollama accepts those from 0.34.1 "
        "on.",
    )
    # Their names and types are no matter of their form: a state from before they were checked must be readable.
    parameters: Annotated[dict[str, Any], AfterValidator(typed_all), WithJsonSchema(_PARAMETERS_SCHEMA)] | None = Field(
        None,
        description="With `base` or `gguf`: the model's own parameters, such as num_ctx, for every client. A number or "
        "a boolean may be given as text.",
    )
    system: str | None = Field(None, description="With `base` or `gguf`: the model's system prompt.")
    template: str | None = Field(None, description="With `base` or `gguf`: the model's prompt template.")
    on_destroy: OnDestroy | None = Field(
        None,
        description="`delete` unloads the model and removes it, `unload` leaves its files, `keep` leaves everything. "
        "If it is not set, the model's `origin` decides: a model that the resource pulled, derived or uploaded is "
        "deleted, and a model that was there before is unloaded and stays. A run does not see what another state or "
        "workspace has on the same server: there, `unload` prevents a destroy by one from deleting a model that the "
        "other found.",
    )
    timeouts: Timeouts = Field(Timeouts(), description="How long an apply waits.")
    host: Annotated[str, AfterValidator(checked_server)] | None = Field(
        None,
        description="The server, as in OLLAMA_HOST. Overrides the provider's own. Another host means another model.",
    )

    @property
    def model_name(self) -> ModelName:
        return ModelName.parse(self.name)

    @property
    def base_name(self) -> ModelName | None:
        return ModelName.parse(self.base) if self.base else None

    @property
    def expected_digest(self) -> str | None:
        return self.digest.removeprefix("sha256:") if self.digest else None

    @property
    def is_made_here(self) -> bool:
        """Whether the model is derived or uploaded, not pulled."""
        return self.base is not None or self.gguf is not None

    @property
    def must_be_resident(self) -> bool:
        return self.memory_management is MemoryManagement.MANUAL and self.resident is not False

    @property
    def must_be_absent(self) -> bool:
        return self.memory_management is MemoryManagement.MANUAL and self.resident is False

    @property
    def is_left_to_the_server(self) -> bool:
        return self.memory_management is MemoryManagement.AUTOMATIC and self.keep_alive is None


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a declaration: at which property, what was found there, and what is accepted."""

    path: tuple[str | int, ...]
    found: str
    expected: str

    @property
    def reason(self) -> str:
        return f"found {self.found}, expected {self.expected}"

    def __str__(self) -> str:
        return f"{escaped('.'.join(map(str, self.path)))}: {self.reason}"


class InvalidDeclarationError(ValueError):
    """A declaration that cannot be carried out; `problems` has each reason."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def declare(values: Mapping[str, Any]) -> ModelDeclaration:
    """Reads known values. Raises InvalidDeclarationError with everything that is wrong with them at once."""
    if problems := problems_of(values):
        raise InvalidDeclarationError(problems)
    return ModelDeclaration.model_validate(_given(values))


def recorded(values: Mapping[str, Any]) -> ModelDeclaration:
    """Reads what a state was declared as. Raises InvalidDeclarationError where no apply can have written it."""
    try:
        return ModelDeclaration.model_validate(values)
    except ValidationError as invalid:
        why = (
            "the state contains something that no apply wrote: restore it, or remove the resource from it and import it"
        )
        found = [_explained(error) for error in invalid.errors(include_url=False)]
        problems = [Problem(one.path, one.found, f"{one.expected}; {why}") for one in found]
        raise InvalidDeclarationError(problems) from None


def problems_of(values: Mapping[str, Any], unknown: Collection[str] = (), *, opens_files: bool = True) -> list[Problem]:
    """All that is wrong with values, of which some properties may not be known yet: those are taken as right.

    A local file that is missing is not among it (`missing_file`). `opens_files` False: nor is what a file holds.
    """
    known = {name: value for name, value in _given(values).items() if name not in unknown}
    problems = []
    try:
        ModelDeclaration.model_validate(known)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            if error["type"] != "missing" or error["loc"][0] not in unknown:
                problems.append(_explained(error))
    refused = {str(problem.path[0]) for problem in problems}
    valid = {name: value for name, value in known.items() if name not in refused}
    problems.extend(_contradictions(valid, refused.union(unknown)))
    file = valid.get("gguf") if opens_files else None
    if file is not None and not is_missing(Path(file)) and (wrong := _wrong_file(file)):
        problems.append(wrong)
    problems.extend(_parameter_problems(valid.get("parameters") or {}))
    return problems


def _parameter_problems(given: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in given.items():
        if expected := refusal_of_name(name):
            yield Problem(("parameters",), shown_value(name), expected)
            continue
        try:
            if value is not None:
                typed(name, value)
        except ParameterError as error:
            yield Problem(("parameters",), f"{shown_value(value)} for {shown_value(name)}", str(error))


def _contradictions(values: Mapping[str, Any], unknown: Collection[str]) -> Iterator[Problem]:
    if "memory_management" not in unknown:
        mode = values.get("memory_management", MemoryManagement.AUTOMATIC)
        if mode == MemoryManagement.AUTOMATIC and "resident" in values:
            expected = 'no resident if memory_management is "automatic": use keep_alive instead'
            yield Problem(("resident",), shown_value(values["resident"]), expected)
        if mode == MemoryManagement.MANUAL and "keep_alive" in values:
            expected = 'no keep_alive if memory_management is "manual": use resident instead'
            yield Problem(("keep_alive",), shown_value(values["keep_alive"]), expected)
    if "base" in values and "gguf" in values:
        yield Problem(("gguf",), shown_value(values["gguf"]), "either base or gguf, and base is given too")
    if not {"base", "gguf"} & {*values, *unknown}:
        for companion in ("parameters", "system", "template"):
            if companion in values:
                yield Problem((companion,), shown_value(values[companion]), "a base or a gguf that it belongs to")
    if "base" in values and "name" in values and ModelName.parse(values["base"]) == ModelName.parse(values["name"]):
        yield Problem(("base",), shown_value(values["base"]), "another model than the one that is declared")
    yield from _names_of_others(values, unknown)


def _names_of_others(values: Mapping[str, Any], unknown: Collection[str]) -> Iterator[Problem]:
    """Names by which Ollama reaches another model than the declared one, or one that no server of ours runs.

    Which version the server has is not known here, so they are refused for every version.
    """
    names = {key: ModelName.parse(values[key]) for key in ("name", "base") if key in values}
    since = dotted(Behavior.LOCAL_AND_CLOUD_TAGS.since or OLDEST_SUPPORTED)
    for key, name in names.items():
        if name.is_local_tag:
            expected = (
                f"a tag other than local: from {since} on Ollama drops it in calls, in a pull and in a delete, "
                f"and reaches {name.reached}"
            )
            yield Problem((key,), shown_value(values[key]), expected)
    clouds = [key for key, name in names.items() if name.is_cloud_tag]
    sources = [key for key in ("base", "gguf") if key in values]
    if "name" in clouds and sources:
        expected = (
            f"a tag that is not cloud and does not end in -cloud where {sources[0]} is given: from {since} on Ollama "
            f"sends every call of this name to {names['name'].reached} on ollama.com"
        )
        yield Problem(("name",), shown_value(values["name"]), expected)
    elif clouds and "memory_management" not in unknown and values.get("memory_management") == MemoryManagement.MANUAL:
        expected = (
            f'"automatic" for a model that runs on ollama.com ({shown_value(values[clouds[0]])}): this server holds '
            "nothing of it in memory, so there is nothing to pin or to unload"
        )
        yield Problem(("memory_management",), shown_value("manual"), expected)


def missing_file(
    values: Mapping[str, Any], unknown: Collection[str] = (), before: Mapping[str, Any] | None = None
) -> Problem | None:
    """Where the local file to make a model from is missing. Apart from `problems_of`, for a model that was made of it
    `before` (a state, or the inputs of an earlier apply) needs it no more: not to change, not to go."""
    gguf = None if "gguf" in unknown else values.get("gguf")
    if not gguf or (before and before.get("gguf") == gguf) or not is_missing(Path(gguf)):
        return None
    return _wrong_file(gguf)


def _wrong_file(gguf: str) -> Problem | None:
    why = why_no_model(Path(gguf))
    return Problem(("gguf",), shown_value(gguf), f"a GGUF file; {why}") if why else None


def _explained(error: ErrorDetails) -> Problem:
    path = tuple(part for part in error["loc"] if isinstance(part, int) or not part.startswith("function-"))
    found, kind, context = shown_value(error["input"]), error["type"], error.get("ctx", {})
    if kind == "refused":
        return Problem(path, str(context["found"]), str(context["expected"]))
    if kind == "missing":
        return Problem(path, "nothing", "a value: it is required")
    if kind == "extra_forbidden":
        accepted = list((Timeouts if path[0] == "timeouts" else ModelDeclaration).model_fields)
        return Problem(
            path, "a property of that name", f"one of {', '.join(accepted)}" + _did_you_mean(path[-1], accepted)
        )
    if kind == "enum":
        accepted = [text.strip().strip("'") for text in str(context["expected"]).replace(" or ", ", ").split(",")]
        return Problem(path, found, " or ".join(map(shown_value, accepted)) + _did_you_mean(error["input"], accepted))
    if kind == "string_type":
        is_duration = path[0] in ("keep_alive", "timeouts")
        hint = _quoted_hint(error["input"]) if is_duration else ""
        return Problem(path, f"{found}, which is not text", "a text" + hint)
    return Problem(path, found, error["msg"].removeprefix("Input should be ").removeprefix("Value error, "))


def _quoted_hint(value: object) -> str:
    return f' such as "{value:g}s"' if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _did_you_mean(found: object, accepted: Collection[str]) -> str:
    meant = _close_to(str(found).lower(), tuple(accepted))
    return f" (did you mean {meant!r}?)" if meant else ""


@functools.lru_cache(1000)  # one slip may stand in many declarations, and each look takes a millisecond
def _close_to(text: str, accepted: tuple[str, ...]) -> str:
    starts = [candidate for candidate in accepted if len(text) > 2 and candidate.startswith(text)]
    return next(iter(starts or difflib.get_close_matches(text, accepted, 1)), "")
