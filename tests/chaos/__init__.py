"""Chaos: a cluster of real nodes, faults from a seed, and a verdict afterwards."""
