"""Terraform as people write it (`.tf`, `.tf.json`) and as Terraform shows it (plan JSON), read without Terraform."""
