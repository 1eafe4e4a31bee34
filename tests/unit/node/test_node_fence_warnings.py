"""What of fencing contradicts itself is refused with its place and its sum, before it is applied."""

import pytest

from komainu.cib.document import parse_cib
from komainu.node.fence_warnings import contradictions

CIB = """<cib validate-with="pacemaker-3.9"><configuration>
<crm_config><cluster_property_set id="o">
<nvpair id="w" name="stonith-watchdog-timeout" value="{wait}"/>
<nvpair id="e" name="stonith-enabled" value="{enabled}"/>
</cluster_property_set></crm_config><nodes/>
<resources><primitive id="f" class="stonith" type="fence_dummy"><instance_attributes id="i">
<nvpair id="d" name="pcmk_delay_base" value="{delay}"/><nvpair id="h" name="pcmk_host_list" value="a b"/>
</instance_attributes></primitive></resources><constraints/></configuration><status/></cib>"""


def found(wait: str = "0", delay: str = "1s", enabled: str = "true") -> list[str]:
    cib = parse_cib(CIB.format(wait=wait, delay=delay, enabled=enabled), "x.xml")
    return [str(one) for one in contradictions(cib, (("a", 5_000), ("b", 3_000)), "x.xml")]


@pytest.mark.parametrize("wait", ["0", "10s", "-1", "1min"])
def test_what_adds_up_is_taken(wait: str) -> None:
    assert found(wait) == []


def test_a_promise_below_twice_the_watchdog_is_refused_with_the_sum() -> None:
    (text,) = found("7s")
    assert text.startswith(
        "x.xml:3: w: error: stonith-watchdog-timeout (7000 ms) is below 2 x the watchdog of a (5000 ms) = 10000 ms"
    )
    assert "hint: a longer stonith-watchdog-timeout" in text


def test_a_delay_that_is_longer_than_its_time_out_is_refused_once() -> None:
    (text,) = found(delay="90s")
    assert text.startswith(
        "x.xml:6: f: error: fence device f waits up to 90000 ms (pcmk_delay_base 90s) before"
    )
    assert "longer than the 60000 ms" in text


def test_where_nothing_is_fenced_nothing_contradicts() -> None:
    assert found("7s", "90s", "false") == []
