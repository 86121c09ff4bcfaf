"""The ground floor: what both daemons and the command line need of the machine."""
