"""Decide when a new cluster key may be introduced, and when it may be used: pure, no key passes through here.

Theory of operation. A node draws a key, seals it under the present one, and has that ordered (RotateKey). As it is
applied each member stores the key, opens with it from then on, too, and has ordered whether that succeeded (ConfirmKey).
With the confirmation of the last node each begins to seal with it; with the first one that names a fault all give it up.
So nobody seals with what another cannot open, also after a restart, and nothing is lost on the way. All see the same
order, so all come to the same end. A view of the same nodes, all of which bring their state along, changes nothing: each
has delivered what the others have. After any other one the key is not used by those that had not heard yet that all
accept it; some may use it already. Both open with both. The keys before go on to open until later ones push them out,
but none with which a peer still seals (ring/wire.py). A restart finds all of them in the file.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from komainu.cib.command import ConfirmKey, RotateKey
from komainu.model.cause import Cause
from komainu.model.ids import NodeId, NodeName, WallTime
from komainu.model.report import Level, Note
from komainu.model.request import Done, RefusedReply
from komainu.model.view import Position
from komainu.node.desk import refused
from komainu.node.interface import AcceptKey, Answer, ClientId, KeyAccepted, KeyDrawn, UseKey

RotationEffect = AcceptKey | UseKey | Answer | Note

UNDER_WAY = refused("key.under-way", "a key is being replaced", "try again in a moment")


@dataclass(slots=True)
class _Introduction:
    """A key that is being introduced, the nodes that have not confirmed it yet, and who waits for it here."""

    fingerprint: str
    missing: set[NodeName]
    client: ClientId | None


class Rotation:
    """The key that is being introduced, if any."""

    def __init__(self, names: Mapping[NodeId, NodeName]) -> None:
        self._names = names
        self._pending: _Introduction | None = None
        self._is_whole = False
        self._failure = ""  # why the last one was given up, and the way out; until the next one begins

    def remarks(self) -> tuple[str, ...]:
        """Say for `komainu status` whom a new key waits for, or why the last one was given up; nothing when all is well."""
        pending = self._pending
        if pending is None:
            return (self._failure,) if self._failure else ()
        missing = ", ".join(sorted(pending.missing))
        return (f"the cluster key is being replaced by {pending.fingerprint}: waiting for {missing}",)

    def begin_view(
        self, members: Collection[NodeId], keeps_state: Collection[NodeId]
    ) -> list[RotationEffect]:
        """Give up what is under way when somebody comes by a snapshot: it has not applied it, and does not know the key."""
        self._is_whole = set(members) >= self._names.keys()
        here = {self._names[node] for node in members if node in self._names}
        pending = self._pending
        if pending is None or (
            self._is_whole and set(members) <= set(keeps_state) and pending.missing <= here
        ):
            return []
        message = (
            f"the membership changed as the cluster key {pending.fingerprint} was introduced: some nodes may not seal "
            f"with it yet, and all open what the others seal"
        )
        return self._give_up(
            pending.client, "key.half-used", message, "once all nodes are here: komainu key rotate"
        )

    def refuse(self, members: Collection[NodeId]) -> RefusedReply | None:
        """Say why the key cannot be replaced now; None when it can."""
        missing = [name for node, name in self._names.items() if node not in members]
        if missing:
            message = f"{', '.join(missing)} is not here, and could not come back with the key that it has"
            hint = "start it first; or remove it from komainu.toml on every node"
            return refused("key.nodes-missing", message, hint)
        return None if self._pending is None else UNDER_WAY

    @staticmethod
    def command(drawn: KeyDrawn, at: WallTime) -> RotateKey:
        """Write down that a client's wish drew a new key."""
        who = drawn.user or "somebody"
        cause = Cause("operator", f"{who} replaced the cluster key by {drawn.fingerprint}")
        return RotateKey(cause, at, drawn.user, drawn.sealed, drawn.fingerprint)

    @staticmethod
    def confirmation(me: NodeName, accepted: KeyAccepted, at: WallTime) -> ConfirmKey:
        """Write down what came of a key on this node."""
        name, fault = accepted.fingerprint, accepted.fault
        text = (
            f"{me} cannot take the cluster key {name}: {fault}"
            if fault
            else f"{me} has the cluster key {name}"
        )
        return ConfirmKey(Cause("key.accepted", text), at, "", name, fault)

    def begin(self, command: RotateKey, client: ClientId | None) -> list[RotationEffect]:
        """Open with the new key from now on; not when a node went while this was on its way, or another was faster."""
        if not self._is_whole:
            message = "the cluster key was not replaced: not all nodes are here any more"
            return self._give_up(
                client, "key.not-replaced", message, "once all nodes are here: komainu key rotate"
            )
        if self._pending is not None:
            return [] if client is None else [Answer(client, UNDER_WAY)]
        self._failure = ""
        self._pending = _Introduction(command.fingerprint, set(self._names.values()), client)
        return [AcceptKey(command.sealed, command.fingerprint)]

    def confirmed(self, command: ConfirmKey, node: NodeName, position: Position) -> list[RotationEffect]:
        """Seal with the key once the last node has confirmed it; give it up when one cannot take it."""
        pending = self._pending
        if pending is None or pending.fingerprint != command.fingerprint:
            return []
        if command.fault:
            message = f"the cluster key was not replaced: {node} cannot take the new one: {command.fault}"
            return self._give_up(
                pending.client, "key.not-replaced", message, f"mend that on {node}, then: komainu key rotate"
            )
        pending.missing.discard(node)
        if pending.missing:
            return []
        self._pending = None
        use = UseKey(command.fingerprint)
        return [use] if pending.client is None else [use, Answer(pending.client, Done(str(position)))]

    def _give_up(self, client: ClientId | None, code: str, message: str, hint: str) -> list[RotationEffect]:
        """Tell why in the log of each node, and to who asked."""
        self._pending, self._failure = None, f"{message}. {hint[0].upper()}{hint[1:]}"
        note = Note(Level.WARNING, code, self._failure)
        return [note] if client is None else [note, Answer(client, refused(code, message, hint))]
