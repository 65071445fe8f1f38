"""The command `check`: findings in files."""
