"""Decide who is in which group of programs, and what each member hears, from the ring's order.

A core without input or output. It must not know sockets, nor what messages mean; the shell is node/group_socket.py.

Theory of operation. What programs do becomes words in the ring's total order; every node keeps the same table from
them. A word counts only if its member is in the table, and once: its numbers grow.

A new view. Members on nodes that did not keep the state with us go out of the table, and their nodes say anew who is
there (`Present`). A node that did not keep the state itself takes all members out, its own too, says who is there, and
sends again what its programs said and nobody delivered: whoever was away comes back as one who joins.

Source: the service of cpg_overview(3): join, leave, totally ordered messages, changes of membership in that order.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from komainu.model.group import (
    GROUP_NAME_MAX,
    MESSAGE_BYTES_MAX,
    GroupEvent,
    GroupMember,
    GroupMembers,
    GroupRefused,
    GroupSaid,
)
from komainu.model.ids import NodeId, NodeName
from komainu.model.view import Position
from komainu.ring.interface import InstallView

MARK: Final = b"G"
"""First byte of a group's word in the ring's order: no command begins with it (a msgpack number, not a map)."""

UNDELIVERED_MAX: Final = 32
"""Words of one program that may wait for their turn; then it is not read from until one is delivered."""


class Join(msgspec.Struct, frozen=True, array_like=True, tag="j"):
    """A program becomes a member."""

    member: GroupMember
    number: int
    group: str


class Say(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A member says something to its group."""

    member: GroupMember
    number: int
    payload: bytes


