"""Decide a view from what its members hold: whose state goes on, who keeps it, who came and went, and quorum.

Pure functions of the answers to one proposal. Must not know: time, links, or how answers are collected.

Source: virtual synchrony (Birman and Joseph 1987): members that move together from one view to the next have
delivered the same. The choice of the owner obeys rule S3: what was acknowledged lives on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from komainu.model.ids import NodeId
from komainu.model.view import Position, View, ViewId
from komainu.ring.packet import Decision, Flush, Gone, LastOf, Member, ViewKey, Vote, Voters
from komainu.ring.quorum import Turnout, Verdict, is_two_node, judge
from komainu.ring.settings import RingSettings
from komainu.ring.voters import advance, first_voters, newest

Answers = Mapping[NodeId, Flush]


def groups(answers: Answers) -> dict[ViewKey, list[NodeId]]:
    """Sort the members by the view that they come from; those that come from none are in no group."""
    found: dict[ViewKey, list[NodeId]] = {}
    for node in sorted(answers):
        view = answers[node].view
        if view is not None:
            found.setdefault(view, []).append(node)
    return found


def last_of(answers: Answers, group: Sequence[NodeId]) -> int:
    """Return the last sequence of a view up to which the members of the group hold everything together."""
    last = max(answers[node].received for node in group)
    held = {number for node in group for number in answers[node].beyond}
    while last + 1 in held:
        last += 1
    return last


def lacking(answers: Answers) -> list[tuple[NodeId, NodeId, ViewKey, tuple[int, ...]]]:
    """List what has to be shared before the view can begin: holder, receiver, view, sequences."""
    shares = []
    for view, group in groups(answers).items():
        last = last_of(answers, group)
        for node in group:
            answer = answers[node]
            by_holder: dict[NodeId, list[int]] = {}
            for number in range(answer.received + 1, last + 1):
                if number not in answer.beyond:
                    by_holder.setdefault(_holder(answers, group, number), []).append(number)
            shares += [(holder, node, view, tuple(numbers)) for holder, numbers in sorted(by_holder.items())]
    return shares


def choose_owner(answers: Answers) -> NodeId:
    """Return the member whose state goes on.

    The greatest lineage comes first: it was quorate last. Within a lineage one that comes from the quorate view
    itself beats one that went on alone without quorum, however many commands that applied.
    """

    def rank(node: NodeId) -> tuple[int, bool, int, int]:
        answer = answers[node]
        current = answer.quorate and answer.has_state
        return answer.position.lineage, current, answer.position.index, -node

    return max(answers, key=rank)


def turn_out(settings: RingSettings, answers: Answers) -> Turnout:
    """Return who is here, and who of them may vote."""
    # Half of a pair that saw the other, but not its state, may be behind what was promised without it (S3).
    is_pair = is_two_node(settings)
    waiting = {
        node for node, answer in answers.items() if answer.waits_for_all or (is_pair and not answer.has_state)
    }
    is_whole = len(answers) == len(settings.nodes)
    return Turnout(
        members=sorted(answers),
        waiting=not is_whole and len(waiting) == len(answers),
        is_behind=not any(answer.has_state for answer in answers.values()),
        muted=sorted(waiting) if settings.quorum.is_dynamic and not is_whole else (),
        has_witness=any(answer.witness is Vote.CAST for answer in answers.values()),
    )


def hangs_on_witness(settings: RingSettings, answers: Answers) -> bool:
    """Whether the witness decides about quorum, and a member still waits for its word."""
    if settings.quorum.witness is None or all(each.witness is not Vote.UNKNOWN for each in answers.values()):
        return False
    turnout = turn_out(settings, answers)
    if turnout.has_witness:
        return False
    voters = _known_voters(settings, answers)
    without, with_it = (
        judge(settings, voters, each) for each in (turnout, replace(turnout, has_witness=True))
    )
    return without.quorate != with_it.quorate


def decide(
    settings: RingSettings,
    ballot: ViewId,
    members: Sequence[Member],
    answers: Answers,
    fate: Callable[[Member], Gone | None],
) -> Decision:
    """Make the view of these members, who all answered and lack nothing. `fate` is the proposer's own knowledge."""
    nodes = tuple(member.node for member in members)
    owner = choose_owner(answers)
    line = answers[owner]
    came_along = [node for node in nodes if line.view is not None and answers[node].view == line.view]
    turnout = turn_out(settings, answers)
    voters = _voters(settings, ballot, answers, turnout)
    verdict = _held_back(settings, answers) or judge(settings, voters, turnout)
    index = max(
        each.position.index for each in answers.values() if each.position.lineage == line.position.lineage
    )
    # Without quorum the lineage stays, and so it does in a half whose twin may be quorate, too: until the twin is
    # confirmed off (passage.confirm). The index leaps over every index in use, so that no two lines of commands
    # ever share a position that follows the merge.
    is_the_line = verdict.quorate and not verdict.may_have_a_twin
    position = Position(ballot.counter, 0) if is_the_line else Position(line.position.lineage, index + 1)
    departed = [member for member in line.members if member not in members]
    return Decision(
        view=View(ballot, nodes, verdict.quorate, verdict.reason),
        lives=tuple(member.life for member in members),
        position=position,
        owner=owner,
        keeps_state=tuple(
            node for node in nodes if node == owner or (node in came_along and answers[node].has_state)
        ),
        departures=tuple(_gone(settings, member, owner, answers, fate(member)) for member in departed),
        arrivals=tuple(member.node for member in members if member not in line.members),
        last=tuple(LastOf(view, last_of(answers, group)) for view, group in sorted(groups(answers).items())),
        delivered=line.delivered,
        # Where the count may change, only a quorate view tells who counts.
        waits_for_all=turnout.waiting or (settings.quorum.is_dynamic and not verdict.quorate),
        voters=voters,
        has_witness=turnout.has_witness,
    )


