data "ollama_server" "here" {}

check "no_known_leak" {
  assert {
    condition     = length(data.ollama_server.here.known_leaks) == 0
    error_message = "Ollama ${data.ollama_server.here.version} loses memory: ${join("; ", data.ollama_server.here.known_leaks)}."
  }
}
