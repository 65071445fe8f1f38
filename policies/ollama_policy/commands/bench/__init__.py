"""The story's verification table on a real server: before and after, with an interval, interleaved."""
