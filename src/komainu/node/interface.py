"""Say what goes into a node's drive and what comes out: the events and effects that the shells carry.

The drive (node/drive.py) is pure and joins the cores; the daemon's shells and the simulator (sim/) feed it
the same events and carry out the same effects.
"""

from dataclasses import dataclass
from typing import NewType

from komainu.cib.element import Element
from komainu.executor.interface import (
    AgentDescribed,
    AgentFinished,
    DescribeAgent,
    ProcessesGone,
    RunAgent,
    StopWatching,
)
from komainu.fencing.interface import FenceAgentFinished, RunFenceAgent
from komainu.model.ids import WallTime
from komainu.model.plan import Plan
from komainu.model.report import Note
from komainu.model.request import Reply, Request
from komainu.network.interface import (
    AddAddress,
    ClientsSeen,
    FindCulprit,
    NetworkEvent,
    RemoveAddress,
    UseInterface,
)
from komainu.node.groups import ProgramEvent, TellProgram
from komainu.recorder.record import Record
from komainu.ring.corosync.interface import CorosyncEffect, CorosyncEvent
from komainu.ring.interface import (
    AskWitness,
    KeepPromise,
    PacketReceived,
    PeerRefused,
    PromiseKept,
    SendPacket,
    WitnessVoted,
)
from komainu.ring.settings import RingSettings

ClientId = NewType("ClientId", int)
"""One question on the Unix socket: each gets exactly one answer."""

# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persisted:
    """The Persist with this token is on stable storage."""

    token: int


@dataclass(frozen=True, slots=True)
class PersistFailed:
    """The disk refused the Persist with this token, or (0) the ring's KeepPromise."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClientAsked:
    """A program on this machine asks; `user` is its name by SO_PEERCRED."""

    client: ClientId
    request: Request
    user: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The machine wants the daemon to end (SIGTERM): stop resources in order, then leave."""


@dataclass(frozen=True, slots=True)
class ResetComing:
    """This machine is about to be reset, for a reason that only a shell saw: the others shall know it."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The drive's deadline has come."""


@dataclass(frozen=True, slots=True)
class KeyDrawn:
    """A new cluster key was drawn; it is sealed under the present one."""

    client: ClientId
    user: str
    sealed: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KeyAccepted:
    """What came of an AcceptKey: this node opens with the key, also after a restart; or `fault` says why not."""

    fingerprint: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PlanArrived:
    """The plan of this number is made, or could not be: then `fault` says why.

    `is_passing`: the fault lies with the planner's process, and another try may do better.
    """

    number: int
    plan: Plan | None
    fault: str = ""
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class MachineSeen:
    """How many processors this machine gives us, and its load: tasks that want to run, in percent of them."""

    cores: int
    load_percent: int


DriveEvent = (
    KeyDrawn
    | KeyAccepted
    | MachineSeen
    | PlanArrived
    | PacketReceived
    | PeerRefused
    | WitnessVoted
    | PromiseKept
    | CorosyncEvent
    | NetworkEvent
    | ClientsSeen
    | AgentFinished
    | AgentDescribed
    | ProcessesGone
    | FenceAgentFinished
    | Persisted
    | PersistFailed
    | ClientAsked
    | ProgramEvent
    | StopAsked
    | ResetComing
    | DeadlinePassed
)

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persist:
    """Store this text durably and atomically, then say Persisted.

    A later Persist may overtake an unfinished one: the shell may skip to the newest text, and then says
    Persisted for each token that it covers.
    """

    token: int
    text: str


@dataclass(frozen=True, slots=True)
class AppendRecord:
    """Append one line to the flight record. Not waited for; synced within a second."""

    record: Record


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a client."""

    client: ClientId
    reply: Reply


@dataclass(frozen=True, slots=True)
class DrawKey:
    """Draw a new cluster key, seal it under the present one, and say KeyDrawn."""

    client: ClientId
    user: str


@dataclass(frozen=True, slots=True)
class AcceptKey:
    """Open with this key from now on, too, and store it, before anything that follows is sent; then say KeyAccepted."""

    sealed: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class UseKey:
    """Seal with the key of this fingerprint: every member accepts it."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class UseLayout:
    """Use these nodes and links from now on, and have the kernel tell its picture anew."""

    settings: RingSettings


@dataclass(frozen=True, slots=True)
class WriteLayout:
    """Write these nodes and links into komainu.toml: every member has stored them."""

    settings: RingSettings


@dataclass(frozen=True, slots=True)
class PlanBeside:
    """Make a plan without keeping the loop, and say PlanArrived. Of several that wait, only the newest counts."""

    number: int
    cib: Element
    wall: WallTime


KeyEffect = DrawKey | AcceptKey | UseKey
"""What the keeper of the keys carries out (node/key_keeper.py)."""


@dataclass(frozen=True, slots=True)
class Exit:
    """End the daemon. 0: as it was asked to."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ResetMachine:
    """Have the watchdog reset this machine: write the reason to the black box, then never pet again."""

    reason: str


WireEffect = UseInterface | FindCulprit | AddAddress | RemoveAddress
"""What the network's shells carry out."""

DriveEffect = (
    SendPacket
    | CorosyncEffect
    | RunAgent
    | DescribeAgent
    | StopWatching
    | RunFenceAgent
    | WireEffect
    | Persist
    | AppendRecord
    | Answer
    | TellProgram
    | Exit
    | ResetMachine
    | AskWitness
    | KeepPromise
    | KeyEffect
    | UseLayout
    | WriteLayout
    | PlanBeside
    | Note
)
