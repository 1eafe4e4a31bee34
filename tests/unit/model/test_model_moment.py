from komainu.model.ids import Instant
from komainu.model.moment import earliest


def test_the_first_moment_that_comes_is_chosen() -> None:
    assert earliest(Instant(7), None, Instant(3), Instant(5)) == 3
    assert earliest(Instant(0), Instant(1)) == 0, "the first moment of a clock is a moment"


def test_when_none_comes_there_is_none() -> None:
    assert earliest(None, None) is None
    assert earliest() is None
