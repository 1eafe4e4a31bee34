"""A split: who may strike when, and how it is found out that there is nobody to race with."""

import pytest

from komainu.fencing.duel import ASK_AGAIN_MS
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import (
    DeadlinePassed,
    Device,
    DevicesChanged,
    FenceAgentFinished,
    FenceRequested,
    FencingEffect,
    FencingEnded,
    PeerDoubted,
    PeerFoundOff,
    RaceBegan,
    RunFenceAgent,
    Turns,
    TurnsChanged,
)
from komainu.fencing.reach import LIST_KEPT_MS
from komainu.model.fencing import FenceState
from komainu.model.ids import Instant, NodeName, WallTime

A, B = NodeName("a"), NodeName("b")
BEGUN = Instant(1_000)
LATER = Turns(BEGUN, 1, 2_000, 500)
META_DATA = (
    "<resource-agent name='x'><parameters><parameter name='port'/></parameters>"
    "<actions><action name='off'/><action name='reboot'/>{}</actions></resource-agent>"
)


def device(name: str, agent: str = "fence_x") -> Device:
    return Device(name, agent, (("pcmk_host_list", "a b"),))


def fencer(*devices: Device, can: str = "<action name='status'/>") -> Fencer:
    core = Fencer(A)
    for effect in core.handle(DevicesChanged(devices), Instant(0)):
        assert isinstance(effect, RunFenceAgent)
        finish(core, effect, 0, at=0, output=META_DATA.format(can))
    return core


def finish(
    core: Fencer, run: RunFenceAgent, code: int | None, *, at: int = 1_100, output: str = ""
) -> list[FencingEffect]:
    event = FenceAgentFinished(
        run.run,
        code,
        timed_out=code is None,
        missing=False,
        output=output,
        error_output="",
        wall=WallTime(0),
    )
    return core.handle(event, Instant(at))


def runs(effects: list[FencingEffect]) -> list[RunFenceAgent]:
    return [effect for effect in effects if isinstance(effect, RunFenceAgent)]


def ask(core: Fencer, at: int) -> list[FencingEffect]:
    return core.handle(FenceRequested("1.1", B, "off", 60_000, "b was lost", WallTime(0)), Instant(at))


def test_who_comes_first_asks_nothing_and_strikes() -> None:
    core = fencer(device("one"))
    turns = Turns(BEGUN, 0, 2_000, 500)
    assert core.handle(RaceBegan(B, turns), BEGUN) == [TurnsChanged(turns)]
    assert dict(runs(ask(core, 1_100))[0].options)["action"] == "off"


def test_who_comes_later_asks_every_device_whether_the_peer_is_on() -> None:
    core = fencer(device("one"), device("two"))
    asked = runs(core.handle(RaceBegan(B, LATER), BEGUN))
    assert [dict(run.options)["action"] for run in asked] == ["status", "status"]
    assert TurnsChanged(None) not in finish(core, asked[0], 2)
    assert TurnsChanged(None) in finish(core, asked[1], 2)
    assert runs(ask(core, 1_200)), "nobody is left to race with, so it need not wait for its turn"


@pytest.mark.parametrize("code", [0, 1, None])
def test_one_device_that_does_not_say_off_is_enough_to_wait(code: int | None) -> None:
    core = fencer(device("one"), device("two"))
    first, second = runs(core.handle(RaceBegan(B, LATER), BEGUN))
    assert TurnsChanged(None) not in finish(core, first, code)
    assert TurnsChanged(None) not in finish(core, second, 2)


def test_a_device_without_an_answer_is_asked_again() -> None:
    core = fencer(device("one"))
    (asked,) = runs(core.handle(RaceBegan(B, LATER), BEGUN))
    finish(core, asked, 1, at=1_100)
    assert core.deadline == 1_100 + ASK_AGAIN_MS
    (again,) = runs(core.handle(DeadlinePassed(), Instant(1_100 + ASK_AGAIN_MS)))
    assert TurnsChanged(None) in finish(core, again, 2, at=3_200)


def test_a_device_that_cannot_tell_is_not_asked() -> None:
    core = fencer(device("one"), can="")
    assert runs(core.handle(RaceBegan(B, LATER), BEGUN)) == []


def test_nothing_strikes_in_the_turn_of_the_other_side() -> None:
    core = fencer(device("one"))
    core.handle(RaceBegan(B, LATER), BEGUN)
    effects = ask(core, 1_200)
    assert runs(effects) == []
    (ended,) = (effect for effect in effects if isinstance(effect, FencingEnded))
    assert ended.record.state is FenceState.FAILED
    assert "turn of b" in ended.record.outcome
    assert runs(ask(core, 3_100)), "now it is its turn"


def test_a_second_attempt_that_would_fall_into_the_other_turn_is_not_made() -> None:
    core = fencer(device("one"))
    core.handle(RaceBegan(B, LATER), BEGUN)
    (run,) = runs(ask(core, 3_100))
    assert runs(finish(core, run, 1, at=3_900)) == []


