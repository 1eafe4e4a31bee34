"""Decide when a new cluster key may be introduced, and when it may be used: pure, no key passes through here.

Theory of operation. A node draws a key, seals it under the present one, and has that ordered (RotateKey). As it is
applied each member stores the key and opens with it from then on, too. When the ring says that in the same view, of
all nodes, every member has applied it, each begins to seal with it. So nobody seals with what another cannot open,
and nothing is lost on the way. A view of the same nodes, all of which bring their state along, changes nothing: each has
delivered what the others have. After any other one the key is not used by those that had not heard yet that all accept it;
some may use it already. Both open with both. The keys before go on to open until later ones push them out, but none with
which a peer still seals (ring/wire.py). A restart finds all of them in the file.
"""

from collections.abc import Collection, Mapping

from komainu.cib.command import RotateKey
from komainu.model.cause import Cause
from komainu.model.ids import NodeId, NodeName, WallTime
from komainu.model.report import Level, Note
from komainu.model.request import RefusedReply
from komainu.model.view import Position
from komainu.node.desk import refused
from komainu.node.interface import AcceptKey, KeyDrawn, UseKey


class Rotation:
    """The keys that are being introduced."""

    def __init__(self, names: Mapping[NodeId, NodeName]) -> None:
        self._names = names
        self._pending: list[tuple[Position, str]] = []
        self._is_whole = False

    def begin_view(self, members: Collection[NodeId], keeps_state: Collection[NodeId]) -> list[Note]:
        """Give up what is under way when somebody comes by a snapshot: it has not applied it, and does not know the key."""
        self._is_whole = set(members) >= self._names.keys()
        if self._is_whole and set(members) <= set(keeps_state):
            return []
        given_up, self._pending = self._pending, []
        text = (
            "the membership changed as the cluster key {0} was introduced: some nodes may not seal with it yet, and "
            "all open what the others seal. Once all nodes are here: komainu key rotate"
        )
        return [Note(Level.WARNING, "key.half-used", text.format(name)) for _, name in given_up]

    def refuse(self, members: Collection[NodeId]) -> RefusedReply | None:
        """Say why the key cannot be replaced now; None when it can."""
        missing = [name for node, name in self._names.items() if node not in members]
        if missing:
            message = f"{', '.join(missing)} is not here, and could not come back with the key that it has"
            hint = "start it first; or remove it from komainu.toml on every node"
            return refused("key.nodes-missing", message, hint)
        if self._pending:
            return refused("key.under-way", "a key is being replaced", "try again in a moment")
        return None

    @staticmethod
    def command(drawn: KeyDrawn, at: WallTime) -> RotateKey:
        """Write down that a client's wish drew a new key."""
        who = drawn.user or "somebody"
        cause = Cause("operator", f"{who} replaced the cluster key by {drawn.fingerprint}")
        return RotateKey(cause, at, drawn.user, drawn.sealed, drawn.fingerprint)

    def applied(self, command: RotateKey, position: Position) -> AcceptKey | Note:
        """Open with the new key from now on; not when a node went while this was on its way."""
        if not self._is_whole:
            text = "the cluster key was not replaced: not all nodes are here any more"
            return Note(Level.WARNING, "key.not-replaced", text)
        self._pending.append((position, command.fingerprint))
        return AcceptKey(command.sealed, command.fingerprint)

    def due(self, stable: Position) -> list[UseKey]:
        """Seal with the keys that every member accepts by now."""
        if not self._pending:
            return []
        ripe = [fingerprint for position, fingerprint in self._pending if position <= stable]
        self._pending = [each for each in self._pending if each[0] > stable]
        return [UseKey(fingerprint) for fingerprint in ripe]
