"""The ways to start a process, best first: words of mosha.toml and of clinit's command line.

docs/reference/clinit.md explains them, `mosha/clinit/spawn_ways.py` implements them. They are here
so that the fork server and --help load nothing else.
"""

from __future__ import annotations

SHARED, COPIED, PLAIN = SPAWN_WAYS = ("shared", "copied", "plain")
