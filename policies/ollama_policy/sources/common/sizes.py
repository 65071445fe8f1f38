"""Settings that are amounts of memory."""

from ollama_policy.model.settings import Setting, Unknown
from ollama_provider.ollama.sizes import Convention, bytes_of


def sized(setting: Setting, convention: Convention = Convention.BINARY) -> Setting:
    """The setting of an amount, its text made bytes."""
    if isinstance(setting.value, str):
        size = bytes_of(setting.value, convention)
        setting.value = Unknown(f"{setting.value} is not a size") if size is None else size
    return setting
