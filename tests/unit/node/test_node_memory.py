"""The daemon's memory is locked where that is allowed for good, and the log says where not."""

import resource

import pytest

from komainu.model.report import Level
from komainu.node import memory

MAP = "         0          0 4294967295\n"
NESTED = "         0       1000          1\n"
ROOT = "Name:\tx\nCapEff:\t000001ffffffffff\n"
NOBODY = "Name:\tx\nCapEff:\t0000000000000000\n"


@pytest.mark.parametrize(
    ("status", "uid_map", "limit", "expected"),
    [
        (ROOT, MAP, 8 << 20, True),
        (ROOT, NESTED, 8 << 20, False),
        (NOBODY, MAP, 8 << 30, False),
        (NOBODY, MAP, resource.RLIM_INFINITY, True),
        ("", MAP, 0, False),
    ],
)
def test_who_may(status: str, uid_map: str, limit: int, *, expected: bool) -> None:
    assert memory.may_lock(status, uid_map, limit) is expected


@pytest.mark.parametrize(("is_guarded", "level"), [(True, Level.WARNING), (False, Level.INFO)])
def test_who_may_not_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, is_guarded: bool, level: Level
) -> None:
    monkeypatch.setattr(memory, "may_lock", lambda *_: False)
    note = memory.keep_in_memory(is_guarded=is_guarded)
    assert (note.level, note.code) == (level, "daemon.memory-not-locked")
    assert "LimitMEMLOCK=infinity" in note.message
