"""Text on its way in and out: escaping, terminals, files and schemas."""
