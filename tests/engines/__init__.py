"""Real engines for tests: tools found or built, tiny models, a registry, an Ollama, a Pulumi stack."""
