"""The same code elsewhere: other interpreters, another processor, machines that are reset."""
