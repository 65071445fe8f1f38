"""The story's formula on a real server: what each call allocates, what comes back, and whether the rest grows."""
