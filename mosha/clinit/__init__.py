"""The supervisor of one node: children, cgroups, its server. It knows of no other node."""
