"""cib/options.py: which value of an option counts, and what texts mean."""

import pytest
from cib_samples import configuration

from komainu.cib.options import cluster_option, is_true, read_int


def test_the_first_value_of_the_first_set_counts() -> None:
    cib = configuration(
        "<crm_config>"
        '<cluster_property_set id="low" score="1"><nvpair id="a" name="x" value="low"/></cluster_property_set>'
        '<cluster_property_set id="high" score="2"><nvpair id="b" name="x" value="high"/>'
        '<nvpair id="c" name="x" value="second"/></cluster_property_set>'
        '<cluster_property_set id="ruled" score="9"><rule id="r"/><nvpair id="d" name="x" value="ruled"/>'
        "</cluster_property_set></crm_config>"
    )
    assert cluster_option(cib, "x") == "high"
    assert cluster_option(cib, "y") is None


def test_the_bootstrap_options_count_first() -> None:
    cib = configuration(
        "<crm_config>"
        '<cluster_property_set id="o" score="9"><nvpair id="a" name="x" value="o"/></cluster_property_set>'
        '<cluster_property_set id="cib-bootstrap-options"><nvpair id="b" name="x" value="b"/>'
        "</cluster_property_set></crm_config>"
    )
    assert cluster_option(cib, "x") == "b"


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" -3 ", -3), ("+4", 4), ("", 0), ("x", 0), ("²", 0), ("9" * 5000, 0), (None, 0), ("1.5", 0)],
)
def test_numbers(text: str | None, number: int) -> None:
    assert read_int(text) == number


@pytest.mark.parametrize(("text", "truth"), [("Yes", True), ("0", False), ("maybe", None), (None, None)])
def test_booleans(text: str | None, truth: bool | None) -> None:
    for default in (True, False):
        assert is_true(text, default=default) is (default if truth is None else truth)
