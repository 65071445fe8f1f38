"""A page that shows memory, calls, architecture, findings and remedies of one server. All but `command` is pure."""
