"""Ollama models as code: the resource, its lifecycle and the engines' adapters."""
