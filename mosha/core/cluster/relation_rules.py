"""The rules of eligibility about groups that relate to each other; see `relations`."""

from __future__ import annotations

from collections.abc import Callable

from mosha.core.cluster import relations
from mosha.core.cluster.eligibility_rule import Case, Rule
from mosha.core.cluster.relation_graph import NO_RELATIONS


def _after_said(case: Case) -> str:
    after = ", ".join(case.wish.after) if case.wish is not None else ""
    seen = f"each group of after={after} is at its level"
    return relations.unmet(case.state, case.group, case.node) or seen


AFTER = Rule(
    "after",
    "each group of `after=` is seen at its level; what runs already stays until one is seen to"
    " end; reported only where hactl has it",
    lambda c: not relations.unmet(c.state, c.group, c.node),
    lambda c: relations.unmet(c.state, c.group, c.node),
    _after_said,
    lambda c: relations.remedy(c.state, c.group, c.node),
)


def with_rule(broken: Callable[[Case], Rule | None]) -> Rule:
    """Return the rule of `with=`; `broken` says what keeps the other group from a node."""

    def alone(case: Case) -> str:
        return _alone(case, broken)

    def said(case: Case) -> str:
        together = ", ".join(case.wish.with_) if case.wish is not None else ""
        return alone(case) or f"node {case.node} runs {together} (with=)"

    return Rule(
        "with",
        "the node runs each group of `with=`; reported only where hactl has the option",
        lambda case: not alone(case),
        alone,
        said,
        lambda case: relations.remedy_of_with(case.state, case.group),
    )


def _alone(case: Case, broken: Callable[[Case], Rule | None]) -> str:
    """Return which group of `with=` is not there, or is not to be there any more."""
    if case.state.relations is NO_RELATIONS:
        return ""
    together = case.wish.with_ if case.wish is not None else ()
    for other in relations.related(case.state, case.group, together, case.node):
        if reason := relations.alone(case.state, case.group, other, case.node):
            return reason
        its = Case(case.state, other, case.node, case.now)
        if case.mine and (rule := broken(its)) is not None:
            return f"{other} (with=) is not to run here: {rule.why(its)}"
    return ""


def _beside(case: Case) -> str:
    if case.state.relations is NO_RELATIONS:
        return ""
    other = relations.beside(case.state, case.group, case.node)
    return f"{other} is there, and they run apart (apart=)" if other else ""


APART = Rule(
    "apart",
    "the node holds no group that is kept `apart=` from it, by either line; of two that are there"
    " already, one stays. Reported only where hactl has the option",
    lambda c: not _beside(c),
    _beside,
    lambda c: _beside(c) or f"node {c.node} has no group that {c.group} is apart from",
    lambda c: f"move {relations.beside(c.state, c.group, c.node)} to another node",
)
