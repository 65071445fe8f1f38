"""The command `adopt`: declarations of what a server holds."""
