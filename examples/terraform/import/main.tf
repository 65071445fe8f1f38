terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}

variable "model" {
  description = "A model that the server has, and that nothing declares yet."
  type        = string
  default     = "llama3.2"
}

import {
  to = ollama_model.chat
  id = var.model
}

resource "ollama_model" "chat" {
  name              = var.model
  memory_management = "automatic"
  keep_alive        = "5m"
  on_destroy        = "unload" # its files were there before, and stay
}
