"""cib/initial.py: what a cluster begins with is valid, and alike on every node."""

from komainu.cib.initial import empty_cib
from komainu.cib.options import cluster_option
from komainu.cib.schema import validate
from komainu.cib.version import version_of
from komainu.model.edit import Version
from komainu.model.ids import NodeId, NodeName


def test_it_is_valid_and_names_the_cluster() -> None:
    cib = empty_cib("shrine", ((NodeId(2), NodeName("b")), (NodeId(1), NodeName("a"))))
    assert validate(cib, "x") == ()
    assert cluster_option(cib, "cluster-name") == "shrine"
    assert version_of(cib) == Version(0, 0, 0)
    nodes = cib.at("configuration", "nodes")
    assert nodes is not None
    assert [node.get("uname") for node in nodes.children] == ["a", "b"]
