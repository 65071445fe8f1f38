output "in_full" {
  value = provider::ollama::model_name("llama3")
}
