"""The ways to start a process, best first: words of mosha.toml and of clinit's command line.

docs/reference/clinit.md says what they mean, `mosha/clinit/spawn_ways.py` goes them. Here so that
the fork server and a question for help load nothing else.
"""

from __future__ import annotations

SHARED, COPIED, PLAIN = SPAWN_WAYS = ("shared", "copied", "plain")
