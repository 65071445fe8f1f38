variable "model" {
  type    = string
  default = "llama3.2"
}

data "ollama_model" "chat" {
  name = var.model
}

output "context_length" {
  value = data.ollama_model.chat.context_length
}
