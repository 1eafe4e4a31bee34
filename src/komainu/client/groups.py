"""Be a member of a group of programs on several nodes: totally ordered messages, and changes of who is there.

Decides nothing. Every member sees the same messages and the same changes in the same order. docs/guides/groups.md.
"""

import select
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec

from komainu.model.group import (
    GROUP_FRAME_BYTES_MAX,
    GroupEvent,
    GroupMember,
    GroupMembers,
    GroupRefused,
    GroupRequest,
    GroupSaid,
    JoinGroup,
    LeaveGroup,
    SendToGroup,
)
from komainu.model.report import Refused, Report

GROUPS_PATH: Final = "/run/komainu/groups.sock"

_LENGTH: Final = struct.Struct(">I")
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[GroupEvent]] = msgspec.json.Decoder(GroupEvent)

__all__ = ["Group", "GroupMember", "GroupMembers", "GroupSaid"]


class Group:
    """This program's membership in one group. Use it with `with`; to leave the block is to leave the group."""

    def __init__(self, name: str, path: str = GROUPS_PATH, timeout_s: float | None = None) -> None:
        """Join, and wait until that has its place in the order. Raises Refused."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(path)
            self._say(JoinGroup(name))
            first = self.receive()
        except OSError as error:
            self._socket.close()
            message = f"no komainu daemon answers at {path}: {error.strerror or error}"
            hint = "start it: systemctl start komainu"
            raise Refused((Report("groups.no-daemon", message, hint),)) from None
        except BaseException:
            self._socket.close()
            raise
        assert isinstance(first, GroupMembers), "a member hears first who is there"
        self.me = first.you
        self.members = first.members
        self.is_quorate = first.is_quorate

    def __enter__(self) -> Self:
        """Be a member within the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group."""
        self.leave()

    def send(self, payload: bytes) -> None:
        """Send to all members, this one too; `receive` brings it back when it has its place in the order."""
        self._say(SendToGroup(payload))

    def receive(self) -> GroupMembers | GroupSaid:
        """Wait for the next event. Raises Refused when the daemon hangs up, TimeoutError after `timeout_s`."""
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if size > GROUP_FRAME_BYTES_MAX:
            raise self._hung_up("its frame is too large")
        event = _DECODER.decode(self._read(size))
        if isinstance(event, GroupRefused):
            raise Refused((Report(event.code, event.message, event.hint),))
        if isinstance(event, GroupMembers):
            self.members, self.is_quorate = event.members, event.is_quorate
        return event

    def wait(self, *, until: Callable[[], bool], poll_s: float = 0.1) -> None:
        """Take events, and drop the messages, until a claim holds that is looked at every `poll_s` seconds."""
        while not until():
            ready, _, _ = select.select([self._socket], [], [], poll_s)
            if ready:
                self.receive()

    def leave(self) -> None:
        """Leave the group, and hang up."""
        try:
            self._say(LeaveGroup())
        except OSError:
            pass  # the daemon is gone already, and the group knows
        finally:
            self._socket.close()

    def _say(self, request: GroupRequest) -> None:
        data = _ENCODER.encode(request)
        self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._socket.recv(size - len(data))
            except ConnectionError as error:
                raise self._hung_up(str(error)) from None
            if not piece:
                raise self._hung_up("the connection ended")
            data += piece
        return bytes(data)

    @staticmethod
    def _hung_up(why: str) -> Refused:
        hint = "this program is no member any more; join again"
        return Refused((Report("groups.hung-up", f"the daemon hung up: {why}", hint),))
