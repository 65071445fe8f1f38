terraform {
  required_providers {
    ollama = {
      source = "terraform.local/ollama-iac/ollama"
    }
  }
}

# Checked when it is planned: Ollama takes a default for what it cannot read, mostly without a log line.
data "ollama_server_environment" "small" {
  version             = "0.34.3"
  keep_alive          = "5m"
  max_loaded_models   = 2
  num_parallel        = 1
  context_length      = 8192
  flash_attention     = true
  kv_cache_type       = "q8_0"
  llama_arg_cache_ram = 512
}

# A compose file; a container, Helm's values or a systemd unit take the same map.
output "compose" {
  value = yamlencode({
    services = {
      ollama = {
        image       = "ollama/ollama:0.34.3"
        environment = data.ollama_server_environment.small.variables
        mem_limit   = "16g"
      }
    }
  })
}
