"""`ollama-policy fit`: whether what is declared fits into the memory of its server."""
