terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}

variable "base" {
  description = "The model to derive from."
  type        = string
  default     = "llama3.2"
}

variable "num_ctx" {
  description = "The context of the variant in tokens."
  type        = number
  default     = 8192
}

variable "insecure" {
  description = "Whether the registry is plain HTTP."
  type        = bool
  default     = false
}

# Options belong to the model: a client that brings its own num_ctx reloads it, and the pin is lost.
resource "ollama_model" "support_assistant" {
  name              = "support-assistant"
  base              = var.base
  parameters        = { num_ctx = var.num_ctx, temperature = 0.2 }
  system            = "You answer questions about invoices, in two sentences."
  memory_management = "manual"
  insecure          = var.insecure

  timeouts {
    load = "5m"
  }
}
