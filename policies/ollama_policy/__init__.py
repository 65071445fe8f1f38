"""The policy checker: finds Ollama memory settings that will not release. Imports nothing heavy."""
