"""What follows from actions that cannot run, or are demanded."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.scheduler.plan import plan


def _labels(*args: str, constraints: str) -> list[str]:
    nodes, resources, states = args
    return [a.label for a in plan(whole(nodes, resources, states, constraints=constraints), 1000).actions]


def test_a_group_after_a_clone_stays_when_an_instance_elsewhere_stops() -> None:
    group = f'<group id="g">{dummy("x")}{dummy("y")}</group>'
    clone = f'<clone id="c">{meta("c", interleave="false")}{dummy("base")}</clone>'
    rules = (
        '<rsc_order id="o" first="c" then="g"/><rsc_colocation id="k" rsc="g" with-rsc="c" score="INFINITY"/>'
    )
    here = (past(name, entry(name, "a", "start", 3)) for name in ("base", "x", "y"))
    states = state("a", *here) + state("b", past("base", entry("base", "b", "start", 3)), standby="on")
    labels = _labels("ab", clone + group, states, constraints=rules)
    assert "stop base on b" in labels
    assert not any("stop x" in label or "stop y" in label for label in labels)
