"""Kubernetes: manifests, and values of Helm charts."""
