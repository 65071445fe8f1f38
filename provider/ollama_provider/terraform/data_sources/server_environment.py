"""`ollama_server_environment`: a server's settings, typed and checked, as the variables that it is started with."""

from collections.abc import Sequence
from typing import Final

from ollama_provider.ollama.settings.variables import VARIABLES, Reading
from ollama_provider.server_environment import SETTINGS, environment_file, problems_of, variables_of
from ollama_provider.terraform.data_sources.asking import computed
from ollama_provider.terraform.protocol.provider import DataSource, Diagnostic, Values
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import BOOL, NUMBER, STRING, UNKNOWN, map_of, plain
from ollama_provider.terraform.session import diagnostics_of

_TYPES: Final = {Reading.BOOLEAN: BOOL, Reading.NUMBER: NUMBER, Reading.MEBIBYTES: NUMBER}


def _setting(variable_name: str) -> Attribute:
    variable = VARIABLES[variable_name]
    note = f"; {variable.note}" if variable.note else ""
    default = f" Default: {variable.default}." if variable.default else ""
    since = ".".join(map(str, variable.since))
    return Attribute(
        type=_TYPES.get(variable.reading, STRING),
        description=f"`{variable_name}`: {variable.reading}{note}.{default} Read from Ollama {since} on.",
        optional=True,
    )


class ServerEnvironmentDataSource(DataSource):
    name = "ollama_server_environment"
    schema = Schema(
        description="The environment of an Ollama server, from settings that are checked at plan time: for a value "
        "that it cannot read, Ollama uses a default, mostly without a log line. Contacts no server. Ollama "
        "decides a setting that is not given, or null.",
        attributes={
            "version": Attribute(
                type=STRING,
                description="The version of Ollama that will read them, such as `0.34.3`: a setting that it does not "
                "know is then an error.",
                optional=True,
            )
        }
        | {name: _setting(variable) for name, variable in SETTINGS.items()}
        | {
            "variables": computed(
                map_of(STRING), "The variables, as a compose file, a container, Helm's values or a unit take them."
            ),
            "environment_file": computed(
                STRING, "The same, one on each line, as systemd's `EnvironmentFile` and compose's `env_file` read them."
            ),
        },
    )

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        unknown = {name for name, value in config.items() if value is UNKNOWN}
        version = None if "version" in unknown else config["version"]
        return diagnostics_of(problems_of(_given(config), unknown, version))

    async def read(self, config: Values) -> Values:
        variables = variables_of(_given(config))
        return config | {"variables": variables, "environment_file": environment_file(variables)}


def _given(config: Values) -> Values:
    return {name: plain(config[name]) for name in SETTINGS if config[name] is not None and config[name] is not UNKNOWN}
