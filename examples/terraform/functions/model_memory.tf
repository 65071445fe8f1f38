variable "model" {
  type    = string
  default = "llama3.2"
}

data "ollama_model" "chat" {
  name = var.model
}

locals {
  # Four requests at once, 8,192 tokens each.
  memory = provider::ollama::model_memory(data.ollama_model.chat.metadata, 8192, 4, "f16")
}

output "memory_limit" {
  value = "${ceil(local.memory.total / pow(2, 20))}Mi"
}
