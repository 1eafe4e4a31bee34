"""Check what is read out of a configuration about fencing."""

import pytest

from komainu.cib.document import parse
from komainu.cib.element import Element
from komainu.fencing.interface import Level
from komainu.model.ids import NodeName
from komainu.node.devices import WATCHDOG_MARK, attempts_max, fencing_of, watchdog_timeout_ms

A, B, C = NodeName("a"), NodeName("b"), NodeName("c")


def cib(options: str = "", levels: str = "", marks: tuple[int, ...] = (0, 0, 0)) -> Element:
    states = "".join(
        f"<node_state id='{number}' uname='{name}'><transient_attributes id='{number}'>"
        f"<instance_attributes id='s{number}'>"
        f"<nvpair id='w{number}' name='{WATCHDOG_MARK}' value='{mark}'/>"
        "</instance_attributes></transient_attributes></node_state>"
        for number, (name, mark) in enumerate(zip("abc", marks, strict=True), 1)
    )
    return parse(
        f"""<cib><configuration><crm_config><cluster_property_set id='o'>{options}</cluster_property_set>
        </crm_config><nodes><node id='1' uname='a'><instance_attributes id='n1'><nvpair id='r1' name='rack'
        value='1'/></instance_attributes></node><node id='2' uname='b'/><node id='3' uname='c'/></nodes>
        <resources><primitive id='p' class='stonith' type='fence_lab'><meta_attributes id='pm'><nvpair id='pp'
        name='priority' value='7'/></meta_attributes></primitive><primitive id='q' class='stonith'
        type='fence_lab'><meta_attributes id='qm'><nvpair id='qt' name='target-role' value='Stopped'/>
        </meta_attributes></primitive></resources><constraints/>
        <fencing-topology>{levels}</fencing-topology></configuration><status>{states}</status></cib>"""
    )


def option(name: str, value: str) -> str:
    return f"<nvpair id='{name}' name='{name}' value='{value}'/>"


def test_devices_and_the_time_out() -> None:
    known = fencing_of(cib(option("stonith-timeout", "90s")), halves_stay=False)
    assert [(device.name, device.priority) for device in known.devices] == [("p", 7)]
    assert known.timeout_ms == 90_000
    assert fencing_of(cib(), halves_stay=False).timeout_ms == 60_000


def test_levels_by_name_pattern_and_attribute() -> None:
    levels = (
        "<fencing-level id='1' target-pattern='^[bc]$' index='1' devices='p,q'/>"
        "<fencing-level id='2' target='b' index='2' devices='p'/>"
        "<fencing-level id='3' target-attribute='rack' target-value='1' index='1' devices='q'/>"
        "<fencing-level id='4' target-pattern='[' index='1' devices='q'/>"
    )
    assert fencing_of(cib(levels=levels), halves_stay=False).levels == (
        Level(A, 1, ("q",)),
        Level(B, 2, ("p",)),
        Level(C, 1, ("p", "q")),
    )


@pytest.mark.parametrize(("text", "expected"), [("", 10), ("3", 3), ("0", 1), ("INFINITY", 10**6)])
def test_how_often_a_fencing_may_fail(text: str, expected: int) -> None:
    assert attempts_max(cib(option("stonith-max-attempts", text) if text else "")) == expected


def test_whose_watchdog_can_be_counted_on() -> None:
    known = cib(option("stonith-watchdog-timeout", "10s"), marks=(5000, 5001, 0))
    assert fencing_of(known, halves_stay=False).self_resetting == (A,)
    assert fencing_of(known, halves_stay=True).self_resetting == ()
    assert fencing_of(cib(marks=(5000, 5000, 5000)), halves_stay=False).self_resetting == ()


def test_a_negative_watchdog_time_out_is_twice_the_longest() -> None:
    known = cib(option("fencing-watchdog-timeout", "-1"), marks=(5000, 6000, 0))
    assert watchdog_timeout_ms(known) == 12_000
    assert fencing_of(known, halves_stay=False).self_resetting == (A, B)
