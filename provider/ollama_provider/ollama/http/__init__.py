"""Ollama's HTTP API, and how requests reach it."""
