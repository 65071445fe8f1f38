terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}
