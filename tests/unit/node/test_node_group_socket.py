import asyncio
import struct
from pathlib import Path

import msgspec
import pytest

from komainu.model.group import GROUP_FRAME_BYTES_MAX, GroupEvent, GroupMember, GroupRefused, GroupSaid
from komainu.model.ids import NodeName
from komainu.model.report import Refused
from komainu.node.group_socket import SOCKET_NAME, GroupSocket
from komainu.node.groups import ProgramEvent, ProgramJoins, ProgramLeaves, ProgramSends, TellProgram

SAID = GroupSaid(GroupMember(NodeName("a"), 1), b"\x00x")


def frame(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


async def event_of(reader: asyncio.StreamReader) -> GroupEvent:
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    found: GroupEvent = msgspec.json.decode(await reader.readexactly(size), type=GroupEvent)
    return found


async def heard(events: "asyncio.Queue[ProgramEvent]") -> ProgramEvent:
    async with asyncio.timeout(10):
        return await events.get()


def test_a_program_joins_sends_hears_and_leaves(tmp_path: Path) -> None:
    async def play() -> None:
        events: asyncio.Queue[ProgramEvent] = asyncio.Queue()
        door = GroupSocket(str(tmp_path), events.put_nowait)
        await door.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
        writer.write(frame('{"type":"join","group":"g"}') + frame('{"type":"send","payload":"AHg="}'))
        joins = await heard(events)
        assert joins == ProgramJoins(joins.program, "g")
        assert await heard(events) == ProgramSends(joins.program, b"\x00x")
        door.tell(TellProgram(joins.program, SAID, may_send=False))
        assert await event_of(reader) == SAID
        writer.write(frame('{"type":"leave"}'))
        await writer.drain()
        door.tell(TellProgram(joins.program, None))  # it may go on
        assert await heard(events) == ProgramLeaves(joins.program, "it left")
        writer.close()
        assert isinstance(await heard(events), ProgramLeaves)
        door.tell(TellProgram(joins.program, SAID))  # to nobody
        door.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame('{"type":"dance"}'), "groups.not-understood"),
        (frame("\x00"), "groups.not-understood"),
        (struct.pack(">I", GROUP_FRAME_BYTES_MAX + 1), "groups.too-large"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(
    sent: bytes, code: str, tmp_path: Path
) -> None:
    async def play() -> None:
        door = GroupSocket(str(tmp_path), lambda event: None)
        await door.start()
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
        writer.write(sent)
        refused = await event_of(reader)
        assert isinstance(refused, GroupRefused)
        assert refused.code == code
        assert await reader.read() == b""
        writer.close()
        door.close()

    asyncio.run(play())


def test_a_socket_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be made"):
        asyncio.run(GroupSocket(str(tmp_path / "none"), lambda event: None).start())