def test_an_answer_from_an_earlier_race_counts_no_more() -> None:
    core = fencer(device("one"))
    (asked,) = runs(core.handle(RaceBegan(B, LATER), BEGUN))
    core.handle(RaceBegan(None, None), Instant(1_050))
    assert finish(core, asked, 2) == []


def test_a_fencing_remembers_how_long_its_devices_took() -> None:
    core = fencer(device("one"))
    (run,) = runs(ask(core, 1_000))
    (ended,) = finish(core, run, 0, at=1_750)
    assert isinstance(ended, FencingEnded)
    assert ended.record.took_ms == 750


def doubt(core: Fencer, at: int = 800) -> list[RunFenceAgent]:
    return runs(core.handle(PeerDoubted(B), Instant(at)))


def test_a_peer_in_doubt_is_looked_for_before_there_is_a_race() -> None:
    core = fencer(device("one"), device("two"))
    first, second = doubt(core)
    assert PeerFoundOff(B) not in finish(core, first, 2, at=900)
    assert PeerFoundOff(B) in finish(core, second, 2, at=900)
    begun = core.handle(RaceBegan(B, LATER), BEGUN)
    assert begun == [TurnsChanged(None)], "nothing is asked, and nothing waited for"
    assert runs(ask(core, 1_001))


@pytest.mark.parametrize("listed", ["b", "c"])
def test_a_device_that_listed_the_peer_is_asked_however_long_ago_that_was(listed: str) -> None:
    """At the first silence there is no time to ask for a list first."""
    core = fencer(Device("one", "fence_x", ()), can="<action name='status'/><action name='list'/>")
    assert doubt(core, 0) == [], "nobody knows what it reaches"
    (asked,) = runs(ask(core, 10))
    assert dict(asked.options)["action"] == "list"
    for run in runs(finish(core, asked, 0, at=20, output=f"a\n{listed}\n")):
        finish(core, run, 0, at=30)
    found = [dict(run.options) for run in doubt(core, 30 + 2 * LIST_KEPT_MS)]
    assert [options["action"] for options in found] == (["status"] if listed == "b" else [])


def test_the_answer_to_an_early_question_counts_in_the_race() -> None:
    core = fencer(device("one"))
    (asked,) = doubt(core)
    assert core.handle(RaceBegan(B, LATER), BEGUN) == [TurnsChanged(LATER)]
    assert runs(ask(core, 1_010)) == []
    assert TurnsChanged(None) in finish(core, asked, 2)


def test_who_was_on_before_the_race_is_asked_for_anew_in_it() -> None:
    core = fencer(device("one"))
    (asked,) = doubt(core)
    core.handle(RaceBegan(B, LATER), BEGUN)
    finish(core, asked, 0, at=1_100)
    assert core.deadline == 1_101
    (again,) = runs(core.handle(DeadlinePassed(), Instant(1_101)))
    assert finish(core, again, 0, at=1_200) == []
    assert core.deadline is None, "it is on, and this side waits for its turn"


@pytest.mark.parametrize("code", [0, 1, None])
def test_an_early_answer_that_is_not_off_says_nothing(code: int | None) -> None:
    core = fencer(device("one"))
    (asked,) = doubt(core)
    assert finish(core, asked, code, at=900) == []
    assert core.deadline is None
    assert runs(core.handle(RaceBegan(B, LATER), BEGUN)), "it is asked in the race"


def test_a_peer_that_is_heard_again_is_not_off() -> None:
    core = fencer(device("one"))
    (asked,) = doubt(core)
    finish(core, asked, 2, at=900)
    core.handle(PeerDoubted(None), Instant(950))
    assert TurnsChanged(LATER) in core.handle(RaceBegan(B, LATER), BEGUN)
    assert runs(ask(core, 1_010)) == []


def test_an_answer_that_comes_after_the_peer_was_heard_says_nothing() -> None:
    core = fencer(device("one"))
    (asked,) = doubt(core)
    core.handle(PeerDoubted(None), Instant(850))
    assert finish(core, asked, 2, at=900) == []


def test_what_is_heard_in_a_race_does_not_end_it() -> None:
    core = fencer(device("one"))
    core.handle(RaceBegan(B, LATER), BEGUN)
    core.handle(PeerDoubted(None), Instant(1_005))
    assert runs(ask(core, 1_010)) == []


def test_a_cable_that_flaps_does_not_keep_the_device_busy() -> None:
    core = fencer(device("one"))
    assert doubt(core, 800)
    core.handle(PeerDoubted(None), Instant(900))
    assert doubt(core, 1_000) == []
    assert core.deadline == 800 + ASK_AGAIN_MS
    core.handle(PeerDoubted(None), Instant(1_100))
    assert core.deadline is None
