"""Local files: written whole, told apart, and GGUF files by their headers."""
