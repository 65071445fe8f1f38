# `terraform test` wants a server that has `example-model`, which no registry has, and deletes it in the end.

run "applies_as_it_stands" {
  assert {
    condition     = ollama_model.my_model.id == "example-model:latest" && ollama_model.my_model.drift == ""
    error_message = "The model is not as declared."
  }

  assert {
    condition     = !ollama_model.my_model.pinned
    error_message = "Ollama may not release it."
  }
}
