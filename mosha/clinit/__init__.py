"""The supervisor of one node: children, cgroups, its server. It knows no other node."""
