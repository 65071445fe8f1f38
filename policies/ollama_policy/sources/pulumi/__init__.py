"""Pulumi: programs, and what previews and states show."""
