"""What an apply does on a server, and what it has to know for it: the parts of the lifecycle."""
