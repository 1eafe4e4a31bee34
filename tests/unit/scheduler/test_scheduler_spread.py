"""Where instances go, and what follows for those that go nowhere."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import ActionKind
from komainu.scheduler import recipe
from komainu.scheduler.plan import plan


def test_a_member_that_finds_no_node_on_trial_stops_with_all_that_follows() -> None:
    """Its monitor ends with it: it need not be cancelled as well."""
    members = dummy("r", meta("r", maintenance="true")) + dummy("s")
    failed = past("s", entry("s", "a", "monitor", 3, interval="10000", rc_code="1"))
    found = plan(
        whole("a", f'<clone id="c"><group id="g">{members}</group></clone>', state("a", failed)), 1000
    )
    done = [(a.kind, a.label) for a in found.actions if a.resource == "s"]
    assert done == [(ActionKind.RESOURCE, "stop s on a")]


def test_a_member_without_a_node_is_placed_again_when_its_instance_is() -> None:
    """On trial the instance goes from a to b, which is better; b is kept for the other, and it is tried again."""
    members = dummy("r") + dummy("s", meta("s", target_role="Stopped"))
    better = '<rsc_location id="l" rsc="c" node="b" score="100"/>'
    states = state("a", past("r", entry("r", "a", "start", 3))) + state("b")
    clone = f'<clone id="c"><group id="g">{members}</group></clone>'
    job = recipe.read(whole("ab", clone, states, constraints=better), 1000, explain=True)
    recipe.schedule(job)
    placed = [
        line for line in job.score_lines if line.startswith("pcmk__primitive_assign") and " on a:" in line
    ]
    assert [line.split()[1] for line in placed] == ["r:0", "s:0", "r:0", "s:0", "r:1", "s:1"]
