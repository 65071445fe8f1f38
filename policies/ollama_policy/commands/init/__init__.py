"""The command `init`: a starter configuration, and jobs that run the checker."""
