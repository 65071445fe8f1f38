"""`terraform-provider-ollama`: started by Terraform it is the plugin; a person gets the commands."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ollama_provider.terraform.provider import OllamaProvider


def main() -> None:
    from ollama_provider.terraform.protocol import plugin  # noqa: PLC0415 - so that --help needs no grpc

    def provider() -> "OllamaProvider":
        from ollama_provider.terraform.provider import OllamaProvider  # noqa: PLC0415 - pydantic, after the handshake

        return OllamaProvider()

    if plugin.is_started_by_terraform():
        plugin.serve(provider)
    elif sys.argv[1:] == ["--debug"]:
        plugin.serve_attached(provider, ("registry.terraform.io/hashicorp/ollama",))


if __name__ == "__main__":
    main()
