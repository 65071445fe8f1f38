run "says_what_the_server_has" {
  command = plan

  assert {
    condition     = contains(data.ollama_models.on_disk.models[*].name, data.ollama_model.chat.id)
    error_message = "The model is missing among those on disk."
  }

  assert {
    condition     = data.ollama_server.here.models == length(data.ollama_models.on_disk.models)
    error_message = "The server counts other models than it lists."
  }
}
