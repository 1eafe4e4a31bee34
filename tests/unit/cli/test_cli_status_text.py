"""The status fits into the terminal, whatever names and reasons there are."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cli.status_text import status_lines
from komainu.model.request import Status

REPLIES = Path(__file__).parents[2] / "cases" / "cli" / "replies"
WORDS = st.lists(st.text("abcdefgh-.:", min_size=1, max_size=12), max_size=30).map(" ".join)


@pytest.mark.parametrize("columns", [80, 60, 40])
@pytest.mark.parametrize("name", ["good", "cable", "bad", "alone"])
@settings(max_examples=25)
@given(reason=WORDS)
def test_lines_fit(name: str, columns: int, reason: str) -> None:
    status = msgspec.json.decode((REPLIES / f"{name}.json").read_bytes(), type=Status)
    status = msgspec.structs.replace(
        status,
        doing=reason,
        quorum_reason=reason,
        warnings=(reason,),
        nodes=tuple(msgspec.structs.replace(node, reason=reason) for node in status.nodes),
        links=tuple(
            msgspec.structs.replace(link, reason=reason, peer_reason=reason) for link in status.links
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        assert max(len(line.text) for line in status_lines(status)) <= columns
