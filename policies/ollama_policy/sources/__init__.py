"""A reader a format: text in, subjects out."""
