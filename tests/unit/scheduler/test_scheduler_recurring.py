"""Which recurring operations run where, for a resource that should not be there."""

from cluster_text import cib, history, member, primitive

from komainu.cib.element import Element
from komainu.scheduler import plan as planning

NOW_S = 1000
STOPPED = Element("op", {"id": "watch", "name": "monitor", "interval": "15s", "role": "Stopped"})


def _watched(**meta: str) -> list[str]:
    """Active on a and on b, known to be stopped on c: say where it is looked at, that nothing runs there."""
    states = (
        member("a", 1, history("web", "a")),
        member("b", 2, history("web", "b")),
        member("c", 3, history("web", "c", operation="monitor", rc=7, target=7)),
    )
    planned = planning.plan(cib((primitive("web", STOPPED, **meta),), states, fencing_enabled="false"), NOW_S)
    return sorted(str(action.node) for action in planned.actions if action.operation == "monitor")


def test_where_a_resource_is_stopped_it_is_watched_that_it_stays_so() -> None:
    assert _watched() == ["b", "c"]


def test_a_copy_that_nobody_may_stop_is_not_watched_for_being_stopped() -> None:
    assert _watched(is_managed="false") == ["c"]
