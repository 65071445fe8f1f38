terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}

variable "hosts" {
  description = "The servers, as in OLLAMA_HOST."
  type        = set(string)
}

variable "model" {
  type    = string
  default = "llama3.2"
}

variable "insecure" {
  description = "Whether the registry is plain HTTP."
  type        = bool
  default     = false
}

resource "ollama_model" "chat" {
  for_each = var.hosts

  name              = var.model
  host              = each.value
  memory_management = "manual"
  insecure          = var.insecure
}
