"""What sources yield and rules judge."""
