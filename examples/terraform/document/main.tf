resource "ollama_model" "my_model" {
  name = "example-model"
  memory_management = "automatic"
}
