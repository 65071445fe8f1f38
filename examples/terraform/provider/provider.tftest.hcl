run "asks_both_servers" {
  command = plan

  assert {
    condition     = data.ollama_server.there.url == var.proxy
    error_message = "The second provider asks another server."
  }
}
