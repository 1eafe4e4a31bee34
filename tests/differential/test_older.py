"""Each way of older.py is what 2.1.5 does: on a CIB of its own the two disagree, and with the way they do not.

The CIBs were found by make differential, and made small while that held; one was written by hand.
"""

import re
from pathlib import Path

import older
import pytest
import reference

from komainu.cib import document

CASES = Path(__file__).parent / "older_cases"


def _case(name: str) -> Path:
    return CASES / f"{re.sub(r'[^a-z0-9]+', '-', name)}.xml"


@pytest.mark.parametrize("name", older.WAYS)
def test_the_way_makes_a_difference_and_leaves_nothing_behind(name: str) -> None:
    path = _case(name)
    before = reference.ask_ours(path)
    with older.ways([name]):
        assert reference.ask_ours(path) != before
    assert reference.ask_ours(path) == before


@pytest.mark.skipif(reference.TOOL is None, reason="crm_simulate is not installed")
@pytest.mark.parametrize("name", older.WAYS)
def test_the_way_is_that_of_the_reference(name: str, tmp_path: Path) -> None:
    cib = document.parse(_case(name).read_text(encoding="utf-8"))
    question = reference.Question(cib, tmp_path)
    assert question.disagreements()
    assert question.disagreements([name]) == []


def test_every_case_has_its_way() -> None:
    assert {path.name for path in CASES.iterdir()} == {_case(name).name for name in older.WAYS}
