"""Ansible: tasks, the files that they write, and the variables that fill them in."""
