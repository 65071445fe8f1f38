"""What Ollama is: its names, durations, variables and HTTP API. Knows nothing of Pulumi, Terraform or our resource."""
