"""Breaks of what operators and hosts rely on: orders, kills that take time, starts that fail."""

from __future__ import annotations

from tests.sim.mutant import Mutant

OPERATIONS: tuple[Mutant, ...] = (
    # --- orders ---
    Mutant(
        "a restart keeps what runs",
        "orders",
        "mosha.core.cluster.group_rules",
        "lambda f: f.kept and f.here and not f.stopping, Action.STOP)",
        "lambda f: f.kept and f.here and not f.stopping, Action.TEST)",
        storm="restart",
    ),
    Mutant(
        "a later order makes a restart seem obeyed",
        "orders",
        "mosha.core.cluster.orders",
        "for issuer, stamp in record.restarts\n    }",
        "for issuer, stamp in ()\n    }",
        test="test_orders.py::"
        "test_a_later_order_of_the_same_node_does_not_make_a_restart_seem_obeyed",
    ),
    Mutant(
        "a node on standby takes groups",
        "orders",
        "mosha.core.cluster.eligibility",
        "lambda c: not on_standby(c.state, c.node),",
        "lambda c: True,",
        storm="standby,move",
    ),
    Mutant(
        "a failure that a watcher reports bans nobody",
        "orders",
        "mosha.core.cluster.orders",
        "now + state.timing.ban_s, reason, None",
        "now, reason, None",
        storm="fail",
    ),
    Mutant(
        "cleanup forgets no ban",
        "orders",
        "mosha.core.cluster.orders",
        "    if record.ban_until != NEVER:\n        lift(state, record)\n",
        "",
        storm="fail,cleanup",
    ),
    Mutant(
        "a stop that failed waits for a lease for ever",
        "orders",
        "mosha.core.cluster.group_step",
        "return record.stops_again and now >= record.cleaned_at + state.timing.timeout_s",
        "return False",
        storm="failstop,cut,cleanup",
    ),
)
