"""Terraform's plugin protocol 6, and nothing of what Ollama is."""
