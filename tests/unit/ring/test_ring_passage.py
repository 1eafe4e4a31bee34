"""ring/passage.py: promises only grow, a stopped view delivers nothing, and the first counter leaps."""

import pytest

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Delivered, Position, View, ViewId
from komainu.ring.interface import Absorbed, Deliver, InstallView, KeepPromise, Past
from komainu.ring.links import Links
from komainu.ring.outbox import Outbox
from komainu.ring.packet import Decision, LastOf, Share, ViewKey, Voters
from komainu.ring.passage import Passage, first_counter
from komainu.ring.settings import NodeSettings, RingSettings, derive
from komainu.ring.watch import Watch

ME, PEER = NodeId(2), NodeId(1)
NOW = Instant(0)


def begun(past: Past) -> tuple[Passage, Outbox]:
    nodes = tuple(
        NodeSettings(node, NodeName(f"n{node}"), (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),))
        for node in (PEER, ME)
    )
    settings = RingSettings("test", ME, nodes)
    timing = derive(settings)
    watch = Watch(settings, timing, Links(settings, timing, NOW), Incarnation(20))
    outbox = Outbox.after(past.delivered, ME, Incarnation(20))
    return Passage(settings, timing, watch, outbox, past), outbox


def passage(position: Position | None = None, past: Past | None = None) -> tuple[Passage, Outbox]:
    core, outbox = begun(past or Past(position or Position()))
    core._promised, core.kept = 0, 5_000  # small counters are easier to read
    return core, outbox


def decision(
    counter: int, *, last: tuple[LastOf, ...] = (), delivered: tuple[Delivered, ...] = (), keeps: bool = True
) -> Decision:
    return Decision(
        view=View(ViewId(counter, PEER), (PEER, ME), True, "2 of 2 votes"),
        lives=(Incarnation(10), Incarnation(20)),
        position=Position(counter, 0),
        owner=PEER,
        keeps_state=(PEER, ME) if keeps else (PEER,),
        departures=(),
        arrivals=(),
        last=last,
        delivered=delivered,
        waits_for_all=False,
        voters=Voters(0, ()),
        has_witness=False,
    )


@pytest.mark.parametrize(
    ("lineage", "first"), [(0, 1000), (1, 2000), (999, 2000), (1000, 2000), (1001, 3000)]
)
def test_the_first_counter_leaves_room_for_what_was_not_stored(lineage: int, first: int) -> None:
    assert first_counter(Position(lineage, 7)) == first
    assert first >= lineage + 1000


def test_promises_only_grow() -> None:
    core, _ = passage()
    core.promise(ViewId(5, PEER))
    assert core.may_follow(ViewId(5, PEER))
    assert not core.may_follow(ViewId(4, PEER))
    assert core.may_follow(ViewId(6, PEER))
    core.begin(decision(5), NOW)
    assert not core.may_follow(ViewId(5, PEER))  # it began; an old copy of the proposal leads nowhere
    with pytest.raises(AssertionError):
        core.promise(ViewId(5, PEER))


def test_of_two_ballots_with_one_counter_only_the_first_is_followed() -> None:
    core, _ = passage()
    core.promise(ViewId(5, PEER))
    assert not core.may_follow(ViewId(5, NodeId(3)))
    core.begin(decision(5), NOW)
    assert not core.may_follow(ViewId(5, NodeId(3)))


def test_nothing_is_promised_that_the_disk_does_not_have() -> None:
    core, _ = passage()
    assert core.keep_promises() == [KeepPromise(core.seen + 1000)]
    assert core.keep_promises() == []
    core.seen += 501
    assert core.keep_promises() == [KeepPromise(core.seen + 1000)]
    assert core.may_follow(ViewId(core.kept, PEER))
    assert not core.may_follow(ViewId(core.kept + 1, PEER))


def test_a_life_answers_no_ballot_that_an_earlier_one_may_have_promised() -> None:
    core, _ = begun(Past(Position(5, 0), promised=7_000))
    core.kept = 9_000
    assert not core.may_follow(ViewId(7_000, PEER))
    assert core.may_follow(ViewId(7_001, PEER))


def test_the_first_view() -> None:
    core, outbox = passage(Position(3, 4))
    answer = core.answer(ViewId(5, PEER), NOW)
    assert (answer.view, answer.position, answer.has_state, answer.waits_for_all) == (
        None,
        Position(3, 4),
        True,
        True,
    )
    outbox.add(b"x", 9, is_snapshot=False)
    outbox.add(b"y", 10, is_snapshot=False)
    out = core.begin(decision(5, delivered=(Delivered(ME, Incarnation(20), 1),), keeps=False), NOW)
    assert [type(each).__name__ for each in out] == ["Absorbed", "InstallView", "Note", "Mail"]
    assert out[0] == Absorbed(9)
    assert isinstance(out[1], InstallView)
    assert core.is_member(PEER)
    assert not core.waits_for_all


def test_who_waits_for_a_snapshot_holds_what_it_held() -> None:
    core, _ = passage(Position(3, 4))
    core.begin(decision(5, keeps=False), NOW)
    assert core.answer(ViewId(6, PEER), NOW).position == Position(3, 4)
    assert core.stored(Position(3, 4)) == []  # given to the disk before the view
    assert not core.answer(ViewId(6, PEER), NOW).has_state
    core.stored(Position(5, 2))
    assert core.answer(ViewId(6, PEER), NOW).has_state


def test_who_waits_for_a_snapshot_remembers_what_is_part_of_what_it_holds() -> None:
    """What was delivered since is not part of it: its sender has to offer it again, if this state goes on."""
    theirs = Delivered(PEER, Incarnation(10), 9)
    past = Past(Position(3, 4), delivered=(Delivered(ME, Incarnation(19), 2),))
    core, _ = passage(past=past)
    core.begin(decision(5, delivered=(theirs,), keeps=False), NOW)
    assert core.answer(ViewId(6, PEER), NOW).delivered == past.delivered
    core.stored(Position(5, 2))
    assert core.answer(ViewId(6, PEER), NOW).delivered == (theirs,)


def test_a_stopped_view_delivers_no_more_until_its_end_is_agreed() -> None:
    core, outbox = passage()
    alone = Decision(
        view=View(ViewId(5, ME), (ME,), True, ""),
        lives=(Incarnation(20),),
        position=Position(5, 0),
        owner=ME,
        keeps_state=(ME,),
        departures=(),
        arrivals=(),
        last=(),
        delivered=(),
        waits_for_all=False,
        voters=Voters(0, ()),
        has_witness=False,
    )
    core.begin(alone, NOW)
    assert core.current is not None
    order = core.current.order
    assert [type(each) for each in order.submit(outbox.add(b"a", 1, is_snapshot=False), NOW)] == [Deliver]
    core.promise(ViewId(6, PEER))
    assert order.submit(outbox.add(b"b", 2, is_snapshot=False), NOW) == []
    key = ViewKey(ViewId(5, ME), Incarnation(20))
    assert core.answer(ViewId(6, PEER), NOW).received == 1
    assert (
        core.share(Share(Incarnation(10), ViewId(7, PEER), key, PEER, (1,))) == []
    )  # not the promised ballot
    out = core.begin(decision(6, last=(LastOf(key, 1),)), NOW)
    assert [type(each).__name__ for each in out] == ["InstallView", "Note", "Mail"]  # b is asked for anew


def test_a_decision_that_forgets_our_view_is_a_fault() -> None:
    core, _ = passage()
    core.begin(decision(5), NOW)
    with pytest.raises(AssertionError):
        core.begin(decision(6), NOW)
