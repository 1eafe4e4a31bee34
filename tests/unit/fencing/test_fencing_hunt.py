"""Check the ways of levels, remapped reboots, unfencing, watchdogs and doubtful devices through the fencer."""

import pytest
from test_fencing_fencing import USUAL, A, B, Bench, device, meta_data, only_run, records

from komainu.fencing.interface import Device, DevicesChanged, FenceRequested, Level, RunFenceAgent
from komainu.model.fencing import FenceState
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.model.report import Note


def told(run: RunFenceAgent) -> tuple[str, str]:
    options = dict(run.options)
    return options["action"], options.get("port", "")


def other(name: str, agent: str = "fence_lab", **parameters: str) -> Device:
    return Device(name, agent, tuple(sorted({"pcmk_host_list": "b", **parameters}.items())))


def test_all_devices_of_a_level_do_their_part_and_a_reboot_is_off_for_all_before_on() -> None:
    known = DevicesChanged((other("p1"), other("p2", pcmk_host_map="b:two")), (Level(B, 1, ("p1", "p2")),))
    bench = Bench(known=known)
    seen = []
    effects = bench.ask(action="reboot")
    while not records(effects):
        run = only_run(effects)
        seen.append(told(run))
        effects = bench.finish(run)
    assert seen == [("off", "b"), ("off", "two"), ("on", "b"), ("on", "two")]
    (record,) = records(effects)
    assert (record.state, record.device, record.action) == (FenceState.DONE, "p1+p2", "reboot")


def test_a_failed_on_after_all_are_off_does_not_undo_the_fencing() -> None:
    known = DevicesChanged((other("p1"), other("p2")), (Level(B, 1, ("p1", "p2")),))
    bench = Bench(known=known)
    run = only_run(bench.finish(only_run(bench.ask(action="reboot"))))
    run = only_run(bench.finish(run))
    assert told(run)[0] == "on"
    effects = bench.finish(only_run(bench.finish(run, 1)), 1)
    assert records(bench.finish(only_run(effects)))[0].state is FenceState.DONE


def test_a_level_that_fails_leads_to_the_next_and_a_device_of_it_alone_is_not_enough() -> None:
    levels = (Level(B, 2, ("p3",)), Level(B, 1, ("p1", "p2")))
    bench = Bench(known=DevicesChanged((other("p1"), other("p2"), other("p3")), levels))
    run = only_run(bench.finish(only_run(bench.ask())))
    run = only_run(bench.finish(run, None, missing=True))
    (record,) = records(bench.finish(run))
    assert (record.state, record.device) == (FenceState.DONE, "p3")


def test_a_level_with_an_unknown_device_fails_and_no_device_outside_the_topology_is_used() -> None:
    bench = Bench(known=DevicesChanged((other("p1"),), (Level(B, 1, ("p1", "typo")),)))
    (record,) = records(bench.ask())
    assert record.state is FenceState.FAILED
    assert "level 1 names typo, which is not configured" in record.outcome


def test_an_agent_without_reboot_is_switched_off_and_on() -> None:
    bench = Bench(other("p1"), agents={"fence_lab": meta_data("off")})
    run = only_run(bench.ask(action="reboot"))
    assert told(run)[0] == "off"
    assert told(only_run(bench.finish(run)))[0] == "on"


def test_what_unfences_is_not_switched_on_after_a_fencing() -> None:
    agents = {"fence_lab": meta_data("off", on="automatic='1' on_target='1'")}
    bench = Bench(other("scsi"), agents=agents)
    run = only_run(bench.ask(action="reboot"))
    assert told(run)[0] == "off"
    assert records(bench.finish(run))[0].state is FenceState.DONE


def test_unfencing_is_done_by_every_device_that_unfences_and_reaches_the_node() -> None:
    agents = {"fence_lab": USUAL, "fence_scsi": meta_data("off", on="automatic='1'")}
    devices = (
        other("power"),
        other("s1", "fence_scsi"),
        other("s2", "fence_scsi", pcmk_host_list="z"),
        other("s3", "fence_scsi"),
    )
    bench = Bench(*devices, agents=agents)
    run = only_run(bench.ask(action="on"))
    (record,) = records(bench.finish(only_run(bench.finish(run))))
    assert (record.state, record.device) == (FenceState.DONE, "s1+s3")


def test_a_device_with_a_higher_priority_is_tried_first() -> None:
    low, high = other("low"), Device("high", "fence_lab", (("pcmk_host_list", "b"),), priority=5)
    bench = Bench(low, high)
    assert records(bench.finish(only_run(bench.ask())))[0].device == "high"


