"""Which groups a status is about: a question about one group looks at no other status."""

from __future__ import annotations

from collections.abc import KeysView

from mosha.core.status import Status


def parts_about_groups(status: Status) -> tuple[KeysView[object], ...]:
    """Return the names in the parts of a status that `groups_in` is made of."""
    return (
        status.claims.keys(),
        status.groups.keys(),
        status.bans.keys(),
        status.troubles.keys(),
        status.given_up.keys(),
        status.exhausted.keys(),
        status.restarts.keys(),
        status.gave_way.keys(),
    )


def groups_in(status: Status) -> frozenset[str]:
    """Return the groups that a status shows, claims or bans, or that failed or gave way there."""
    troubled = (group for group, _ in status.troubles)
    failed = (*status.bans, *status.given_up, *status.exhausted, *status.restarts)
    return frozenset((*status.claims, *status.groups, *failed, *status.gave_way, *troubled))
