"""Define what programs and the daemon say to each other about groups, over the socket `groups.sock`.

Wire form as for requests: four bytes of length (big endian), then JSON; bytes are base64. One connection is one
member of one group. docs/guides/groups.md describes it for people.
"""

from typing import Final

import msgspec

from komainu.model.ids import NodeName

MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Largest message of a group."""

GROUP_FRAME_BYTES_MAX: Final = 2 * MESSAGE_BYTES_MAX
"""Largest frame: base64 makes four bytes of three."""

GROUP_NAME_MAX: Final = 64


class GroupMember(msgspec.Struct, frozen=True, order=True):
    """A program that is in a group: its node, and a number that is unique there for ever."""

    node: NodeName
    number: int

    def __str__(self) -> str:
        """Write it as people see it: a/17."""
        return f"{self.node}/{self.number}"


# -- from the program -----------------------------------------------------------------------------------


class JoinGroup(msgspec.Struct, frozen=True, tag="join"):
    """Be a member of this group. The first thing to say."""

    group: str


class SendToGroup(msgspec.Struct, frozen=True, tag="send"):
    """Send this to all members, the sender too, in total order."""

    payload: bytes


class LeaveGroup(msgspec.Struct, frozen=True, tag="leave"):
    """Be no member any more. To hang up does the same."""


GroupRequest = JoinGroup | SendToGroup | LeaveGroup

# -- from the daemon ------------------------------------------------------------------------------------


class GroupMembers(msgspec.Struct, frozen=True, tag="members"):
    """The group has these members from this place in the order on.

    They stand in the order in which they joined, the longest there first; all members agree on it.
    """

    you: GroupMember
    members: tuple[GroupMember, ...]
    joined: tuple[GroupMember, ...]
    left: tuple[GroupMember, ...]
    is_quorate: bool  # this part of the cluster has quorum
    reason: str


class GroupSaid(msgspec.Struct, frozen=True, tag="message"):
    """The next message of the order."""

    sender: GroupMember
    payload: bytes


class GroupRefused(msgspec.Struct, frozen=True, tag="refused"):
    """What was asked cannot be; the connection ends."""

    code: str
    message: str
    hint: str


GroupEvent = GroupMembers | GroupSaid | GroupRefused
