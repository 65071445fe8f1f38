"""Terraform's language: blocks, expressions and modules, in both syntaxes."""
