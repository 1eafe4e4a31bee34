"""The lines of the transition summary."""

from whole_text import dummy, entry, past, state, whole

from komainu.cib.element import Element
from komainu.scheduler import recipe, summary

FENCER = '<primitive id="f" class="stonith" type="fence_x"/>'


def _lines(cib: Element) -> list[str]:
    job = recipe.read(cib, 1000)
    recipe.schedule(job)
    return [" ".join(line.split()) for line in summary.text(job)]


def test_a_stop_is_blocked_only_if_it_is_so_where_the_resource_is() -> None:
    here = state("a", past("x", entry("x", "a", "start", 3)))
    there = state("b", past("x", entry("x", "b", "start", 3))).replace('in_ccm="true"', 'in_ccm="false"')
    cib = whole("ab", FENCER + dummy("x"), here + there, options={"fencing-enabled": "true"})
    lines = _lines(cib.with_attribute("have-quorum", "0"))
    assert [line for line in lines if "Stop" in line] == ["* Stop x ( a ) due to no quorum"]


def test_a_node_that_left_cleanly_is_fenced_for_a_stop_that_cannot_be_done_there() -> None:
    """Of what was removed and failed there; in maintenance the node was not fenced when this was read."""
    there = state("b", past("x", entry("x", "b", "start", 3, rc_code="5")), maintenance="true")
    for before, after in (("true", "false"), ("online", "offline"), ("member", "down")):
        there = there.replace(f'="{before}" ', f'="{after}" ').replace(f'="{before}">', f'="{after}">')
    cib = whole("ab", FENCER, state("a") + there, options={"fencing-enabled": "true"})
    assert "* Fence (reboot) b 'stop is unrunnable'" in _lines(cib)
