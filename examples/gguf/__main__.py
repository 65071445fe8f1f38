"""A file that changes is uploaded anew and takes the old one's place in memory; a file that does not is not read."""

import pulumi

from ollama_provider import OllamaModel

model = OllamaModel(
    "own_model",
    name="own-model",
    gguf=pulumi.Config().require("gguf"),
    memory_management="manual",
    timeouts={"load": "5m"},
)

pulumi.export("family", model.family)
