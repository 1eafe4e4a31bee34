"""Check how the processors and their load are read."""

import os
from pathlib import Path

from komainu.node.machine import look


def test_the_load_is_told_in_percent_of_the_processors(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    file = tmp_path / "loadavg"
    file.write_text(f"{1.5 * cores:.2f} 0.80 0.60 3/312 4711\n", encoding="ascii")
    seen = look(file)
    assert (seen.cores, seen.load_percent) == (cores, 150)


def test_where_no_load_can_be_read_there_is_none(tmp_path: Path) -> None:
    assert look(tmp_path / "none").load_percent == 0
    (tmp_path / "odd").write_text("\n", encoding="ascii")
    assert look(tmp_path / "odd").load_percent == 0
