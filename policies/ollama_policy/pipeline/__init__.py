"""From paths to findings: discovery, configuration, suppressions, baseline and fixes."""
