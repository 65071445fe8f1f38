terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}

variable "proxy" {
  description = "A server behind a proxy that asks for a token."
  type        = string
  default     = "https://ollama.example.com"
}

variable "token" {
  type      = string
  sensitive = true
  ephemeral = true
  default   = null # then OLLAMA_API_KEY
}

# The server that OLLAMA_HOST names.
provider "ollama" {}

provider "ollama" {
  alias = "behind_a_proxy"
  host  = var.proxy
  token = var.token
}

data "ollama_server" "here" {}

data "ollama_server" "there" {
  provider = ollama.behind_a_proxy
}
