"""Terraform's modules: folders of files, their instances, and what refers to them."""
