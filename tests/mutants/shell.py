"""One-line breaks of the shell, each with the tests that have to notice it.

The simulator's mutants break the core; these break what does the deeds. A text is found exactly
once in its file (`test_shell.py`), so a mutant cannot silently stop being one.
"""

from __future__ import annotations

from tests.mutants.addresses import ADDRESSES
from tests.mutants.clinit import CLINIT
from tests.mutants.control import CONTROL
from tests.mutants.drill import DRILL
from tests.mutants.front import FRONT
from tests.mutants.monitor import MONITOR
from tests.mutants.ocf import OCF
from tests.mutants.units import UNITS
from tests.mutants.watchdog import WATCHDOG

SHELL = (*CLINIT, *WATCHDOG, *MONITOR, *CONTROL, *FRONT, *DRILL, *OCF, *UNITS, *ADDRESSES)
