"""Under which addresses Terraform and OpenTofu know this provider."""

from typing import Final

# What a configuration means by "ollama" where no required_providers says otherwise.
IMPLIED: Final = "registry.terraform.io/hashicorp/ollama"
IMPLIED_BY_OPENTOFU: Final = "registry.opentofu.org/hashicorp/ollama"
# No registry answers at this name: it is found where `install` has put it, and nowhere else.
OWN: Final = "terraform.local/ollama-iac/ollama"
