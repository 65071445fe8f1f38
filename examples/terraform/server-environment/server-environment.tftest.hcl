run "gives_the_variables_of_the_settings" {
  command = plan

  assert {
    condition     = data.ollama_server_environment.small.variables["OLLAMA_KEEP_ALIVE"] == "5m"
    error_message = "The keep-alive is another."
  }

  assert {
    condition     = data.ollama_server_environment.small.variables["OLLAMA_FLASH_ATTENTION"] == "true"
    error_message = "Flash attention is not on."
  }

  assert {
    condition     = data.ollama_server_environment.small.variables["LLAMA_ARG_CACHE_RAM"] == "512"
    error_message = "The prompt cache is not bounded."
  }
}
