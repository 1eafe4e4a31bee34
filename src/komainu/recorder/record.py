"""Define one line of the flight record: what happened, when, who recorded it, and its cause."""

import msgspec

from komainu.model.cause import Cause
from komainu.model.ids import NodeName, WallTime


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One flight record: an ordered command that was applied, or something only this node saw.

    `position` is `LINEAGE.INDEX` for commands (the name other records use in Cause.because), and "" for
    what only this node saw (a link that changed, a start of the daemon). `subjects` are the resources and
    nodes it is about: the index that `why` searches by. `command` is the command's msgpack, in base64, so
    that any past state can be rebuilt; "" where there is none.
    """

    position: str
    at: WallTime
    node: NodeName  # whose command it was, or who saw it
    kind: str  # the command's tag, or "link", "daemon"
    cause: Cause
    subjects: tuple[str, ...] = ()
    refused: str = ""  # why it had no effect
    command: str = ""
