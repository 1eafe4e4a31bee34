import socket
import struct
import threading
from pathlib import Path

import msgspec
import pytest

from komainu.client.groups import Group
from komainu.model.group import GroupMember, GroupMembers, GroupRefused, GroupSaid
from komainu.model.ids import NodeName
from komainu.model.report import Refused

ME = GroupMember(NodeName("a"), 17)


def daemon(path: Path, *events: object) -> threading.Thread:
    """Answer one connection with these events, then hang up when it does."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as one:
            for event in events:
                data = msgspec.json.encode(event)
                one.sendall(struct.pack(">I", len(data)) + data)
            one.shutdown(socket.SHUT_WR)
            while one.recv(4096):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def members(*here: GroupMember, is_quorate: bool = True) -> GroupMembers:
    return GroupMembers(ME, here, (), (), is_quorate, "")


def test_a_member_knows_who_is_there_and_hears_in_order(tmp_path: Path) -> None:
    other = GroupMember(NodeName("b"), 3)
    said = GroupSaid(other, b"\x00binary")
    thread = daemon(tmp_path / "s", members(ME), said, members(ME, other, is_quorate=False))
    with Group("g", str(tmp_path / "s")) as group:
        assert (group.me, group.members, group.is_quorate) == (ME, (ME,), True)
        group.send(b"hello")
        assert group.receive() == said
        group.wait(until=lambda: len(group.members) == 2)
        assert not group.is_quorate
        with pytest.raises(Refused, match="the daemon hung up"):
            group.receive()
    thread.join()
    assert str(other) == "b/3"


def test_a_refusal_says_why(tmp_path: Path) -> None:
    thread = daemon(tmp_path / "s", GroupRefused("group.name", "that is no name", "use another"))
    with pytest.raises(Refused, match="that is no name"):
        Group("", str(tmp_path / "s"))
    thread.join()


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="systemctl start komainu"):
        Group("g", str(tmp_path / "none"))
