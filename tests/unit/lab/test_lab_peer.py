"""What the peer's tools print is read into the words of komainu's own status."""

import pytest

from komainu.lab import peer
from komainu.model.ids import NodeName

QUORUM = """Quorum information
------------------
Date:             Mon Nov 23 01:37:16 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          1
Ring ID:          1.c
Quorate:          Yes
"""

MONITOR = """<pacemaker-result><summary>{dc}</summary>
<nodes><node name="a" id="1" online="true" standby="false" unclean="false" pending="false"/>
<node name="b" id="2" online="false" standby="false" unclean="true" pending="false"/></nodes>
<resources><resource id="fence" resource_agent="stonith:fence_lab" role="Stopped"/>
<group id="service"><resource id="web" resource_agent="ocf:komainu:web" role="Started"><node name="a" id="1"/>
</resource></group></resources></pacemaker-result>"""

DC = '<current_dc present="true" name="a"/>'


def test_nodes_resources_and_quorum_are_read() -> None:
    seen = peer.read("a", QUORUM, MONITOR.format(dc=DC))
    assert seen is not None
    assert (seen.view, seen.is_quorate, seen.doing) == ("1.c", True, "idle")
    assert [(one.name, one.state, one.is_coordinator) for one in seen.nodes] == [
        ("a", "online", True),
        ("b", "unclean", False),
    ]
    homes = {one.resource: (one.role, one.nodes) for one in seen.resources}
    assert homes == {"fence": ("Stopped", ()), "web": ("Started", (NodeName("a"),))}


@pytest.mark.parametrize(
    ("state", "doing"),
    [
        ("Status of crmd@a: S_IDLE (ok)", "idle"),
        ("Status of crmd@a: S_POLICY_ENGINE (ok)", "S_POLICY_ENGINE"),
    ],
)
def test_the_coordinator_says_whether_it_is_idle(state: str, doing: str) -> None:
    seen = peer.read("a", QUORUM, MONITOR.format(dc=DC), state)
    assert seen is not None
    assert seen.doing == doing


def test_without_a_coordinator_it_is_not_idle() -> None:
    seen = peer.read("a", QUORUM.replace("Yes", "No"), MONITOR.format(dc=""))
    assert seen is not None
    assert (seen.is_quorate, seen.doing) == (False, "it has no coordinator")


@pytest.mark.parametrize(("quorum", "monitor"), [("", MONITOR), (QUORUM, "<pacemaker-result/>")])
def test_a_cluster_that_does_not_run_says_nothing(quorum: str, monitor: str) -> None:
    assert peer.read("a", quorum, monitor) is None
