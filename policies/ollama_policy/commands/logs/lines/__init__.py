"""Lines out of a log, however it was kept."""
