"""Play one machine of the made-up world: its power, its disk, and what really runs on it.

The truth here is what the checkers judge by; the daemon on the machine knows only what its agents tell.
"""

from dataclasses import dataclass, field

from komainu.model.ids import NodeId, NodeName, ResourceId
from komainu.node.drive import Drive
from komainu.recorder.record import Record


@dataclass(slots=True)
class Disk:
    """A disk that loses what was not synced when the power goes. A newer text overtakes older ones on their way."""

    text: str | None = None
    newest: int = 0  # the token of `text`, in the daemon's present life
    writing: dict[int, str] = field(default_factory=dict)  # token -> text on its way

    def finish(self, token: int) -> bool:
        """Make a write durable; false when the power went before."""
        text = self.writing.pop(token, None)
        if text is None:
            return False
        if token > self.newest:
            self.text, self.newest = text, token
        return True

    def end_life(self) -> None:
        """Forget what was on its way: the daemon that wrote it is gone, and its tokens with it."""
        self.writing.clear()
        self.newest = 0


@dataclass(slots=True)
class Machine:
    """One machine. `running` counts a resource from the first moment of its start to the end of its stop."""

    node_id: NodeId
    name: NodeName
    drive: Drive | None = None
    is_on: bool = False
    life: int = 0  # grows with each start of the daemon and each loss of power; outdates what was scheduled
    running: set[ResourceId] = field(default_factory=set)
    disk: Disk = field(default_factory=Disk)
    records: list[Record] = field(default_factory=list)

    def lose_power(self) -> None:
        """Switch off at once: nothing runs, nothing unsynced is left."""
        self.is_on = False
        self.end_daemon()
        self.running.clear()

    def end_daemon(self) -> None:
        """End the daemon; what it started keeps running."""
        self.drive = None
        self.disk.end_life()
        self.life += 1
