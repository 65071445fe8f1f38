"""A server's settings, typed and checked before a server reads them: it takes a default for what it cannot read.

The variables are those of `ollama.variables`, each under its name without `OLLAMA_` and in small letters. Knows no
engine.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ollama_provider.model import Problem
from ollama_provider.ollama.names import InvalidServerError, server_url
from ollama_provider.ollama.settings.kv_cache_types import OF_LLAMA_CPP, OF_OLLAMA, UNQUANTISED
from ollama_provider.ollama.settings.variables import (
    VARIABLES,
    Reading,
    env_keep_alive,
    meant_duration,
    text_of,
)
from ollama_provider.ollama.versions import Behavior, Version, dotted, is_within, version_in

# OLLAMA_API_KEY is none: it is a secret, and what engines compute lies open in their states.
SETTINGS: Final = {
    name.removeprefix("OLLAMA_").lower(): name
    for name, variable in VARIABLES.items()
    if variable.removed is None and name != "OLLAMA_API_KEY"
}
_LEAST = {"llama_arg_cache_ram": -1}
_UINT64 = 2**64
_PLAIN = r"[\w./:,@%+=*-]*"


def problems_of(
    settings: Mapping[str, Any], unknown: Collection[str] = (), version_text: str | None = None
) -> list[Problem]:
    """All that is wrong with given settings, for any server or for a version. `unknown` are those not known yet."""
    version = version_in(version_text) if version_text is not None else None
    if version_text is not None and version is None:
        return [Problem(("version",), _shown(version_text), 'a version of Ollama such as "0.34.3"')]
    problems = []
    for name, value in settings.items():
        expected = _too_new(name, version) or _expected(name, value, version)
        if expected:
            problems.append(Problem((name,), _shown(value), expected))
    return problems or list(_contradictions(settings, unknown, version))


def variables_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a server with valid settings."""
    return {SETTINGS[name]: text_of(value) for name, value in settings.items()}


def environment_file(variables: Mapping[str, str]) -> str:
    """The variables as systemd's EnvironmentFile and compose's env_file read them.

    Docker's --env-file keeps the quotes of a quoted value, and Ollama itself takes those off.
    """
    quoted = {name: text if re.fullmatch(_PLAIN, text) else f"'{text}'" for name, text in variables.items()}
    return "".join(f"{name}={text}\n" for name, text in quoted.items())


def _too_new(name: str, version: Version | None) -> str | None:
    since = VARIABLES[SETTINGS[name]].since
    if version is None or is_within(version, since, None):
        return None
    return f"nothing: {SETTINGS[name]} is read from Ollama {dotted(since)} on, and the version is {dotted(version)}"


def _expected(name: str, value: Any, version: Version | None) -> str | None:
    """What a setting takes; None where the value is such."""
    match VARIABLES[SETTINGS[name]].reading:
        case Reading.BOOLEAN:
            return None if isinstance(value, bool) else "true or false"
        case Reading.NUMBER | Reading.MEBIBYTES as reading:
            least = _LEAST.get(name, 0)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return None if is_whole and least <= value < _UINT64 else f"{reading}, {least} or more"
        case Reading.DURATION:
            if not isinstance(value, str) or env_keep_alive(value) is None:
                meant = meant_duration(str(value))
                hint = f" (did you mean {_shown(meant)}?)" if meant else ""
                return f'a Go duration such as "5m" or "1h30m", or whole seconds; negative is forever{hint}'
        case Reading.KV_CACHE_TYPE:
            takes_all = Behavior.UNCHECKED_KV_CACHE_TYPE.holds(version, if_unknown=True)
            known = OF_LLAMA_CPP if takes_all else OF_OLLAMA
            return None if str(value).lower() in known else f"one of {', '.join(known)}"
        case Reading.FOLDER if not re.match(r"/|[A-Za-z]:[\\/]", str(value)):
            return "the absolute path of the folder of all models"
    if not isinstance(value, str) or not value.isprintable() or "'" in value:
        return "one line of text without single quotes"
    return _why_no_address(value) if name == "host" else None


def _why_no_address(text: str) -> str | None:
    try:
        server_url(text)
    except InvalidServerError as error:
        return f"an address to listen on, as in OLLAMA_HOST; {error}"
    return None


def _contradictions(
    settings: Mapping[str, Any], unknown: Collection[str], version: Version | None
) -> Iterator[Problem]:
    kv_cache_type, has_flash = settings.get("kv_cache_type", ""), settings.get("flash_attention")
    chooses_itself = has_flash is None and Behavior.AUTOMATIC_FLASH_ATTENTION.holds(version, if_unknown=False)
    is_quantised = str(kv_cache_type).lower() not in UNQUANTISED
    if is_quantised and not has_flash and not chooses_itself and "flash_attention" not in unknown:
        expected = "flash_attention = true as well, because a quantised KV cache needs flash attention; or f16"
        yield Problem(("kv_cache_type",), _shown(kv_cache_type), expected)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)
