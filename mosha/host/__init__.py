"""Access to the machine, for both daemons and the command line."""
