"""What the monitor does on the cluster file system: publish, read, watch, find members."""
