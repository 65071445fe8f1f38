variables {
  num_ctx = 1024
}

run "derives_and_loads" {
  assert {
    condition     = ollama_model.support_assistant.pinned
    error_message = "The variant is not held in memory."
  }
}

run "another_context_is_an_update" {
  variables {
    num_ctx = 2048
  }

  assert {
    condition     = ollama_model.support_assistant.pinned && ollama_model.support_assistant.drift == ""
    error_message = "The variant with its new context is not held in memory."
  }
}
