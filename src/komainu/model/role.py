"""Name the roles a resource can have, in the order in which they are climbed."""

from enum import IntEnum


class Role(IntEnum):
    """A resource's role on a node; greater means further up the climb from Stopped."""

    UNKNOWN = 0
    STOPPED = 1
    STARTED = 2
    UNPROMOTED = 3
    PROMOTED = 4

    @property
    def label(self) -> str:
        """The word that the CIB and people use."""
        return self.name.capitalize()


_BY_WORD = {
    "stopped": Role.STOPPED,
    "started": Role.STARTED,
    "unpromoted": Role.UNPROMOTED,
    "slave": Role.UNPROMOTED,  # spelling of CIBs before schema 3.7
    "promoted": Role.PROMOTED,
    "master": Role.PROMOTED,  # spelling of CIBs before schema 3.7
}


def parse(text: str | None) -> Role | None:
    """Read a role's name, the old spellings too; None when the text names no role."""
    return None if text is None else _BY_WORD.get(text.strip().lower())
