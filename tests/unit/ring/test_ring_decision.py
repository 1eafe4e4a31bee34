"""ring/decision.py: whose state goes on, who keeps it, who came and went, what has to be shared."""

import msgspec

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Delivered, Position, ViewId
from komainu.ring.decision import choose_owner, decide, lacking, last_of
from komainu.ring.packet import (
    Decision,
    Electorate,
    Flush,
    Gone,
    LastOf,
    Member,
    ViewKey,
    Vote,
    Voters,
)
from komainu.ring.settings import NodeSettings, RingSettings
from komainu.ring.voters import first_voters

BALLOT = ViewId(2000, NodeId(1))
OLD, OTHER = (ViewKey(ViewId(counter, NodeId(1)), Incarnation(1)) for counter in (10, 11))


def member(node: int, life: int = 0) -> Member:
    return Member(NodeId(node), Incarnation(life or node))


def flush(**changes: object) -> Flush:
    plain = Flush(
        life=Incarnation(1),
        ballot=BALLOT,
        view=OLD,
        members=tuple(member(node) for node in (1, 2, 3)),
        quorate=True,
        received=5,
        beyond=(),
        position=Position(10, 5),
        has_state=True,
        waits_for_all=False,
        gone=(),
        delivered=(),
        voters=Voters(0, (Electorate(tuple(NodeId(node) for node in (1, 2, 3)), None),)),
        is_settled=False,
        left=(),
        witness=Vote.UNKNOWN,
    )
    return msgspec.structs.replace(plain, **changes)


def decided(answers: dict[int, Flush], count: int = 3, fate: Gone | None = None) -> Decision:
    nodes = tuple(
        NodeSettings(NodeId(node), NodeName(f"n{node}"), (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),))
        for node in range(1, count + 1)
    )
    settings = RingSettings("test", NodeId(1), nodes)
    members = [member(node) for node in sorted(answers)]
    by_node = {
        NodeId(node): msgspec.structs.replace(answer, voters=first_voters(settings))
        for node, answer in answers.items()
    }
    return decide(settings, BALLOT, members, by_node, lambda gone: fate)


def test_who_moves_together_keeps_the_state() -> None:
    decision = decided(
        {1: flush(), 2: flush(gone=(Gone(NodeId(3), False, "silent on both links for 690 ms"),))}
    )
    assert decision.view.quorate
    assert decision.position == Position(2000, 0)
    assert (decision.owner, decision.keeps_state) == (1, (1, 2))
    assert decision.departures == (Gone(NodeId(3), False, "silent on both links for 690 ms"),)
    assert (decision.arrivals, decision.last) == ((), (LastOf(OLD, 5),))


def test_a_farewell_that_anybody_heard_counts() -> None:
    decision = decided(
        {1: flush(), 2: flush(gone=(Gone(NodeId(3), True, "it left"),))},
        fate=Gone(NodeId(3), False, "silent"),
    )
    assert decision.departures == (Gone(NodeId(3), True, "it left"),)
    assert decided({1: flush(), 2: flush()}).departures[0].reason == "not every member hears it"


def test_the_line_that_was_quorate_last_goes_on() -> None:
    alone = flush(view=OTHER, quorate=False, position=Position(10, 90), members=(member(2),))
    newer = flush(view=OTHER, quorate=False, position=Position(11, 0), members=(member(2),))
    assert (
        choose_owner({NodeId(1): flush(), NodeId(2): alone}) == 1
    )  # many commands without quorum count nothing
    assert choose_owner({NodeId(1): flush(), NodeId(2): newer}) == 2
    assert choose_owner({NodeId(1): flush(has_state=False), NodeId(2): alone}) == 2
    assert choose_owner({NodeId(1): flush(), NodeId(2): flush()}) == 1


def test_who_was_apart_takes_the_state_even_at_an_equal_position() -> None:
    decision = decided({1: flush(), 2: flush(view=OTHER, members=(member(2),), quorate=False)})
    assert (decision.owner, decision.keeps_state, decision.arrivals) == (1, (1,), ())
    fresh = decided({1: flush(view=None, members=()), 2: flush(view=None, members=())})
    assert (fresh.owner, fresh.keeps_state, fresh.arrivals) == (1, (1,), (1, 2))


def test_who_still_waits_for_a_snapshot_waits_on() -> None:
    decision = decided({1: flush(), 2: flush(has_state=False, position=Position(9, 9))})
    assert decision.keeps_state == (1,)
    orphan = decided({2: flush(has_state=False, position=Position(9, 9))})
    assert (orphan.owner, orphan.keeps_state, orphan.position) == (2, (2,), Position(9, 10))


def test_without_quorum_the_index_leaps_over_all_in_use() -> None:
    decision = decided({1: flush(), 2: flush(view=OTHER, quorate=False, position=Position(10, 90))}, count=5)
    assert not decision.view.quorate
    assert (decision.owner, decision.position) == (1, Position(10, 91))


def test_wait_for_all_ends_when_one_has_seen_all() -> None:
    assert decided({1: flush(waits_for_all=True)}, count=2).waits_for_all
    assert not decided({1: flush(waits_for_all=True)}, count=2).view.quorate
    assert not decided({1: flush(waits_for_all=True), 2: flush(waits_for_all=True)}, count=2).waits_for_all
    assert decided({1: flush(waits_for_all=True), 2: flush()}, count=3).view.quorate


def test_the_memory_of_the_owner_goes_on() -> None:
    memory = (Delivered(NodeId(3), Incarnation(3), 4),)
    assert decided({1: flush(delivered=memory), 2: flush()}).delivered == memory


def test_what_is_lacking_is_shared_by_those_who_hold_it() -> None:
    answers = {
        NodeId(1): flush(received=4),
        NodeId(2): flush(received=5, beyond=(7,)),
        NodeId(3): flush(received=4, beyond=(6,)),
    }
    assert last_of(answers, list(answers)) == 7
    assert lacking(answers) == [
        (2, 1, OLD, (5, 7)),
        (3, 1, OLD, (6,)),
        (3, 2, OLD, (6,)),
        (2, 3, OLD, (5, 7)),
    ]
    assert lacking({NodeId(1): flush(received=4), NodeId(2): flush(view=OTHER, received=9)}) == []
