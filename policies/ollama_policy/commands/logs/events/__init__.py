"""What lines of a log tell of models: loads, caches, calls, and how they leave memory."""
