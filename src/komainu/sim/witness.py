"""Play the witness of a made-up world: the real cores of both sides, on a network of its own.

Decides nothing for them. `reaches` are the nodes whose questions and answers arrive; `restart` makes a witness that
remembers nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, assert_never

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Note
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.ring.settings import derive
from komainu.sim.frozen import Frozen
from komainu.sim.machine import Machine
from komainu.witness.hall import Hall
from komainu.witness.message import Answer, Question
from komainu.witness.voter import Part, Told, Voter

if TYPE_CHECKING:
    from komainu.sim.world import World

WAY_MS: Final = (1, 8)
"""How long a question or an answer is on its way."""


class SimWitness:
    """The witness of one world, and each node's way to it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._cluster = next(iter(world.settings.values())).cluster
        self._voters: dict[tuple[NodeId, int], Voter] = {}  # by node and life
        self.reaches = set(world.machines)
        self.frozen = Frozen()  # answers wait, and nothing is asked
        self.restart()

    def restart(self) -> None:
        """Begin anew, without any memory."""
        epoch = self._world.chance.getrandbits(48) + 1
        self._hall = Hall([self._cluster], epoch, self._world.now)
        self._world.say("the witness starts")

    def ask(self, machine: Machine, asked: AskWitness) -> None:
        """Carry a node's wish to its voter."""
        assert machine.drive is not None, "only a living daemon asks"
        settings = self._world.settings[machine.node_id]
        voter = self._voters.get((machine.node_id, machine.life))
        if voter is None:
            life = self._world.chance.getrandbits(60) + 1
            lease_ms = derive(settings).detect_within_ms
            voter = Voter("w", machine.node_id, life=life, lease_ms=lease_ms)
            self._voters[machine.node_id, machine.life] = voter
            self._wake(machine, voter)
        first = machine.drive.pair.goes_first(machine.drive.replica.state)
        part = Part(asked.view_id, asked.members, asked.nodes, first)
        self._carry_out(machine, voter, voter.ask(part, self._world.now))

    def _carry_out(self, machine: Machine, voter: Voter, effects: Sequence[Question | Told | Note]) -> None:
        for effect in effects:
            match effect:
                case Question():
                    delay = self._world.chance.randint(*WAY_MS)
                    self._world.clock.after(delay, lambda q=effect: self._arrive(machine, voter, q))  # type: ignore[misc]  # bound at once
                case Told(view=view, is_cast=is_cast, reason=reason):
                    told = WitnessVoted(view, is_cast, reason)
                    self._world.later(machine, 0, lambda t=told: self._world.give(machine, t))  # type: ignore[misc]  # bound at once
                case Note(message=message):
                    self._world.say(f"{machine.name} hears: {message}")
                case _:
                    assert_never(effect)

    def _arrive(self, machine: Machine, voter: Voter, question: Question) -> None:
        """A question comes to the witness."""
        if machine.node_id not in self.reaches:
            return
        answer = self._hall.ask(self._cluster, question, self._world.now)
        if answer is not None:
            delay = self._world.chance.randint(*WAY_MS)
            self._world.later(machine, delay, lambda: self._return(machine, voter, answer))

    def _return(self, machine: Machine, voter: Voter, answer: Answer) -> None:
        is_held = self.frozen.holds(machine.node_id, lambda: self._return(machine, voter, answer))
        if not is_held and machine.node_id in self.reaches:
            self._carry_out(machine, voter, voter.answered(answer, self._world.now))

    def _wake(self, machine: Machine, voter: Voter) -> None:
        """Wake a voter when it wants to be, in its life."""
        due = voter.deadline or Instant(self._world.now + 50)

        def wake() -> None:
            if self.frozen.holds(machine.node_id, wake):
                return
            if voter.deadline is not None and self._world.now >= voter.deadline:
                self._carry_out(machine, voter, voter.tick(self._world.now))
            self._wake(machine, voter)

        self._world.later(machine, max(1, due - self._world.now), wake)
