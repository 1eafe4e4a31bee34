"""Carry a node's questions to its witness, and the witness's answers to the ring.

A shell around witness/voter.py: one UDP socket and one timer. It decides nothing, and no loss of an address or a
route ends it: a question that cannot be sent is one that is not answered.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import assert_never

from komainu.model.ids import Incarnation, Instant, NodeId
from komainu.model.report import Note
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import RingSettings, WitnessOptions, derive
from komainu.witness.message import (
    NONCE_BYTES,
    Question,
    open_answer,
    read_refusal,
    seal,
    witness_key,
)
from komainu.witness.voter import Part, Told, Voter


class WitnessLink(asyncio.DatagramProtocol):
    """This node's way to its witness."""

    def __init__(
        self,
        settings: RingSettings,
        witness: WitnessOptions,
        incarnation: Incarnation,
        keys: Callable[[], tuple[bytes, ...]],
        tell: tuple[Callable[[WitnessVoted], None], Callable[[Note], None]],
    ) -> None:
        """`keys` gives the cluster key, and those before it; `tell` takes votes, and what is for the log."""
        self._address = (witness.address, witness.port)
        self._name, self._cluster = witness.name, settings.cluster
        self._keys = keys
        self._derived: dict[bytes, bytes] = {}  # from a cluster key to that of the witness
        self._turn = 0  # which of the keys seals: the witness may have one from before the last replacement
        self._has_old_key = False
        self._vote, self._note = tell
        lease_ms = derive(settings).detect_within_ms
        self._voter = Voter(witness.name, settings.me, life=incarnation, lease_ms=lease_ms)
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Open the socket."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, family=family)

    def ask(self, asked: AskWitness, goes_first: NodeId | None) -> None:
        """Ask for this part's vote from now on."""
        self._carry_out(self._voter.ask(Part(asked.view_id, asked.members, asked.nodes, goes_first), _now()))

    def close(self) -> None:
        """Ask nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def warnings(self) -> tuple[str, ...]:
        """Say for `komainu status` that the witness needs the new key; the rest is known when it is asked."""
        if not self._has_old_key:
            return ()
        text = (
            f"witness {self._name} has a key from before the cluster key was replaced, which counts until the third "
            f"replacement: give it the new one (komainu witness key)"
        )
        return (text,)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take an answer; what does not open is dropped."""
        del addr
        for place, key in enumerate(self._keys()):
            answer = open_answer(data, self._for_witness(key))
            if answer is not None:
                self._has_old_key = place > 0
                self._carry_out(self._voter.answered(answer, _now()))
                return
        reason = read_refusal(data)
        if reason is not None:
            self._turn += (
                1  # forged or not: some of the questions of each lease are sealed with the right one
            )
            self._carry_out(self._voter.refused(reason))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there, or there is no way: the lease runs out by itself."""

    def _carry_out(self, effects: Sequence[Question | Told | Note]) -> None:
        for effect in effects:
            match effect:
                case Question():
                    self._send(effect)
                case Told(view=view, is_cast=is_cast, reason=reason):
                    self._vote(WitnessVoted(view, is_cast, reason))
                case Note():
                    self._note(effect)
                case _:
                    assert_never(effect)
        self._set_timer()

    def _send(self, question: Question) -> None:
        if self._transport is not None and not self._transport.is_closing():
            keys = self._keys()
            key = self._for_witness(keys[self._turn % len(keys)])
            sealed = seal(question, key, self._cluster, os.urandom(NONCE_BYTES))
            with contextlib.suppress(OSError):
                self._transport.sendto(sealed, self._address)

    def _for_witness(self, key: bytes) -> bytes:
        if key not in self._derived:
            known = self._keys()
            self._derived = {
                each: self._derived.get(each) or witness_key(each, self._cluster) for each in known
            }
        return self._derived[key]

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._voter.deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(self._voter.deadline / 1000 + 0.0005, self._wake)

    def _wake(self) -> None:
        self._carry_out(self._voter.tick(_now()))


def _now() -> Instant:
    return Instant(time.monotonic_ns() // 1_000_000)
