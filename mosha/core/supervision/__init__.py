"""Supervision of the processes of one node: entries, groups, and all of them together."""
