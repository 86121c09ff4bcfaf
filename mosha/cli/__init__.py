"""The command line: one module a command; only here are errors turned into exit codes."""
