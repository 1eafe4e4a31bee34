"""Make the ring that a drive runs, and answer two small questions about it."""

from komainu.model.ids import Incarnation, Instant
from komainu.model.view import Position
from komainu.ring import interface as ring
from komainu.ring.builtin import BuiltinRing
from komainu.ring.corosync.ring import CorosyncRing
from komainu.ring.settings import Engine, RingSettings


def make_ring(settings: RingSettings, incarnation: Incarnation, now: Instant, past: ring.Past) -> ring.Ring:
    """Make the ring of the engine that the settings name."""
    kind = CorosyncRing if settings.engine is Engine.COROSYNC else BuiltinRing
    return kind(settings, incarnation, now, past)


def life_of(incarnation: Incarnation) -> str:
    """Write an incarnation in the form of a UUID, as transition keys want it."""
    digits = f"{incarnation & (2**128 - 1):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def have_heard(engine: ring.Ring, position: Position) -> bool:
    """Whether every member knows the state up to here; without quorum nobody will ever say so."""
    return engine.view is None or not engine.view.quorate or engine.stable >= position
