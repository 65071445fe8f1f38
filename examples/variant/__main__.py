"""Options belong to the model: a client that brings its own num_ctx reloads it, and the pin is lost."""

import pulumi

from ollama_provider import OllamaModel

config = pulumi.Config()

variant = OllamaModel(
    "support_assistant",
    name="support-assistant",
    base=config.require("base"),
    parameters={"num_ctx": config.require_int("num_ctx"), "temperature": 0.2},
    system="You answer questions about invoices, in two sentences.",
    memory_management="manual",
    insecure=config.require_bool("insecure"),
)

pulumi.export("digest", variant.digest)
