"""YAML, JSON, TOML and what grammars parse, each value with its place in bytes."""
