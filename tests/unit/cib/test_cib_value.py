"""cib/value.py: which texts are values of a kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from komainu.cib import value
from komainu.cib.known_options import CLUSTER_OPTIONS, META_OF
from komainu.cib.value import Kind


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (value.SCORE, ["0", "-5", "+7", "INFINITY", "-INFINITY", "1.0"], ["", "inf", "infinity", "5x", "²"]),
        (value.BOOLEAN, ["true", "Yes", "0", "off"], ["", "maybe", "2"]),
        (value.DURATION, ["0", "10", "10s", "2min", "PT5M", "P10S", "500ms"], ["", "ten", "10x", "-1"]),
        (value.TIMEOUT, ["-1", "20s"], ["-2"]),
        (value.COUNT, ["0", "12"], ["-1", "x", ""]),
        (value.POSITIVE, ["1", "010"], ["0", "-1"]),
        (value.LEVEL, ["1", "9"], ["0", "10", "x"]),
        (value.PORT, ["1", "3121", "65535"], ["0", "65536", "x"]),
        (value.ROLE, ["Started", "promoted", "Master", "Slave"], ["Running", ""]),
        (value.ID, ["web", "_x", "a.b-c", "狛犬"], ["1a", "a b", "", "-x", "a:b"]),
        (value.NAME, ["x", "a b"], ["", " "]),
        (value.TEXT, ["", "x"], []),
        (value.RANGE, ["5", "1-5", "2-"], ["x", "1,5"]),
        (value.PERCENT, ["80%", "80", "7.5%"], ["x", "%"]),
        (value.HEALTH_SCORE, ["red", "Green", "-INFINITY", "5"], ["blue"]),
        (value.enum("stop", "freeze"), ["stop"], ["Stop", "halt"]),
    ],
)
def test_values(kind: Kind, right: list[str], wrong: list[str]) -> None:
    assert [text for text in right if not kind.accepts(text)] == []
    assert [text for text in wrong if kind.accepts(text)] == []


def test_a_near_miss_is_named() -> None:
    assert value.ROLE.hint("Promotd") == 'did you mean "Promoted"?'
    assert "stop" in value.enum("stop", "freeze").hint("xyz")


KINDS = list({*CLUSTER_OPTIONS.values(), *(kind for known in META_OF.values() for kind in known.values())})


@given(st.sampled_from(KINDS), st.text())
def test_every_kind_takes_any_text(kind: Kind, text: str) -> None:
    kind.accepts(text)
    kind.hint(text)
