"""Breaks of one line each in what the simulator does not run: clinit, monitor, control, formats."""
