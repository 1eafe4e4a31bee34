"""Decide a view from what every member of the group said of itself: whose state goes on, who keeps it, and quorum.

Pure: all members compute the same from the same standings. Must not know: how standings are collected.

Quorum is Corosync's, with one condition more: the daemons in the group must hold it themselves. Corosync counts a
node whose komainu is not running; a change that only such a majority "stored" could be lost (S3).

Source: extended virtual synchrony (Moser, Amir, Melliar-Smith, Agarwal 1994): members that come together have
delivered the same; that they did is not believed but compared, by `chain`. votequorum(5) for quorum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from komainu.model.ids import NodeId
from komainu.model.view import Delivered, Position, View, ViewId
from komainu.ring.corosync.words import Ballot, Standing
from komainu.ring.interface import Departure, InstallView
from komainu.ring.packet import Gone, Member, ViewKey
from komainu.ring.settings import RingSettings

Standings = Mapping[NodeId, Standing]


@dataclass(frozen=True, slots=True)
class Agreed:
    """A view with all that its members need to begin it."""

    begun: InstallView
    key: ViewKey
    members: tuple[Member, ...]
    delivered: tuple[Delivered, ...]
    waits_for_all: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there is quorum and why; `may_have_a_twin`: another part may be quorate at the same time."""

    quorate: bool
    reason: str
    may_have_a_twin: bool = False


def agree(settings: RingSettings, standings: Standings) -> Agreed:
    """Make the view of the members who gave these standings."""
    nodes = tuple(sorted(standings))
    waiting = all(_waits(standings[node]) for node in nodes) and len(nodes) < len(settings.nodes)
    return _view_of(standings, judge(settings, standings, waiting=waiting), waiting=waiting)


def alone(settings: RingSettings, standing: Standing, reason: str) -> Agreed:
    """Make the view of a node without its engine: by itself, and never quorate."""
    verdict = Verdict(quorate=False, reason=reason)
    return _view_of({settings.me: standing}, verdict, waiting=standing.waits_for_all)


def choose_owner(standings: Standings) -> NodeId:
    """Return the member whose state goes on: the greatest lineage, then who comes from its quorate view."""

    def rank(node: NodeId) -> tuple[int, bool, int, int]:
        one = standings[node]
        return one.position.lineage, one.is_quorate and one.has_state, one.position.index, -node

    return max(standings, key=rank)


def judge(settings: RingSettings, standings: Standings, *, waiting: bool) -> Verdict:
    """Judge a view by what votequorum says on each of its members."""
    names = {node.node: node.name for node in settings.nodes}
    ballots = [standings[node].ballot for node in sorted(standings)]
    without = [names[node] for node in sorted(standings) if not standings[node].ballot.is_quorate]
    device = min(ballot.device_votes for ballot in ballots)
    votes = sum(ballot.votes for ballot in ballots) + device
    most = max(ballots, key=lambda ballot: ballot.needed)
    has = f"{votes} of {most.expected} votes" + (f", {device} of them the quorum device's" if device else "")
    missing = [name for node, name in sorted(names.items()) if node not in standings]
    if waiting:
        is_behind = not any(standings[node].has_state for node in standings)
        since = "went before its state was here" if is_behind else "was not seen since the start"
        return Verdict(False, f"wait_for_all: {', '.join(missing)} {since}")
    if without:
        return Verdict(False, f"Corosync gives no quorum on {', '.join(without)}; {has}")
    if _is_half(most, votes):
        if most.is_two_node:
            return Verdict(True, f"two_node: {has} is enough", may_have_a_twin=True)
        if most.has_tie_breaker:
            return Verdict(True, f"auto_tie_breaker: {has}, with Corosync's tie-breaker")
    if votes >= most.needed and 2 * votes > most.expected:
        return Verdict(True, has)
    return Verdict(False, f"the daemons that are here have {has}; {most.needed} are needed")


def _waits(standing: Standing) -> bool:
    """Whether a node waits for all: since its start, or as half of a pair that saw the other, but not its state."""
    return standing.waits_for_all or (standing.ballot.is_two_node and not standing.has_state)


def _is_half(ballot: Ballot, votes: int) -> bool:
    return 2 * votes == ballot.expected


def _view_of(standings: Standings, verdict: Verdict, *, waiting: bool) -> Agreed:
    nodes = tuple(sorted(standings))
    owner = choose_owner(standings)
    line = standings[owner]
    members = tuple(Member(node, standings[node].life) for node in nodes)
    same = [
        node
        for node in nodes
        if line.view is not None and standings[node].view == line.view and standings[node].chain == line.chain
    ]
    view_id = ViewId(max(each.seen for each in standings.values()) + 1, nodes[0])
    lineage = line.position.lineage
    index = max(each.position.index for each in standings.values() if each.position.lineage == lineage)
    # As in decision.py: a half whose twin may be quorate keeps the lineage until the twin is confirmed off.
    is_the_line = verdict.quorate and not verdict.may_have_a_twin
    begun = InstallView(
        view=View(view_id, nodes, verdict.quorate, verdict.reason),
        position=Position(view_id.counter, 0) if is_the_line else Position(lineage, index + 1),
        owner=owner,
        keeps_state=tuple(
            node for node in nodes if node == owner or (node in same and standings[node].has_state)
        ),
        departures=tuple(_departure(each, owner, standings) for each in line.members if each not in members),
        arrivals=tuple(each.node for each in members if each not in line.members),
        lives=tuple(member.life for member in members),
    )
    return Agreed(begun, ViewKey(view_id, members[0].life), members, line.delivered, waiting)


def _departure(member: Member, owner: NodeId, standings: Standings) -> Departure:
    """Find the best word on why a member is gone: a clean leave that anybody saw, then the owner's."""
    words: Sequence[Gone] = [
        *standings[owner].gone,
        *(gone for node in sorted(standings) for gone in standings[node].gone),
    ]
    about = [gone for gone in words if gone.node == member.node]
    clean = [gone for gone in about if gone.clean]
    best = (clean or about or [Gone(member.node, False, "its daemon was started anew")])[0]
    return Departure(best.node, best.clean, best.reason)
