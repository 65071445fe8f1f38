"""`ollama-policy remedies`: what would give memory back on one server, by how much, and at which price."""
