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
    RaceBegan,
    RunFenceAgent,
    Turns,
    TurnsChanged,
)
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
