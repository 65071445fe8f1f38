run "takes_over_what_is_there" {
  assert {
    condition     = ollama_model.chat.drift == "" && !ollama_model.chat.pinned
    error_message = "The model is not as declared."
  }
}
