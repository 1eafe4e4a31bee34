"""cib/consistency.py: which combinations are errors, and which are warnings."""

from cib_samples import configuration

from komainu.cib.consistency import check_consistency
from komainu.cib.problem import Problems
from komainu.model.report import Severity


def found(body: str) -> list[tuple[str, Severity]]:
    problems = Problems("x")
    check_consistency(configuration(body).children[0], problems)
    return [(one.code, one.severity) for one in problems.reports if one.code != "cib.no-fence-device"]


def monitors(*roles: str) -> str:
    ops = "".join(
        f'<op id="m{number}" name="monitor" interval="5"{f" role={role!r}" if role else ""}/>'
        for number, role in enumerate(roles)
    )
    return f'<resources><primitive id="w" class="lsb" type="w"><operations>{ops}</operations></primitive></resources>'


def test_a_monitor_twice_is_wrong_and_only_doubtful_for_two_roles() -> None:
    assert found(monitors("Promoted", "Unpromoted")) == [("cib.duplicate-operation", Severity.WARNING)]
    assert found(monitors("", "")) == [("cib.duplicate-operation", Severity.ERROR)]


def options(*pairs: tuple[str, str], tag: str = "meta_attributes") -> str:
    inside = "".join(
        f'<nvpair id="n{number}" name="{name}" value="{value}"/>'
        for number, (name, value) in enumerate(pairs)
    )
    return f'<resources><primitive id="w" class="lsb" type="w"><{tag} id="m">{inside}</{tag}></primitive></resources>'


def test_options() -> None:
    assert found(options(("priority", "5"), ("target-role", "#default"), ("clone-max", "2"))) == []
    assert found(options(("priority", "high"))) == [("cib.bad-value", Severity.ERROR)]
    assert found(options(("prioritty", "5"))) == [("cib.unknown-option", Severity.WARNING)]
    assert found(options(("priority", "5"), ("priority", "6"))) == [("cib.twice-in-set", Severity.WARNING)]
    assert found(options(("any", "thing"), tag="instance_attributes")) == []
    assert found(options(("cpu", "many"), tag="utilization")) == [("cib.bad-value", Severity.ERROR)]


def test_an_attribute_of_a_node_that_the_cluster_reads_has_a_value_it_understands() -> None:
    body = (
        '<nodes><node id="1" uname="a"><instance_attributes id="i"><nvpair id="n" name="standby" value="yess"/>'
        '<nvpair id="p" name="rack" value="7"/></instance_attributes></node></nodes>'
    )
    assert found(body) == [("cib.bad-value", Severity.ERROR)]


def test_starting_after_and_promoting_is_no_order_with_itself() -> None:
    order = '<constraints><rsc_order id="o" first="w" first-action="start" then="w" then-action="promote"/></constraints>'
    assert found(order) == []


def test_a_date_that_does_not_exist_is_doubtful() -> None:
    for start, codes in (("2026-13-45", ["cib.no-date"]), ("2026-02-28T12:00:00Z", [])):
        expression = f'<date_expression id="d" operation="gt" start="{start}"/>'
        rule = f'<rule id="r" score="INFINITY">{expression}</rule>'
        body = f'<constraints><rsc_location id="l" rsc="w">{rule}</rsc_location></constraints>'
        assert [code for code, _ in found(body)] == codes
