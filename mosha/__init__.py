"""An init for a whole cluster, without a head node."""

__version__ = "1.0.0"
