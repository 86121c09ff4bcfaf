"""Units of systemd as services: asking systemd, preparing a unit, and the process that runs one."""
