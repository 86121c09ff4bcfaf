"""The seeded cluster simulator: whole clusters of the real core in virtual time.

`python -m tests.sim --help` tells how to run it. `draw` makes a cluster and its faults from a
seed, `cluster` runs it, `checks` judge it, `shrink` makes a failure small, `mutants` prove that
the checks can fail, `story` runs the golden scenarios and `explore` every small schedule.
"""
