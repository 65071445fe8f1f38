"""One model. Who releases its memory is one line of configuration: `pulumi config set memory_management manual`."""

import pulumi

from ollama_provider import OllamaModel

config = pulumi.Config()

model = OllamaModel(
    "my_model",
    name=config.require("model"),
    memory_management=config.require("memory_management"),
    insecure=config.require_bool("insecure"),
)

pulumi.export("digest", model.digest)
pulumi.export("pinned", model.pinned)