def test_the_requests_delay_counts_once_and_a_negative_one_ends_all_delays() -> None:
    slow = {"pcmk_delay_base": "1s"}
    bench = Bench(other("p1", **slow), other("p2", **slow))
    event = FenceRequested("1.1", B, "off", 0, "lost", WallTime(1), 3000)
    assert bench.fencer.handle(event, Instant(bench.now)) == []
    assert bench.deadline() == bench.now + 4000
    run = only_run(bench.wake())
    bench.finish(run, None, missing=True)
    assert bench.deadline() == bench.now + 1000
    bench = Bench(other("p1", **slow))
    event = FenceRequested("1.1", B, "off", 0, "lost", WallTime(1), -1)
    only_run(bench.fencer.handle(event, Instant(bench.now)))


def test_a_watchdog_that_can_be_counted_on_is_waited_for_when_no_device_works() -> None:
    known = DevicesChanged((other("p1"),), self_resetting=(B,), watchdog_ms=10_000)
    bench = Bench(known=known)
    assert records(bench.finish(only_run(bench.ask()), None, missing=True)) == []
    assert bench.deadline() == bench.now + 10_000
    (record,) = records(bench.wake())
    assert (record.state, record.device) == (FenceState.DONE, "watchdog")
    assert record.outcome == "its watchdog had 10000 ms to reset it"


def test_a_watchdog_that_cannot_be_counted_on_fences_nobody() -> None:
    bench = Bench(known=DevicesChanged((), self_resetting=(A,), watchdog_ms=10_000))
    assert records(bench.ask())[0].state is FenceState.FAILED
    explicit = Device("watchdog", "fence_watchdog", (("pcmk_host_list", "a"),))
    known = DevicesChanged((explicit,), (Level(B, 1, ("watchdog",)),), self_resetting=(B,), watchdog_ms=9_000)
    (record,) = records(Bench(known=known).ask())
    assert "watchdog reaches only a" in record.outcome


@pytest.mark.parametrize(("ghost_exit", "state"), [(1, None), (0, FenceState.FAILED), (2, FenceState.FAILED)])
def test_a_device_that_claims_to_reach_everybody_is_not_believed(
    ghost_exit: int, state: FenceState | None
) -> None:
    agents = {"fence_lab": meta_data("off", "status")}
    bench = Bench(device(), agents=agents)
    query = only_run(bench.ask())
    assert told(query) == ("status", "b")
    query = only_run(bench.finish(query))
    assert told(query) == ("status", "komainu-no-such-node")
    effects = bench.finish(query, ghost_exit)
    if state is None:
        assert told(only_run(effects)) == ("off", "b")
    else:
        (record,) = records(effects)
        assert record.state is state
        assert "cannot tell nodes apart: set pcmk_host_list" in record.outcome


def test_a_list_that_cannot_be_had_is_made_up_for_by_the_status_and_a_good_one_is_kept() -> None:
    bench = Bench(device())
    run = only_run(bench.finish(only_run(bench.ask()), 1))
    assert told(run) == ("status", "b")
    bench = Bench(device())
    bench.finish(only_run(bench.finish(only_run(bench.ask()), output="b,\nc,\n")))
    assert told(only_run(bench.ask("1.2", target=NodeName("c")))) == ("off", "c")


def test_an_agent_without_meta_data_is_named_before_it_is_needed_and_tried_all_the_same() -> None:
    bench = Bench(other("p1"), agents={"fence_lab": "garbage"})
    assert bench.fencer.troubles == {"fence_lab": "fence_lab gave no meta-data that can be read"}
    assert told(only_run(bench.ask())) == ("off", "b")
    (again,) = bench.fencer.handle(DevicesChanged((other("p1"),)), Instant(bench.now))
    assert isinstance(again, RunFenceAgent)
    assert bench.finish(again, output=USUAL) == []
    assert bench.fencer.troubles == {}


def test_a_fencing_waits_for_the_meta_data_that_is_on_its_way() -> None:
    bench = Bench()
    (asked,) = bench.fencer.handle(DevicesChanged((other("p1"),)), Instant(bench.now))
    assert isinstance(asked, RunFenceAgent)
    assert bench.ask() == []
    effects = bench.finish(asked, None, timed_out=True)
    assert any(isinstance(effect, Note) for effect in effects)
    assert told(only_run(effects)) == ("off", "b")
