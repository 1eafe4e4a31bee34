"""What was dropped is told once, counted on, and warned of while it is recent."""

from komainu.model.ids import Instant
from komainu.network.drops import KINDS_MAX, RECENT_MS, Drops
from komainu.network.interface import PacketsDropped

FOREIGN = "link0.wrong-interface"


def at(ms: int) -> Instant:
    return Instant(ms)


def test_an_alarm_is_noted_once_and_again_after_a_quiet_while() -> None:
    drops = Drops()
    (note,) = drops.take(PacketsDropped(((FOREIGN, 1),)), at(0))
    assert note.code == "network.dropped"
    assert "came in by an interface that is not the link's" in note.message
    assert "link 0" in note.message
    assert drops.take(PacketsDropped(((FOREIGN, 9),)), at(1_000)) == []
    assert drops.take(PacketsDropped(((FOREIGN, 9),)), at(RECENT_MS * 3)) == []
    assert len(drops.take(PacketsDropped(((FOREIGN, 10),)), at(RECENT_MS * 3 + 1))) == 1


def test_alarms_end_and_counts_stay() -> None:
    drops = Drops()
    drops.take(PacketsDropped((("not-authentic", 3), ("replayed", 1), ("link1.ENETUNREACH", 5))), at(0))
    assert [one.kind for one in drops.alarms(at(RECENT_MS))] == ["not-authentic"]
    assert drops.alarms(at(RECENT_MS + 1)) == []
    told = [(one.link, one.kind, one.count, one.last) for one in drops.all()]
    assert told == [(None, "not-authentic", 3, 0), (1, "ENETUNREACH", 5, 0), (None, "replayed", 1, 0)]
    assert drops.all()[1].meaning == "could not be sent or read: ENETUNREACH (on link 1)"


def test_kinds_have_a_limit() -> None:
    drops = Drops()
    drops.take(PacketsDropped(tuple((f"link0.{number}", 1) for number in range(2 * KINDS_MAX))), at(0))
    assert len(drops.all()) == KINDS_MAX
