"""cltab and hactl on one node: which version is in force, and how it gets there."""
