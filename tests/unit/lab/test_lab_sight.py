"""What the peers' tools print is read as it is. The texts are outputs of Corosync 3.1.7 and Pacemaker 2.1.5."""

from komainu.lab import sight

QUORUM = """Quorum information
------------------
Nodes:            2
Quorate:          Yes

Membership information
----------------------
    Nodeid      Votes Name
         1          1 a (local)
         2          1 b
"""

LINKS = """Local node ID 1, transport knet
LINK ID 0 udp
\taddr\t= 192.168.33.101
\tstatus:
\t\tnodeid:          1:\tlocalhost
\t\tnodeid:          2:\tdisconnected
LINK ID 1 udp
\taddr\t= 10.77.0.1
\tstatus:
\t\tnodeid:          1:\tlocalhost
\t\tnodeid:          2:\tconnected
"""

CRM_MON = """<pacemaker-result><nodes>
<node name="a" online="true"/><node name="b" online="false"/></nodes>
<resources><group id="service">
<resource id="vip" role="Started"><node name="b"/></resource>
<resource id="web" role="Started"><node name="a"/></resource></group></resources></pacemaker-result>"""


def test_members_and_quorum() -> None:
    seen = sight.read_corosync(QUORUM, LINKS)
    assert seen.membership() == "a b, quorate"
    assert seen.links == ("0 disconnected",)


def test_a_ring_that_shows_no_link_is_told_so() -> None:
    seen = sight.read_corosync(QUORUM.replace("Yes", "No"), "Local node ID 1, transport udpu\n")
    assert seen.links == ("none shown",)
    assert seen.membership() == "a b, no quorum"


def test_pacemaker_says_who_is_online_and_where_the_service_runs() -> None:
    assert sight.read_crm_mon(CRM_MON) == (frozenset({"a"}), ("a",))
    assert sight.read_crm_mon(CRM_MON.replace('"Started"', '"Stopped"'))[1] == ()