class Part(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """A member goes."""

    member: GroupMember
    number: int
    reason: str


class Present(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """A node says which of its programs are in which group, and up to which word they were delivered."""

    node: NodeName
    members: tuple["Seat", ...]


class Seat(msgspec.Struct, array_like=True):
    """Who is in which group; the number of his last word that counted; where in the ring's order he joined."""

    member: GroupMember
    group: str
    number: int
    since: Position | None


_Word = Join | Say | Part | Present
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[_Word]] = msgspec.msgpack.Decoder(_Word)

# -- events and effects ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProgramJoins:
    """A program of this node wants to be a member. `program` is a number that was never used here."""

    program: int
    group: str


@dataclass(frozen=True, slots=True)
class ProgramSends:
    """A program of this node sends to its group."""

    program: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ProgramLeaves:
    """A program of this node leaves, or is gone."""

    program: int
    reason: str


ProgramEvent = ProgramJoins | ProgramSends | ProgramLeaves


@dataclass(frozen=True, slots=True)
class TellProgram:
    """Say this to a program. `may_send`: whether it may say more now."""

    program: int
    event: GroupEvent | None
    may_send: bool = True


@dataclass(frozen=True, slots=True)
class SubmitWord:
    """Have this ordered by the ring."""

    payload: bytes


GroupsEffect = TellProgram | SubmitWord


@dataclass(slots=True)
class _Program:
    """A program of this node: what it said that was not delivered yet."""

    group: str
    number: int = 0
    undelivered: deque[Join | Say | Part] = field(default_factory=deque)
    has_left: bool = False


def is_word(payload: bytes) -> bool:
    """Whether a payload of the ring's order is a group's word, not a command."""
    return payload[:1] == MARK


class Groups:
    """The groups as this node knows them."""

    def __init__(self, me: NodeName) -> None:
        self._me = me
        self._programs: dict[int, _Program] = {}
        self._seats: dict[GroupMember, Seat] = {}
        self._is_quorate = False
        self._is_in_view = False

    # -- events of programs -----------------------------------------------------------------------------

    def handle(self, event: ProgramEvent) -> list[GroupsEffect]:
        """Take what a program of this node does."""
        match event:
            case ProgramJoins(program=program, group=group):
                return self._join(program, group)
            case ProgramSends(program=program, payload=payload):
                known = self._programs.get(program)
                if known is None or known.has_left:
                    return [
                        _refused(program, "group.not-joined", "join a group first", 'say {"type": "join"}')
                    ]
                if len(payload) > MESSAGE_BYTES_MAX:
                    text = f"a message of {len(payload)} bytes; at most {MESSAGE_BYTES_MAX} can be"
                    return [_refused(program, "group.too-large", text, "send it in parts")]
                known.number += 1
                out = self._say(program, Say(self._member(program), known.number, payload))
                return [*out, TellProgram(program, None, len(known.undelivered) < UNDELIVERED_MAX)]
            case ProgramLeaves(program=program, reason=reason):
                known = self._programs.get(program)
                if known is None or known.has_left:
                    return []
                known.has_left = True
                known.number += 1
                return self._say(program, Part(self._member(program), known.number, reason))

    def _join(self, program: int, group: str) -> list[GroupsEffect]:
        if program in self._programs:
            return [
                _refused(program, "group.joined", "one connection is in one group", "make another connection")
            ]
        if not 0 < len(group) <= GROUP_NAME_MAX or not group.isprintable():
            text = f"a group's name has 1 to {GROUP_NAME_MAX} printable characters"
            return [_refused(program, "group.name", text, 'name it: {"type": "join", "group": "locks"}')]
        self._programs[program] = _Program(group, number=1)
        return self._say(program, Join(self._member(program), 1, group))

    def _say(self, program: int, word: Join | Say | Part) -> list[GroupsEffect]:
        self._programs[program].undelivered.append(word)
        return [SubmitWord(_encode(word))]

    # -- the ring ---------------------------------------------------------------------------------------

    def install(self, begun: InstallView, names: Mapping[NodeId, NodeName], me: NodeId) -> list[GroupsEffect]:
        """Begin a view: who did not come along with us is out until its node says that it is there."""
        keeps = {names.get(node) for node in begun.keeps_state if me in begun.keeps_state}
        gone = {names[each.node]: each.reason for each in begun.departures if each.node in names}
        changed_quorum = self._is_quorate != begun.view.quorate
        self._is_quorate, self._is_in_view = begun.view.quorate, True
        out: list[GroupsEffect] = []
        away = [member for member in self._seats if member.node not in keeps]
        reason = "; ".join(f"{name}: {why}" for name, why in sorted(gone.items())) or "the membership changed"
        out += self._remove(away, reason, tell_all=changed_quorum)
        if len(begun.keeps_state) < len(begun.view.members):
            out.append(SubmitWord(_encode(self._present())))
        if self._me not in keeps:
            out += [SubmitWord(_encode(word)) for one in self._programs.values() for word in one.undelivered]
        return out

    def deliver(self, payload: bytes, position: Position) -> list[GroupsEffect]:
        """Take the next word of the order."""
        try:
            word = _DECODER.decode(memoryview(payload)[1:])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return []  # of a member of a later version: every node passes over it alike
        if isinstance(word, Present):
            return self._take_present(word, position)
        seat = self._seats.get(word.member)
        if isinstance(word, Join):
            if seat is not None:
                return []
            self._seats[word.member] = Seat(word.member, word.group, word.number, position)
            self._settle(word)
            return self._tell(word.group, joined=(word.member,), reason="it joined")
        if seat is None or word.number <= seat.number:
            return []
        seat.number = word.number
        self._settle(word)
        if isinstance(word, Part):
            return self._remove([word.member], word.reason)
        said = GroupSaid(word.member, word.payload)
        return [TellProgram(program, said, may) for program, may in self._listeners(seat.group)]

    def _take_present(self, word: Present, position: Position) -> list[GroupsEffect]:
        """Give those a seat who have none: they join at this place, but for those who kept theirs all the time."""
        known = {member for member in self._seats if member.node == word.node}
        out: list[GroupsEffect] = []
        for group in sorted({seat.group for seat in word.members}):
            fresh = [seat for seat in word.members if seat.group == group and seat.member not in known]
            for seat in fresh:
                self._seats[seat.member] = msgspec.structs.replace(seat, since=seat.since or position)
            if fresh:
                joined = tuple(seat.member for seat in fresh)
                out += self._tell(group, joined=joined, reason=f"{word.node} is here")
        return out

    # -- inside -----------------------------------------------------------------------------------------

    def _present(self) -> Present:
        """Say who is there: those whose Join was delivered once, up to the last word that was."""
        here = []
        for program, one in sorted(self._programs.items()):
            first = one.undelivered[0] if one.undelivered else None
            if not isinstance(first, Join):
                last = one.number if first is None else first.number - 1
                member = self._member(program)
                seat = self._seats.get(member)
                here.append(Seat(member, one.group, last, None if seat is None else seat.since))
        return Present(self._me, tuple(here))

    def _settle(self, word: Join | Say | Part) -> None:
        """Strike what was delivered from what a program of ours waits for."""
        one = self._programs.get(word.member.number) if word.member.node == self._me else None
        if one is None:
            return
        while one.undelivered and one.undelivered[0].number <= word.number:
            one.undelivered.popleft()
        if isinstance(word, Part):
            del self._programs[word.member.number]

    def _remove(
        self, members: list[GroupMember], reason: str, *, tell_all: bool = False
    ) -> list[GroupsEffect]:
        left: dict[str, list[GroupMember]] = {}
        if tell_all:
            left = {one.group: [] for one in self._programs.values()}
        for member in sorted(members):
            left.setdefault(self._seats.pop(member).group, []).append(member)
        return [
            tell
            for group in sorted(left)
            for tell in self._tell(group, left=tuple(left[group]), reason=reason)
        ]

    def _tell(
        self,
        group: str,
        *,
        joined: tuple[GroupMember, ...] = (),
        left: tuple[GroupMember, ...] = (),
        reason: str = "",
    ) -> list[GroupsEffect]:
        seats = [seat for seat in self._seats.values() if seat.group == group]
        members = tuple(seat.member for seat in sorted(seats, key=lambda seat: (seat.since, seat.member)))
        return [
            TellProgram(
                program,
                GroupMembers(self._member(program), members, joined, left, self._is_quorate, reason),
                may,
            )
            for program, may in self._listeners(group)
        ]

    def _listeners(self, group: str) -> list[tuple[int, bool]]:
        """The programs of this node that hear this group: those whose Join was delivered once."""
        return [
            (program, len(one.undelivered) < UNDELIVERED_MAX)
            for program, one in sorted(self._programs.items())
            if one.group == group and not (one.undelivered and isinstance(one.undelivered[0], Join))
        ]

    def _member(self, program: int) -> GroupMember:
        return GroupMember(self._me, program)


def _encode(word: _Word) -> bytes:
    return MARK + _ENCODER.encode(word)


def _refused(program: int, code: str, message: str, hint: str) -> TellProgram:
    return TellProgram(program, GroupRefused(code, message, hint))
