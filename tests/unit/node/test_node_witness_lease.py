"""Nodes whose witness is a file: the vote comes, and what is wrong with the file is said."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.report import Note
from komainu.model.view import ViewId
from komainu.node.lease_file import create
from komainu.node.witness_lease import WitnessLease
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, WitnessOptions
from komainu.witness.slots import LEASE_MS_MIN, Header

HEADER = Header(LEASE_MS_MIN, "office", b"u" * 16)
WITHIN_S = 20
A, B = NodeId(1), NodeId(2)


class Node:
    """One node's way to the file, and what its ring was told."""

    def __init__(self, me: NodeId, path: str) -> None:
        nodes = tuple(
            NodeSettings(NodeId(n), NodeName("ab"[n - 1]), (LinkEnd(LinkNumber(0), f"127.0.0.{n}"),))
            for n in (1, 2)
        )
        witness = WitnessOptions("w", path=path)
        settings = RingSettings("office", A, nodes, 200, QuorumOptions(witness=witness))
        self.votes: asyncio.Queue[bool] = asyncio.Queue()
        self.notes: asyncio.Queue[str] = asyncio.Queue()
        self.me = me
        self.lease = WitnessLease(replace(settings, me=me), witness, (self.vote, self.note))

    def vote(self, voted: WitnessVoted) -> None:
        self.votes.put_nowait(voted.is_cast)

    def note(self, note: Note) -> None:
        if note.code == "witness.refused":
            self.notes.put_nowait(note.message)

    async def ask(self, counter: int, *members: NodeId) -> None:
        self.lease.ask(AskWitness("w", ViewId(counter, self.me), members, (A, B)), None)

    async def wait_for(self, *, is_cast: bool) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await self.votes.get() is not is_cast:
                pass


def test_two_nodes_share_a_vote_and_the_last_one_keeps_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lease")
    create(path, HEADER, may_overwrite=False)

    async def play() -> None:
        a, b = Node(A, path), Node(B, path)
        for node in (a, b):
            await node.lease.start()
            await node.ask(1, A, B)
        for node in (a, b):
            await node.wait_for(is_cast=True)
        a.lease.close()
        await b.ask(2, B)
        await b.wait_for(is_cast=True)
        assert b.lease.warnings() == ()
        b.lease.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"", "it is too small"),
        (b"x" * 600_000, "it has no header of a lease"),
        ("store", "it belongs to the cluster store"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_before_it_is_needed(
    tmp_path: Path, content: bytes | str | None, said: str
) -> None:
    path = tmp_path / "lease"
    if isinstance(content, str):
        create(str(path), replace(HEADER, cluster=content), may_overwrite=False)
    elif content is not None:
        path.write_bytes(content)

    async def play() -> None:
        a = Node(A, str(path))
        await a.lease.start()
        await a.ask(1, A, B)
        async with asyncio.timeout(WITHIN_S):
            assert said in await a.notes.get()
        (warning,) = a.lease.warnings()
        assert warning.startswith(f"the lease of witness w on {path} cannot be used: {said}")
        a.lease.close()

    asyncio.run(play())


def test_a_copy_in_its_place_is_begun_with_anew(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    create(str(path), HEADER, may_overwrite=False)

    async def play() -> None:
        a = Node(A, str(path))
        await a.lease.start()
        await a.ask(1, A)
        await a.wait_for(is_cast=True)
        shutil.copyfile(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
        await a.wait_for(is_cast=False)
        await a.wait_for(is_cast=True)
        a.lease.close()

    asyncio.run(play())


def test_a_file_that_vanishes_takes_the_vote_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    create(str(path), HEADER, may_overwrite=False)

    async def play() -> None:
        a = Node(A, str(path))
        await a.lease.start()
        await a.ask(1, A)
        await a.wait_for(is_cast=True)
        path.unlink()
        await a.wait_for(is_cast=False)
        assert "No such file" in a.lease.warnings()[0]
        a.lease.close()

    asyncio.run(play())
