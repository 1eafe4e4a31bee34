"""Carry a node's questions to its witness where that is a file or a disk, and what it says to the ring.

A shell around witness/lease.py: one thread that does a round at a time, since storage may hang for minutes, and one timer.
The loop never waits for the thread. It decides nothing.
"""

import asyncio
import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from komainu.model.ids import Instant, NodeId, NodeName
from komainu.model.report import Note
from komainu.node.lease_file import LeaseFile
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import RingSettings, WitnessOptions
from komainu.witness.clerk import Block
from komainu.witness.lease import LIFE_BITS, Lease, Out, StartRound
from komainu.witness.slots import Header, read_page, slot_of, write_page
from komainu.witness.voter import Part, Told


class WitnessLease:
    """This node's way to a witness that is a file or a disk."""

    def __init__(
        self,
        settings: RingSettings,
        witness: WitnessOptions,
        tell: tuple[Callable[[WitnessVoted], None], Callable[[Note], None]],
    ) -> None:
        """`tell` takes votes, and what is for the log."""
        self._lease = Lease(witness.name, settings.me, _draw)
        self._rounds = _Rounds(witness.path, settings.me, settings.cluster, self._done)
        self._path = witness.path
        self._vote, self._note = tell
        self._names = {node.node: node.name for node in settings.nodes}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._rounds.start()

    def ask(self, asked: AskWitness, goes_first: NodeId | None) -> None:
        """Ask for this part's vote from now on."""
        self._carry_out(self._lease.ask(Part(asked.view_id, asked.members, asked.nodes, goes_first), _now()))

    def close(self) -> None:
        """Ask nothing any more. A thread that hangs in its storage is left to it."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        self._rounds.close()

    def warnings(self) -> tuple[str, ...]:
        """Say what is wrong with the file or disk now, before it is needed."""
        where = f"the lease of witness {self._lease.name} on {self._path}"
        if self._lease.trouble:
            return (f"{where} cannot be used: {self._lease.trouble}; its vote is not counted on",)
        names = [self._names.get(node, NodeName(str(node))) for node in self._lease.strangers()]
        return tuple(
            f"{where}: {name} has written nothing to it: is it the same file there? Without {name} its vote is not counted"
            for name in names
        )

    def _done(self, result: "_Result") -> None:
        """Hand what the thread has to the loop."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._take, result)

    def _take(self, result: "_Result") -> None:
        if self._loop is None:
            return
        if isinstance(result, str):
            self._carry_out(self._lease.failed(result, _now()))
        else:
            header, blocks = result
            self._carry_out(self._lease.took(header, blocks, _now()))

    def _carry_out(self, effects: Sequence[Out]) -> None:
        for effect in effects:
            match effect:
                case StartRound():
                    self._rounds.begin(effect)
                case Told(view=view, is_cast=is_cast, reason=reason):
                    self._vote(WitnessVoted(view, is_cast, reason))
                case Note():
                    self._note(effect)
                case _:
                    assert_never(effect)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._lease.deadline
        if due is not None and self._loop is not None:
            self._timer = self._loop.call_at(due / 1000 + 0.0005, self._wake)

    def _wake(self) -> None:
        self._carry_out(self._lease.tick(_now()))


_Result = tuple[Header, Mapping[int, Block]] | str


class _Rounds:
    """The thread that reads and writes. `done` is called from it, with what was read or why nothing was."""

    def __init__(self, path: str, me: NodeId, cluster: str, done: Callable[[_Result], None]) -> None:
        self._path, self._slot, self._cluster, self._done = path, slot_of(me), cluster, done
        self._header: Header | None = None
        self._known: dict[int, Block] = {}
        self._wanted: queue.SimpleQueue[StartRound | None] = queue.SimpleQueue()  # one at a time
        self._thread = threading.Thread(target=self._run, name=f"lease {path}", daemon=True)

    def start(self) -> None:
        """Begin to wait for rounds."""
        self._thread.start()

    def begin(self, start: StartRound) -> None:
        """Begin a round. `done` is called once for it."""
        self._wanted.put(start)

    def close(self) -> None:
        """Ask the thread to end."""
        self._wanted.put(None)

    def _run(self) -> None:
        while (start := self._wanted.get()) is not None:
            try:
                self._done(self._play(start))
            except OSError as error:
                self._done(error.strerror or str(error))
            except ValueError as error:
                self._done(str(error))

    def _play(self, start: StartRound) -> _Result:
        with contextlib.closing(LeaseFile(self._path)) as file:
            if file.header.cluster != self._cluster:
                raise ValueError(f"it belongs to the cluster {file.header.cluster}")
            # What was prepared anew is told first: a page was written with another one in mind.
            if start.page is not None and file.header == self._header:
                file.write(self._slot, write_page(start.page, file.header))
            self._header = file.header
            raws = file.read(start.slots)
        return self._header, {slot: self._block(slot, raw, self._header) for slot, raw in raws.items()}

    def _block(self, slot: int, raw: bytes, header: Header) -> Block:
        """Read a slot that changed; what has not is known already."""
        known = self._known.get(slot)
        if known is None or known.raw != raw:
            known = self._known[slot] = Block(raw, read_page(raw, header))
        return known


def _draw() -> int:
    return secrets.randbits(LIFE_BITS) + 1


def _now() -> Instant:
    return Instant(time.monotonic_ns() // 1_000_000)
