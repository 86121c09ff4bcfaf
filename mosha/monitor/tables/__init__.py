"""cltab and hactl on this node: found, judged, brought into force, replicated."""
