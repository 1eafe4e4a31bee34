"""The lines of the transition summary."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe, summary


def test_a_stop_is_blocked_only_if_it_is_so_where_the_resource_is() -> None:
    fencer = '<primitive id="f" class="stonith" type="fence_x"/>'
    here = state("a", past("x", entry("x", "a", "start", 3)))
    there = state("b", past("x", entry("x", "b", "start", 3))).replace('in_ccm="true"', 'in_ccm="false"')
    cib = whole("ab", fencer + dummy("x"), here + there, options={"fencing-enabled": "true"})
    job = recipe.read(cib.with_attribute("have-quorum", "0"), 1000)
    recipe.schedule(job)
    (line,) = (line for line in summary.text(job) if "Stop" in line)
    assert " ".join(line.split()) == "* Stop x ( a ) due to no quorum"
