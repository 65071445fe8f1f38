data "ollama_running_models" "now" {}

check "nothing_is_held_for_ever" {
  assert {
    condition     = !anytrue([for model in data.ollama_running_models.now.models : model.pinned])
    error_message = "A model will not be released by itself."
  }
}
