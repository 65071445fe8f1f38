"""OLL004: a pin that the first reload loses, because the server's own default is finite."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ollama_policy.model.declarations import is_pinned, shown_name
from ollama_policy.model.rule import Example, Finding, Rule, Severity, Target
from ollama_policy.model.servers import decided, text
from ollama_policy.model.settings import Kind, Subject
from ollama_provider.ollama.settings.variables import FOR_EVER, env_keep_alive

_NAME = "OLLAMA_KEEP_ALIVE"
_MODEL = 'resource "ollama_model" "chat" {{\n  name              = "llama3"\n  memory_management = {}\n}}\n'
_SERVER = (
    "services:\n  ollama:\n    image: ollama/ollama:0.34.3\n    mem_limit: 64g\n"
    "    environment:\n      OLLAMA_KEEP_ALIVE: {}\n"
)


class PinWithoutServerDefault(Rule):
    id = "OLL004"
    name = "pin-without-server-default"
    severity = Severity.INFO
    kind = Kind.MODEL
    keys: ClassVar[frozenset[str]] = frozenset(("memory_management", "resident"))
    summary = "a pinned model that would lose its pin at the first reload"
    why = (
        "A pin belongs to the runner, not to the model. When a client's options reload the model, or after an "
        "eviction, a crash or a restart, a new runner starts with the server's OLLAMA_KEEP_ALIVE. The pin is lost "
        "without a message."
    )
    fix = (
        "Set `OLLAMA_KEEP_ALIVE=-1` on the server if every model that it runs is declared here. Otherwise, keep its "
        "default and watch for lost pins with `ollama-policy drift`."
    )
    bad = (Example("models.tf", _MODEL.format('«"manual"»')), Example("compose.yaml", _SERVER.format("10m")))
    good = (Example("models.tf", _MODEL.format('"manual"')), Example("compose.yaml", _SERVER.format('"-1"')))
    source = "server/sched.go, load: a runner uses envconfig.KeepAlive() unless its request sets a keep_alive"
    experiment = (
        "A client's call with another num_ctx reloads the pinned model, which then has a timer of ten minutes; with "
        "`-1` on the server the new runner is pinned again."
    )

    def judge_all(self, subjects: Sequence[Subject], target: Target) -> Iterator[Finding]:
        servers = [subject for subject in subjects if subject.kind is Kind.SERVER]
        if not servers or not all(decided(server, _NAME) for server in servers):
            return
        if any(env_keep_alive(text(server.known(_NAME))) == FOR_EVER for server in servers):
            return  # which of several servers has the model is not known
        for subject in subjects:
            mode = subject.known("memory_management")
            if subject.kind is Kind.MODEL and mode is not None and is_pinned(subject):
                yield self.at(
                    mode,
                    subject,
                    f"{shown_name(subject)} loses its pin at the first reload",
                    label=f"a new runner uses the server's {_NAME}, which is finite",
                    advice=f'set {_NAME} to "-1" on the server, or watch for lost pins with ollama-policy drift',
                )
