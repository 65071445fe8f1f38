"""`terraform-provider-ollama`: started by Terraform it is the plugin; a person gets the commands."""

import sys
from threading import Thread
from typing import TYPE_CHECKING

from ollama_provider.engine_run import is_alone
from ollama_provider.terraform.protocol.cookie import is_started_by_terraform
from ollama_provider.terraform.requirements import what_is_missing

if TYPE_CHECKING:
    from ollama_provider.terraform.provider import OllamaProvider


def main() -> None:
    if not is_started_by_terraform():
        from ollama_provider.terraform.commands import cli  # noqa: PLC0415 - the plugin needs no click

        cli()
    elif missing := what_is_missing():
        # In place of the handshake: the one line of a plugin without TF_LOG that Terraform shows.
        print(f"ollama-iac cannot start: {missing}")
        sys.exit(1)
    else:
        # Now, for another process of this provider may be gone before this one has been asked for anything.
        Thread(target=is_alone, daemon=True).start()
        from ollama_provider.terraform.protocol.plugin import serve  # noqa: PLC0415 - grpc, which a person may lack

        serve(make_provider)


def make_provider() -> "OllamaProvider":
    from ollama_provider.terraform.provider import OllamaProvider  # noqa: PLC0415 - pydantic, after the handshake

    return OllamaProvider()


if __name__ == "__main__":
    main()
