"""The same code with other interpreters (`make pythons`), on another processor (`make aarch64`)."""
