"""What the commands that ask a server share."""
