"""Runner processes on this machine: whose they are, and what they hold."""
