"""Say what each bare number and string means: the names of nodes, resources, links and moments.

Knows nothing else. A NewType costs nothing at run time and lets mypy refuse a resource where a node is meant.
"""

from typing import NewType

NodeName = NewType("NodeName", str)
"""A node's `uname` in the CIB and its name in komainu.toml; also its host name by default."""

NodeId = NewType("NodeId", int)
"""A node's number on the ring, 1 and up, unique in komainu.toml; the CIB's `<node id>` is its text."""

ResourceId = NewType("ResourceId", str)
"""The `id` of a resource in the CIB; an instance of a clone is `ID:N`."""

LinkNumber = NewType("LinkNumber", int)
"""A link's number, 0 to 7: the same number names the two ends on both nodes. Lower numbers are preferred."""

Instant = NewType("Instant", int)
"""A moment on this node's monotonic clock, in milliseconds. Never compared across nodes."""

WallTime = NewType("WallTime", int)
"""A moment on the wall clock, in milliseconds since the Unix epoch. For people and records only; no
decision about liveness uses it. The CIB's own times are whole seconds of the same clock."""

Incarnation = NewType("Incarnation", int)
"""One life of a daemon: a 63-bit random number drawn by the shell at its start. A peer whose incarnation
changed has lost everything it held in memory."""