def _held_back(settings: RingSettings, answers: Answers) -> Verdict | None:
    """Refuse quorum while the proposer knows older nodes than those that are agreed on: it counts wrongly."""
    newer = [node for node in sorted(answers) if answers[node].layout > settings.layout]
    if not newer:
        return None
    name = next((each.name for each in settings.nodes if each.node == newer[0]), f"node {newer[0]}")
    return Verdict(False, f"{name} knows newer nodes and links than {settings.of(settings.me).name}")


def _known_voters(settings: RingSettings, answers: Answers) -> Voters:
    if not settings.quorum.is_dynamic:
        return first_voters(settings)  # whatever nodes there were in earlier views
    return newest(settings, (each.voters for each in answers.values() if not each.waits_for_all))


def _voters(settings: RingSettings, ballot: ViewId, answers: Answers, turnout: Turnout) -> Voters:
    """Return whose votes count in the new view. Only a quorate view that goes on with the same members changes it."""
    known = _known_voters(settings, answers)
    first = next(iter(answers.values()))
    is_same = {member.node for member in first.members} == answers.keys()
    if not is_same or not first.quorate or any(each.view != first.view for each in answers.values()):
        return known
    is_settled = answers[ballot.proposer].is_settled  # by one clock, that of whoever found that it is time
    ways = advance(settings, known, turnout.members, first.left, is_settled=is_settled)
    return known if ways == known.electorates else Voters(ballot.counter, ways)


def _holder(answers: Answers, group: Sequence[NodeId], number: int) -> NodeId:
    return next(node for node in group if answers[node].received >= number or number in answers[node].beyond)


def _gone(
    settings: RingSettings, member: Member, owner: NodeId, answers: Answers, own_word: Gone | None
) -> Gone:
    """Find the best word on why a member is gone: a farewell that anybody heard, then the proposer's, the owner's."""
    words = [*answers[owner].gone, *(gone for node in sorted(answers) for gone in answers[node].gone)]
    about = [gone for gone in words if gone.node == member.node]
    about = about if own_word is None else [own_word, *about]
    clean = [gone for gone in about if gone.clean]
    default = Gone(member.node, False, "not every member hears it")
    cut = _cut_pairs(settings, member.node, answers, about)
    return (clean or cut or about or [default])[0]


def _cut_pairs(settings: RingSettings, gone: NodeId, answers: Answers, words: Sequence[Gone]) -> list[Gone]:
    """Name who does not reach a node that others hear: it lives, and what is broken is between these."""
    names = {node.node: node.name for node in settings.nodes}
    hearing = [node for node in sorted(answers) if gone in answers[node].hears]
    deaf = [node for node in sorted(answers) if node not in hearing]
    if not hearing or not deaf or not words or gone not in names:
        return []
    them = " and ".join(names[node] for node in deaf)
    hear = " and ".join(names[node] for node in hearing)
    ends = f"{them} and {names[gone]} do not reach each other, nor over another node"
    return [Gone(gone, False, f"{ends}; {hear} {'hears' if len(hearing) == 1 else 'hear'} {names[gone]}")]
