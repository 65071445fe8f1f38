"""The provider as a whole: its configuration, and what it offers."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from threading import Thread

from ollama_provider.connections import ProviderSettings
from ollama_provider.engine_run import EngineRun, this_run
from ollama_provider.model import InvalidDeclarationError
from ollama_provider.terraform.data_sources.model import ModelDataSource
from ollama_provider.terraform.data_sources.models import ModelsDataSource
from ollama_provider.terraform.data_sources.running_models import RunningModelsDataSource
from ollama_provider.terraform.data_sources.server import ServerDataSource
from ollama_provider.terraform.data_sources.server_environment import ServerEnvironmentDataSource
from ollama_provider.terraform.functions import DurationFunction, ModelMemoryFunction, ModelNameFunction
from ollama_provider.terraform.model_resource import ModelResource
from ollama_provider.terraform.progress import reporter
from ollama_provider.terraform.protocol.provider import Diagnostic, Provider, Values
from ollama_provider.terraform.protocol.schema import Attribute, Schema
from ollama_provider.terraform.protocol.values import STRING, holds_unknown, map_of, plain
from ollama_provider.terraform.session import Session, diagnosed, diagnostics_of

SCHEMA = Schema(
    description="Ollama models, with their memory as part of the desired state.",
    attributes={
        "host": Attribute(
            type=STRING,
            description="The server, as in OLLAMA_HOST, which applies if this is not set. A resource's own `host` "
            "overrides it.",
            optional=True,
        ),
        "token": Attribute(
            type=STRING,
            description="A bearer token for this provider's server only. Default: OLLAMA_API_KEY. May be an ephemeral "
            "value; it is not in any state or plan.",
            optional=True,
            sensitive=True,
        ),
        "headers": Attribute(
            type=map_of(STRING),
            description="Headers of every request to this provider's server only. May be ephemeral values; they are "
            "not in any state or plan.",
            optional=True,
            sensitive=True,
        ),
        "ca_file": Attribute(
            type=STRING,
            description="A file with the certificates of the authority that signed the server's.",
            optional=True,
        ),
        "memory": Attribute(
            type=STRING,
            description='How much memory the server has, such as `"64GiB"`. Not needed if the server is this machine.',
            optional=True,
        ),
        "memory_check": Attribute(
            type=STRING,
            description="What a plan reports if models that it will pin do not fit beside the pinned ones: "
            "`warn`, `error` or `off`. Default: `warn`. Prompt caches that may outgrow the memory are at most a "
            "warning.",
            optional=True,
        ),
    },
)


class OllamaProvider(Provider):
    """`terraform-provider-ollama`."""

    schema = SCHEMA

    def __init__(self, environment: Mapping[str, str] = os.environ, run: Callable[[], EngineRun] = this_run) -> None:
        self._environment = environment
        self._run = run
        self._report = reporter()
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it says every request
        self._session: Session | None = None
        self._past_sessions: list[Session] = []
        self.resources = (ModelResource(self.session, lambda: self._session is not None),)
        asking = (ModelDataSource, ModelsDataSource, RunningModelsDataSource, ServerDataSource)
        self.data_sources = (*(source(self.session) for source in asking), ServerEnvironmentDataSource())
        self.functions = (ModelNameFunction(), DurationFunction(), ModelMemoryFunction())

    def session(self) -> Session:
        assert self._session is not None, "Terraform configures a provider before it asks it for anything"
        return self._session

    def validate(self, config: Values) -> Sequence[Diagnostic]:
        known = {name: None if holds_unknown(value) else plain(value) for name, value in config.items()}
        try:
            # What only the environment has wrong is said when it is used.
            ProviderSettings.read(known, {})
        except InvalidDeclarationError as error:
            return diagnostics_of(error.problems)
        return ()

    def configure(self, config: Values) -> None:
        settings = None
        if not any(map(holds_unknown, config.values())):
            with diagnosed():
                settings = ProviderSettings.read(plain(config), self._environment)
        if self._session:
            self._past_sessions.append(self._session)
        self._session = Session(settings, self._report, self._run)
        # Terraform has work of its own before it asks for the first model: enough to import httpx meanwhile.
        Thread(target=import_module, args=("ollama_provider.ollama.http.api",), daemon=True).start()
        Thread(target=self._session.sight.look_around, daemon=True).start()

    async def close(self) -> None:
        for session in (*self._past_sessions, *filter(None, [self._session])):
            await session.close()
