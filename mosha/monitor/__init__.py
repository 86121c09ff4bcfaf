"""The judgement of one node, its shell: the cluster file system, and the wire to clinit."""
