"""Carry groups to programs of this machine over the Unix socket `groups.sock`.

Decides who may be a member: root and the daemon's own user, and members of the group komainu. Knows nothing of what
is said. A program that does not read what it is told is cut off; one that says more than the ring takes is not read
from for a while. Frames: model/group.py. Source: unix(7), SO_PEERCRED is not needed: the socket's mode decides.
"""

import asyncio
import contextlib
import grp
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from komainu.model.group import (
    GROUP_FRAME_BYTES_MAX,
    GroupEvent,
    GroupRefused,
    GroupRequest,
    JoinGroup,
    LeaveGroup,
    SendToGroup,
)
from komainu.model.report import Refused, Report
from komainu.node.groups import ProgramEvent, ProgramJoins, ProgramLeaves, ProgramSends, TellProgram
from komainu.node.ipc import GROUP

SOCKET_NAME: Final = "groups.sock"
CONNECTIONS_MAX: Final = 64

UNREAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""What a program may leave unread before it is cut off: the others do not wait for it."""

_LENGTH: Final = struct.Struct(">I")
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[GroupRequest]] = msgspec.json.Decoder(GroupRequest)


class GroupSocket:
    """The socket of the groups. Calls `report` with what programs do."""

    def __init__(self, run_folder: str, report: Callable[[ProgramEvent], None]) -> None:
        self._path = Path(run_folder) / SOCKET_NAME
        self.report = report
        self._server: asyncio.Server | None = None
        self.programs: dict[int, _Program] = {}
        # A member of an earlier life of this daemon must not be taken for one of this.
        self._last = time.time_ns() // 1_000_000 * 1000

    async def start(self) -> None:
        """Begin to listen. Raises Refused."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            message = f"the socket {self._path} cannot be made: {error.strerror or error}"
            raise Refused(
                (Report("groups.unusable", message, "run as root, or name another folder"),)
            ) from None
        finally:
            os.umask(before)
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(self._path, -1, grp.getgrnam(GROUP).gr_gid)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Program(self), sock=listener)

    def tell(self, effect: TellProgram) -> None:
        """Say to a program what the core has for it; one that is gone misses it."""
        program = self.programs.get(effect.program)
        if program is not None:
            program.tell(effect.event, may_send=effect.may_send)

    def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is None:
            return
        self._server.close()
        for program in tuple(self.programs.values()):
            program.abort()
        self._path.unlink(missing_ok=True)

    def admit(self, program: "_Program") -> int:
        """Give a program its number."""
        self._last += 1
        self.programs[self._last] = program
        return self._last


class _Program(asyncio.Protocol):
    """One connection: one member of one group."""

    def __init__(self, owner: GroupSocket) -> None:
        self._owner = owner
        self._number = 0
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._number = self._owner.admit(self)
        if len(self._owner.programs) > CONNECTIONS_MAX:
            busy = f"{CONNECTIONS_MAX} programs are connected already"
            self.tell(GroupRefused("groups.busy", busy, "close what is not needed"), may_send=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._owner.programs.pop(self._number, None)
        self._owner.report(ProgramLeaves(self._number, f"its program is gone{f': {exc}' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._transport is not None and not self._transport.is_closing():
            if len(self._buffer) < _LENGTH.size:
                return
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > GROUP_FRAME_BYTES_MAX:
                text = f"the frame of {size} bytes is larger than {GROUP_FRAME_BYTES_MAX} bytes"
                self.tell(GroupRefused("groups.too-large", text, "send it in parts"), may_send=False)
                return
            if len(self._buffer) < _LENGTH.size + size:
                return
            frame = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
            del self._buffer[: _LENGTH.size + size]
            self._take(frame)

    def tell(self, event: GroupEvent | None, *, may_send: bool) -> None:
        """Write an event, and read on or not."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if event is not None:
            data = _ENCODER.encode(event)
            transport.write(_LENGTH.pack(len(data)) + data)
        if isinstance(event, GroupRefused):
            transport.close()
        elif transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            transport.abort()
        elif may_send and not transport.is_reading():
            transport.resume_reading()
        elif not may_send and transport.is_reading():
            transport.pause_reading()

    def abort(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, frame: bytes) -> None:
        try:
            request = _DECODER.decode(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            hint = "docs/guides/groups.md describes the frames"
            self.tell(
                GroupRefused("groups.not-understood", f"this is no request: {error}", hint), may_send=False
            )
            return
        match request:
            case JoinGroup(group=group):
                self._owner.report(ProgramJoins(self._number, group))
            case SendToGroup(payload=payload):
                self._owner.report(ProgramSends(self._number, payload))
            case LeaveGroup():
                self._owner.report(ProgramLeaves(self._number, "it left"))
