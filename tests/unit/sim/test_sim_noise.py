"""Nothing that was spoiled on its way is believed."""

from random import Random

from komainu.model.ids import Incarnation, LinkNumber, NodeId
from komainu.model.view import ViewId
from komainu.ring.packet import Leaving, Ordered, Piece
from komainu.sim.noise import Noise
from komainu.sim.scenario import make_setup


def test_no_spoiled_packet_is_believed() -> None:
    settings = {one.me: one for one in make_setup(2, 0).settings}
    noise = Noise(settings, Random(1))
    life = Incarnation(77)
    large = Ordered(life, ViewId(1, NodeId(1)), 1, NodeId(1), 1, Piece(1, 1, 1, False, b"x" * 5_000), 0)
    for packet in [Leaving(life), large] * 200:
        assert not noise.lets_through(NodeId(1), NodeId(2), LinkNumber(0), packet)
    assert noise.spoiled == 400
    assert noise.believed == 0
