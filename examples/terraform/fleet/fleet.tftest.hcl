run "holds_the_model_on_every_server" {
  assert {
    condition     = length(ollama_model.chat) > 0 && alltrue([for model in ollama_model.chat : model.pinned])
    error_message = "A server does not hold its model in memory."
  }
}
