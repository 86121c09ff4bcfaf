"""Access to the cluster file system: publish, read, watch, find members."""
