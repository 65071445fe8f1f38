"""What is declared beside what servers really hold. `kinds` and `judge` are pure; only `looking` asks a server."""
