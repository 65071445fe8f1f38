"""What a server is started with: its variables, and what they come to."""
