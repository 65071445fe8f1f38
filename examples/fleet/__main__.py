"""One model resident on every server, another that comes and goes."""

import pulumi

from ollama_provider import OllamaModel

config = pulumi.Config()
insecure = config.require_bool("insecure")

for number, host in enumerate(config.require_object("hosts")):
    OllamaModel(
        f"chat-{number}",
        name=config.require("chat_model"),
        memory_management="manual",
        insecure=insecure,
        host=host,
    )
    OllamaModel(
        f"rare-{number}",
        name=config.require("rare_model"),
        memory_management="automatic",
        keep_alive="5m",
        on_destroy="unload",
        insecure=insecure,
        host=host,
    )
