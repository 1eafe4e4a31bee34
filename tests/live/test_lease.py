"""A real block device as the witness: two nodes share its vote, and what was cut off from it loses it."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import ViewId
from komainu.node.lease_file import create
from komainu.node.witness_lease import WitnessLease
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, WitnessOptions
from komainu.witness.slots import FILE_BYTES, LEASE_MS_MIN, Header

pytestmark = pytest.mark.live

PATIENCE_S = 30.0
A, B = NodeId(1), NodeId(2)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """Make a loop device that is just large enough."""
    if shutil.which("losetup") is None:
        pytest.skip("losetup is not installed: apt-get install mount")
    image = tmp_path / "disk"
    image.write_bytes(bytes(FILE_BYTES))
    made = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no loop device can be made: {made.stderr.strip()}; run as root")
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def test_two_nodes_share_the_vote_of_a_disk(device: str, tmp_path: Path) -> None:
    """Each by a path of its own, as each machine has one; b's is cut in the end."""
    create(device, Header(LEASE_MS_MIN, "office", b"u" * 16), may_overwrite=False)
    paths = {A: tmp_path / "a", B: tmp_path / "b"}

    async def play() -> None:
        votes: dict[NodeId, asyncio.Queue[bool]] = {A: asyncio.Queue(), B: asyncio.Queue()}
        leases: dict[NodeId, WitnessLease] = {}

        def vote(node: NodeId, voted: WitnessVoted) -> None:
            votes[node].put_nowait(voted.is_cast)

        async def wait_for(node: NodeId, *, is_cast: bool) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while await votes[node].get() is not is_cast:
                    pass

        for node, path in paths.items():
            path.symlink_to(device)
            settings = replace(ring(str(path)), me=node)
            assert settings.quorum.witness is not None
            tell = (lambda voted, node=node: vote(node, voted), lambda _: None)
            leases[node] = WitnessLease(settings, settings.quorum.witness, tell)
            await leases[node].start()
            leases[node].ask(AskWitness("w", ViewId(1, A), (A, B), (A, B)), None)
        for node in paths:
            await wait_for(node, is_cast=True)
        for node in paths:
            leases[node].ask(AskWitness("w", ViewId(2, node), (node,), (A, B)), B)
        await wait_for(B, is_cast=True)
        await wait_for(A, is_cast=False)
        paths[B].unlink()
        await wait_for(B, is_cast=False)
        await wait_for(A, is_cast=True)
        for lease in leases.values():
            lease.close()

    asyncio.run(play())


def ring(path: str) -> RingSettings:
    nodes = tuple(
        NodeSettings(NodeId(n), NodeName("ab"[n - 1]), (LinkEnd(LinkNumber(0), f"127.0.0.{n}"),))
        for n in (1, 2)
    )
    return RingSettings("office", A, nodes, 200, QuorumOptions(witness=WitnessOptions("w", path=path)))
