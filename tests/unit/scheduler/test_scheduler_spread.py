"""Where instances go, and what follows for those that go nowhere."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.model.plan import ActionKind
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
