"""The provider's functions: `provider::ollama::model_name` and its like, which ask no server."""

from decimal import Decimal

from ollama_provider.ollama import durations
from ollama_provider.ollama.names import NAME_SHAPE, InvalidNameError, ModelName
from ollama_provider.terraform.protocol.provider import Function, FunctionArgumentError, Parameter
from ollama_provider.terraform.protocol.values import NUMBER, STRING


class ModelNameFunction(Function):
    name = "model_name"
    summary = "The normal form of a model's name"
    description = (
        "The name in full, as `/api/tags` and the `id` of an `ollama_model` show it: `llama3` is `llama3:latest`, and "
        "`registry.ollama.ai/library/llama3` is too. Ollama compares names without regard to case: where two are "
        "to be compared, put `lower` around both."
    )
    parameters = (Parameter("name", STRING, f"A model's name, `{NAME_SHAPE}`."),)
    returns = STRING

    def call(self, name: str) -> str:
        try:
            return str(ModelName.parse(name))
        except InvalidNameError as error:
            raise FunctionArgumentError(0, f"{name!r} is no model name {NAME_SHAPE}: {error}") from None


class DurationFunction(Function):
    name = "duration"
    summary = "The seconds of a duration"
    description = (
        "Seconds of a Go duration, as Ollama reads `keep_alive`: `5m` is 300 and `1h30m` is 5400. A negative one, "
        "which Ollama takes for ever, is negative. A number without a unit is an error, as it is in a request."
    )
    parameters = (Parameter("text", STRING, "A Go duration, such as `5m`, `1h30m` or `1.5h`."),)
    returns = NUMBER

    def call(self, text: str) -> Decimal:
        try:
            return Decimal(durations.parse(text)) / durations.NANOSECONDS["s"]
        except durations.InvalidDurationError as error:
            raise FunctionArgumentError(0, f"{text!r} is no duration: {error}") from None
