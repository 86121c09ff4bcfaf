"""How the notes of a brain are told in a story."""

from __future__ import annotations

from mosha.core.cluster.state import LogRecord

# What of the notes belongs in a story, and how it is said.
SAYINGS: dict[str, str] = {
    "claim_made": "claims {group} with term {term}",
    "claim_raised": "claims {group} anew with term {term}",
    "claim_granted": "is granted {group}, term {term}",
    "claim_withdrawn": "withdraws its claim of {group}: {cause}",
    "claim_released": "gives up {group}",
    "lease_lost": "has lost its lease of {group}",
    "ghost_killed": "kills {group}, term {term}: node {peer} runs it under a higher one",
    "group_told": "tells {group} {to}: {cause}",
    "group_adopted": "goes on with {group}, term {term}",
    "move_began": "is told to let {group} move: {reason}",
    "move_ended": "may take {group} again, which was moved",
    "group_banned": "bans itself from {group}: {reason}",
    "group_preempted": "stops {group}, so that {by} has room",
    "group_restarted": "restarts {group} in place: {reason}",
    "group_held": "keeps {group} until {waits_for} has stopped: {cause}",
    "group_exhausted": "stops {group} for good: {reason}",
    "group_freed": "lets {group} be started again",
    "peer_changed": "finds node {peer} {to}",
    "electorate_changed": "counts with the nodes {nodes} from now on",
    "quorum_changed": "sees a quorum: {to}",
    "timeout_kept": "counts with its former timeout for {left_s} s",
    "status_withheld": "publishes nothing for {left_s} s",
    "writes_lost": "notices: {reason}",
    "silence_ended": "is silent no more",
    "incarnation_raised": "begins a new incarnation",
    "fencing_disarmed": "hears that nobody is to be shot for {left_s} s: node {peer} says so",
    "fencing_armed": "hears that nodes are shot again",
    "fence_ordered": "orders node {peer} to be shot",
    "pill_withdrawn": "need not end its groups any more: the order of node {peer} is over",
    "pill_taken": "is ordered by node {peer} to end all its groups",
    "pill_killed": "kills {group}, by order of node {peer}",
    "pill_acknowledged": "tells node {peer} that nothing is left",
    "group_unended": "cannot end {group}: {reason}; asks to be shot: {asks}",
    "group_ended_after_all": "can end {group} after all",
    "fence_ended": "hears of the shot at node {peer}: {outcome}",
    "receipt_refuted": "hears node {peer}, whose death was vouched for",
    "fence_confirmed": "is told by its operator that node {peer} is dead",
}


def say(note: LogRecord) -> str:
    """Say a note of a brain in words, "" if it does not belong in a story."""
    saying = SAYINGS.get(note.event, "")
    return saying.format(**{key: str(value) for key, value in note.fields.items()})
