data "ollama_models" "on_disk" {}

output "gigabytes_on_disk" {
  value = { for model in data.ollama_models.on_disk.models : model.name => model.size / 1e9 }
}
