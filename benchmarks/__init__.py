"""Ratios against a peer or a floor, measured in one run, interleaved. No absolute time is ever judged."""
