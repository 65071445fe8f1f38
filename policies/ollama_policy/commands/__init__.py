"""The commands, one a file or folder: options in, exit code out. No command imports another."""
