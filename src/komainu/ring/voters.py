"""Decide whose votes count for quorum, where the options let that change, without ever making two majorities.

Pure functions. Must not know: ballots, links, time; that a view has lasted for long enough is told.

Theory of operation. At first all nodes count. A change goes by way of two views with the same members: in the
first, both the old electorate and the new one have to have quorum; in the second the new one alone. The second
is decided only by members that all were in the first, so of any two parts of the cluster that might be quorate
by different electorates, one knows of the change and is bound by both. What has to be remembered for it is not
on disk: a node that started anew does not vote (`muted`) until a quorate view took it in, or all are here.

Source: joint consensus of Raft (Ongaro 2014, section 4.3) for the change; what is changed, and when, is
last_man_standing, allow_downscale and auto_tie_breaker_node of votequorum(5). Deviation: votequorum changes the
count on each node by itself, so that a part that was left behind may meet others and have quorum, too.
"""

from collections.abc import Collection, Iterable

from komainu.model.ids import NodeId
from komainu.ring.packet import Electorate, Voters
from komainu.ring.quorum import Turnout, judge
from komainu.ring.settings import RingSettings


def first_voters(settings: RingSettings) -> Voters:
    """Return the voters of a cluster that starts: all of its nodes."""
    nodes = tuple(sorted(node.node for node in settings.nodes))
    return Voters(0, (Electorate(nodes, _breaker(settings, nodes, nodes)),))


def newest(settings: RingSettings, known: Iterable[Voters]) -> Voters:
    """Return the newest of those that the members know."""
    return max(known, key=lambda voters: voters.since, default=first_voters(settings))


def advance(
    settings: RingSettings,
    voters: Voters,
    members: Collection[NodeId],
    left: Collection[NodeId],
    *,
    is_settled: bool,
) -> tuple[Electorate, ...]:
    """Return the electorates of the next view with the same members: the same ones when nothing has to change.

    `members` are those of a quorate view; `left` had left cleanly as it began; `is_settled`: it has lasted for
    last_man_standing's window.
    """
    options = settings.quorum
    if not options.is_dynamic:
        return voters.electorates
    if len(voters.electorates) > 1:
        new = voters.electorates[-1:]
    else:
        nodes = set(voters.electorates[0].nodes) | set(members)
        if options.allow_downscale:
            nodes = _without_leavers(settings, nodes, set(left) - set(members))
        if options.last_man_standing and is_settled:
            nodes &= set(members)
        ordered = tuple(sorted(nodes))
        wanted = Electorate(ordered, _breaker(settings, ordered, members))
        old = voters.electorates[0]
        new = (old,) if wanted == old else (old, wanted)
    changed = Voters(voters.since, new)
    return new if judge(settings, changed, Turnout(members)).quorate else voters.electorates


def _without_leavers(settings: RingSettings, nodes: set[NodeId], left: set[NodeId]) -> set[NodeId]:
    """Take out who left, the highest id first, as long as expected_votes are left."""
    votes = {node.node: node.votes for node in settings.nodes}
    kept = set(nodes)
    for node in sorted(left & nodes, reverse=True):
        if sum(votes[each] for each in kept) - votes[node] >= (settings.quorum.expected_votes or 0):
            kept.discard(node)
    return kept


def _breaker(settings: RingSettings, nodes: Collection[NodeId], members: Collection[NodeId]) -> NodeId | None:
    """Return the node that decides between equal halves: the first of the list that is here."""
    options = settings.quorum
    if not options.auto_tie_breaker:
        return None
    if not options.tie_breakers:
        return min(nodes)
    here = [node for node in options.tie_breakers if node in members]
    return here[0] if here else options.tie_breakers[0]
