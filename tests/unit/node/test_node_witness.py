"""A node's link and a witness over loopback, and the witness's settings."""

import asyncio
import base64
from pathlib import Path

import pytest

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Note, Refused
from komainu.model.view import ViewId
from komainu.node.log import Log
from komainu.node.witness_link import WitnessLink
from komainu.node.witness_server import WitnessServer, WitnessSettings, read_witness_settings
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, WitnessOptions
from komainu.witness.message import witness_key

KEY = b"k" * 32
WITHIN_S = 10


def ring(port: int) -> RingSettings:
    nodes = tuple(
        NodeSettings(NodeId(n), NodeName("ab"[n - 1]), (LinkEnd(LinkNumber(0), f"127.0.0.{n}"),))
        for n in (1, 2)
    )
    witness = WitnessOptions("w", address="127.0.0.1", port=port)
    return RingSettings("office", NodeId(1), nodes, 200, QuorumOptions(witness=witness))


async def ask_over_loopback(
    key: bytes, known: tuple[bytes, ...] = (KEY,)
) -> tuple[list[WitnessVoted | Note], tuple[str, ...]]:
    """Ask a witness whose key is derived from this cluster key; return what the node is told first, and its warnings."""
    loop = asyncio.get_running_loop()
    keys = {"office": witness_key(key, "office")}
    transport, _ = await loop.create_datagram_endpoint(
        lambda: WitnessServer(WitnessSettings("127.0.0.1", 0, keys), Log()), local_addr=("127.0.0.1", 0)
    )
    settings = ring(transport.get_extra_info("sockname")[1])
    assert settings.quorum.witness is not None
    told: list[WitnessVoted | Note] = []
    voted = asyncio.Event()

    def take(what: WitnessVoted | Note) -> None:
        told.append(what)
        if isinstance(what, WitnessVoted):
            voted.set()

    link = WitnessLink(settings, settings.quorum.witness, Incarnation(5), lambda: known, (take, take))
    await link.start()
    both = NodeId(1), NodeId(2)
    link.ask(AskWitness("w", ViewId(1, NodeId(1)), both, both), None)
    async with asyncio.timeout(WITHIN_S):
        await voted.wait()
    link.close()
    transport.close()
    return told, link.warnings()


def test_a_node_gets_the_vote_for_its_part() -> None:
    told, warnings = asyncio.run(ask_over_loopback(KEY))
    (vote,) = (one for one in told if isinstance(one, WitnessVoted))
    assert vote == WitnessVoted(ViewId(1, NodeId(1)), True, "witness w: it gave its vote to this part")
    assert not warnings


def test_a_witness_with_the_key_before_the_last_still_votes_and_status_asks_for_the_new_one() -> None:
    told, (warning,) = asyncio.run(ask_over_loopback(KEY, known=(b"n" * 32, b"o" * 32, KEY)))
    assert [one.is_cast for one in told if isinstance(one, WitnessVoted)] == [True]
    assert warning.endswith("give it the new one (komainu witness key)")


def test_a_wrong_key_is_said_and_gives_no_vote() -> None:
    told, _ = asyncio.run(ask_over_loopback(b"x" * 32))
    (vote,) = (one for one in told if isinstance(one, WitnessVoted))
    assert not vote.is_cast
    assert vote.reason == "witness w does not answer: the key of cluster office is another one here"


def write(folder: Path, text: str, key: bytes = b"w" * 32) -> str:
    secret = folder / "office.key"
    secret.touch(mode=0o600)
    secret.write_bytes(base64.b64encode(key))
    file = folder / "witness.toml"
    file.write_text(text.replace("KEY", str(secret)), encoding="utf-8")
    return str(file)


def test_settings_of_a_witness(tmp_path: Path) -> None:
    text = 'listen = "10.0.0.5"\n[[cluster]]\nname = "office"\nkey_file = "KEY"\n'
    settings = read_witness_settings(write(tmp_path, text))
    assert settings == WitnessSettings("10.0.0.5", 5416, {"office": b"w" * 32})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 clusters; 1 to 256 can be served"),
        ('[[cluster]]\nname = "office"\n', "key_file"),
        ('[[cluster]]\nname = "o"\nkey_file = "KEY"\n' * 2, "the cluster o is there twice"),
        ('[[cluster]]\nname = "o"\nkey_file = "/nowhere"\n', "does not exist"),
        ('prot = 1\n[[cluster]]\nname = "o"\nkey_file = "KEY"\n', "prot"),
    ],
)
def test_settings_that_are_wrong_are_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_witness_settings(write(tmp_path, text))
    assert said in str(refused.value)


def test_a_cluster_key_is_not_taken_for_a_key_of_a_witness(tmp_path: Path) -> None:
    text = '[[cluster]]\nname = "office"\nkey_file = "KEY"\n'
    with pytest.raises(Refused, match="no key of a witness"):
        read_witness_settings(write(tmp_path, text, key=b"c" * 64))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(Refused, match="nowhere"):
        read_witness_settings("/nowhere/witness.toml")
