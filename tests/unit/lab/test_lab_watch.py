"""When an address came and went, and how long it stood twice, is read from the changes."""

from komainu.lab.watch import Change, at_once_ms, first

VIP = "10.77.0.100"


def change(at: int, node: str, *, stands: bool, address: str = VIP) -> Change:
    return Change(at, node, address, stands)


def test_the_first_change_of_the_kind_and_time_asked_for() -> None:
    changes = [
        change(10, "a", stands=True),
        change(20, "b", stands=False),
        change(30, "a", stands=False),
        change(40, "a", stands=True),
        change(50, "a", stands=False),
    ]
    assert first(changes, "a", VIP, stands=False, since=0) == 30
    assert first(changes, "a", VIP, stands=True, since=11) == 40
    assert first(changes, "a", "10.77.0.1", stands=True, since=0) is None


def test_one_holder_after_the_other_is_never_twice() -> None:
    moved = [change(0, "a", stands=True), change(10, "a", stands=False), change(10, "b", stands=True)]
    assert at_once_ms(moved, VIP, until=100) == 0


def test_the_times_with_two_holders_are_summed_up() -> None:
    changes = [
        change(0, "a", stands=True),
        change(5, "a", stands=True, address="10.77.0.1"),
        change(10, "b", stands=True),
        change(30, "b", stands=False),
        change(50, "b", stands=True),
    ]
    assert at_once_ms(changes, VIP, until=60) == 20 + 10
