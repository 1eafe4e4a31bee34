"""cib/edits.py: where an edit lands, what it makes on the way, and which edits fit nothing."""

from cib_samples import WEB_XML, A, accepted, edit, new_state, refusal

from komainu.cib.edits import EDITS_MAX
from komainu.cib.element import Element
from komainu.cib.state import ClusterState
from komainu.model.edit import Edit, Put, Remove, SetOption


def pair(state: ClusterState, pair_id: str) -> tuple[str | None, str | None]:
    """Return name and value of an nvpair of the configuration."""
    found = state.cib.find(pair_id)
    assert found is not None, pair_id
    return (found.get("name"), found.get("value"))


def section(state: ClusterState, *tags: str) -> Element:
    found = state.cib.at("configuration", *tags)
    assert found is not None
    return found


def test_put_appends_and_makes_the_section() -> None:
    state = accepted(new_state(WEB_XML), edit(Put("tags", '<tag id="t"><obj_ref id="web"/></tag>')))
    assert [one.id for one in section(state, "tags").children] == ["t"]


def test_put_replaces_in_place_also_inside_a_group() -> None:
    group = '<group id="g"><primitive id="x" class="lsb" type="x"/><primitive id="y" class="lsb" type="y"/></group>'
    state = accepted(
        new_state(WEB_XML, group), edit(Put("resources", '<primitive id="x" class="lsb" type="z"/>'))
    )
    members = section(state, "resources", "group").children
    assert [(one.id, one.get("type")) for one in members] == [("x", "z"), ("y", "y")]


def test_remove_takes_away_what_has_the_id() -> None:
    state = accepted(new_state(WEB_XML), edit(Remove("web")))
    assert state.cib.find("web") is None


def test_options_go_where_the_fields_tools_put_them() -> None:
    state = accepted(
        new_state(WEB_XML),
        edit(
            SetOption("web", "meta_attributes", "target-role", "Stopped"),
            SetOption("web", "instance_attributes", "port", "80"),
            SetOption("a", "instance_attributes", "standby", "on"),
            SetOption("2", "utilization", "cpu", "4"),
            SetOption("crm_config", "cluster_property_set", "maintenance-mode", "true"),
            SetOption("rsc_defaults", "meta_attributes", "resource-stickiness", "100"),
            SetOption("op_defaults", "meta_attributes", "timeout", "30s"),
            SetOption("a", "instance_attributes", "#health-disk", "red"),
        ),
    )
    assert pair(state, "web-meta_attributes-target-role") == ("target-role", "Stopped")
    assert pair(state, "web-instance_attributes-port") == ("port", "80")
    assert pair(state, "nodes-1-standby") == ("standby", "on")
    assert pair(state, "nodes-2-utilization-cpu") == ("cpu", "4")
    assert pair(state, "cib-bootstrap-options-maintenance-mode") == ("maintenance-mode", "true")
    assert pair(state, "rsc_defaults-options-resource-stickiness") == ("resource-stickiness", "100")
    assert pair(state, "op_defaults-options-timeout") == ("timeout", "30s")
    assert pair(state, "nodes-1-.health-disk") == ("#health-disk", "red")


def test_options_are_changed_where_they_are_and_removed() -> None:
    own = (
        '<primitive id="web" class="lsb" type="w"><meta_attributes id="m">'
        '<nvpair id="p" name="target-role" value="Started"/></meta_attributes></primitive>'
    )
    state = accepted(new_state(own), edit(SetOption("web", "meta_attributes", "target-role", "Stopped")))
    assert pair(state, "p") == ("target-role", "Stopped")
    state = accepted(state, edit(SetOption("web", "meta_attributes", "priority", "5")))
    assert pair(state, "m-priority") == ("priority", "5")
    gone = accepted(state, edit(SetOption("web", "meta_attributes", "target-role", None)))
    assert gone.cib.find("p") is None
    assert accepted(gone, edit(SetOption("web", "meta_attributes", "target-role", None))).cib == gone.cib
    assert accepted(gone, edit(SetOption("op_defaults", "meta_attributes", "timeout", None))).cib == gone.cib


def test_edits_are_all_or_none() -> None:
    state = new_state(WEB_XML)
    assert refusal(state, edit(Remove("web"), Remove("nothing"))) == "cib.unknown-id"


def test_what_fits_nothing_is_refused() -> None:
    state = new_state(WEB_XML)
    wrong: dict[Edit, str] = {
        Put("status", '<node_state id="1"/>'): "cib.unknown-section",
        Put("resources", "<primitive/>"): "cib.no-id",
        Put("resources", "<primitive"): "cib.malformed",
        Remove(""): "cib.unknown-id",
        SetOption("wbe", "meta_attributes", "x", "1"): "cib.unknown-id",
        SetOption("web", "cluster_property_set", "x", "1"): "cib.wrong-set",
        SetOption("a", "meta_attributes", "x", "1"): "cib.wrong-set",
        SetOption("crm_config", "meta_attributes", "x", "1"): "cib.wrong-set",
        SetOption("web", "meta_attributes", "", "1"): "cib.bad-text",
        SetOption("web", "meta_attributes", "x", "\x01"): "cib.bad-text",
    }
    assert {one: refusal(state, edit(one)) for one in wrong} == wrong


def test_a_change_has_a_greatest_number_of_edits() -> None:
    many = tuple(Remove("web") for _ in range(EDITS_MAX + 1))
    assert refusal(new_state(WEB_XML), edit(*many)) == "cib.too-many-edits"


def test_elements_put_into_each_other_end_at_a_depth() -> None:
    def nested(number: int, depth: int) -> str:
        names = range(number, number + depth)
        return "".join(f'<rule id="r{name}">' for name in names) + "</rule>" * depth

    edits = [Put("constraints", nested(start, 60)) for start in (0, 59, 118)]
    assert refusal(new_state(), edit(*edits)) == "cib.too-deep"


def test_a_node_is_found_by_name_before_id() -> None:
    state = accepted(new_state(), edit(Put("nodes", '<node id="a" uname="z"/>')))
    named = accepted(state, edit(SetOption(A, "instance_attributes", "standby", "on")))
    assert pair(named, "nodes-1-standby") == ("standby", "on")
