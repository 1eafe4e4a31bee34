"""Put together what `komainu quorum` shows: what a view's quorum rests on, in votequorum's words.

Decides nothing: the verdict is the view's own. Must not know: links and ballots.
Source: corosync-quorumtool(8) for what is shown and how its flags are called.
"""

from komainu.model.view import View
from komainu.ring.corosync.interface import Device, QuorumSeen
from komainu.ring.interface import QuorumReport, VoterReport
from komainu.ring.packet import Decision, Vote
from komainu.ring.quorum import expected_votes, is_two_node, waits_for_all
from komainu.ring.settings import RingSettings
from komainu.ring.voters import first_voters


def report(
    settings: RingSettings, decision: Decision | None, vote: Vote, witness_reason: str
) -> QuorumReport:
    """Report on a view; None while there is none yet. `vote`: what the witness says of it by now."""
    options = settings.quorum
    first = first_voters(settings)
    electorate = (first if decision is None else decision.voters).electorates[-1]
    members = () if decision is None else decision.view.members
    witness_votes = 0 if options.witness is None else options.witness.votes
    has_witness = vote is Vote.CAST
    if vote is Vote.UNKNOWN and decision is not None:
        has_witness = decision.has_witness
    expected = expected_votes(settings, electorate)
    votes = {node.node: node.votes for node in settings.nodes}
    counted = sum(votes[node] for node in members if node in electorate.nodes)
    return QuorumReport(
        quorate=decision is not None and decision.view.quorate,
        reason="no view yet" if decision is None else decision.view.quorum_reason,
        expected_votes=expected,
        highest_expected=expected_votes(settings, first.electorates[-1]),
        total_votes=counted + (witness_votes if has_witness else 0),
        needed=1 if is_two_node(settings) else expected // 2 + 1,
        flags=_flags(settings, decision),
        voters=tuple(
            VoterReport(node.node, node.votes, node.node in members, node.node in electorate.nodes)
            for node in settings.nodes
        ),
        witness=_witness(settings, has_witness=has_witness, reason=witness_reason),
        witness_votes=witness_votes,
    )


def corosync_report(settings: RingSettings, view: View | None, seen: QuorumSeen | None) -> QuorumReport:
    """Report on a view whose quorum votequorum decides; `seen` is what it said last."""
    votes = {} if seen is None else dict(seen.nodes)
    flags = {
        "2Node": seen is not None and seen.is_two_node,
        "Quorate": view is not None and view.quorate,
        "AutoTieBreaker": seen is not None and seen.has_tie_breaker,
        "Qdevice": seen is not None and seen.device is not Device.ABSENT,
    }
    device_votes = 0 if seen is None else seen.device_votes
    witness = settings.quorum.witness
    return QuorumReport(
        quorate=view is not None and view.quorate,
        reason="no view yet" if view is None else view.quorum_reason,
        expected_votes=0 if seen is None else seen.expected,
        highest_expected=0 if seen is None else seen.expected,
        total_votes=sum(votes.values()) + device_votes,
        needed=0 if seen is None else seen.needed,
        flags=tuple(flag for flag, is_on in flags.items() if is_on),
        voters=tuple(
            VoterReport(node.node, votes.get(node.node, node.votes), node.node in votes, is_counted=True)
            for node in settings.nodes
        ),
        witness=device_text(settings, seen),
        witness_votes=device_votes if witness is None else witness.votes,
    )


def device_text(settings: RingSettings, seen: QuorumSeen | None) -> str:
    """Say how Corosync's quorum device stands; nothing where none is wanted, and none is there."""
    witness = settings.quorum.witness
    if seen is None or (witness is None and seen.device is Device.ABSENT):
        return ""
    name = (
        "Corosync's quorum device"
        if witness is None
        else f"{witness.name}, {witness.address} port {witness.port}"
    )
    return f"{name}: {seen.device.value}"


def _flags(settings: RingSettings, decision: Decision | None) -> tuple[str, ...]:
    options = settings.quorum
    flags = {
        "2Node": is_two_node(settings),
        "Quorate": decision is not None and decision.view.quorate,
        "WaitForAll": waits_for_all(settings),
        "LastManStanding": options.last_man_standing,
        "AutoTieBreaker": options.auto_tie_breaker,
        "AllowDownscale": options.allow_downscale,
        "Qdevice": options.witness is not None,
    }
    return tuple(flag for flag, is_on in flags.items() if is_on)


def _witness(settings: RingSettings, *, has_witness: bool, reason: str) -> str:
    witness = settings.quorum.witness
    if witness is None:
        return ""
    said = "gives its votes to this part" if has_witness else "does not give its votes to this part"
    where = f" on {witness.path}" if witness.path else ""
    return f"{witness.name}{where} {said}" + (f": {reason}" if reason else "")
