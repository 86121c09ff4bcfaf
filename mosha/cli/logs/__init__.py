"""The sources of `mosha logs`, and how their lines are merged."""
