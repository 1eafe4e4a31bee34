"""Text is broken for the terminal that shows it."""

import pytest

from komainu.cli.terminal import fold, folded, width


@pytest.mark.parametrize(("columns", "used"), [("200", 80), ("80", 80), ("60", 60), ("12", 40), ("x", 80)])
def test_the_width_is_the_terminal_s_within_reason(
    monkeypatch: pytest.MonkeyPatch, columns: str, used: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert width() == used


def test_what_goes_on_below_begins_further_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert fold("  to b: down since 14:02:11.203: eth1: carrier lost") == [
        "  to b: down since 14:02:11.203: eth1:",
        "      carrier lost",
    ]
    assert fold("a b " * 15, " " * 60)[1] == " " * 20 + "a b a b a b a b a b", (
        "half of the width is for the text"
    )


def test_what_users_and_agents_say_steers_no_terminal() -> None:
    assert fold("bad \x1b[31mname\nnext") == [r"bad \x1b[31mname\nnext"]


def test_empty_lines_stay() -> None:
    assert folded(["a", "", "b"]) == "a\n\nb"
