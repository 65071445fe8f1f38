"""The adapter to Terraform: `terraform-provider-ollama`, plugin protocol 6, over the same lifecycle as Pulumi's."""
