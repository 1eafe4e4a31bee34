"""What a bundle's parts take from each other, and from the nodes."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.cib import document
from komainu.scheduler import recipe, status_text
from komainu.scheduler.plan import plan

BUNDLE = '<bundle id="box"><podman image="img" replicas="1"/><network control-port="3122"/>{0}</bundle>'
NEEDS = '<utilization id="u-{0}"><nvpair id="u-{0}-ram" name="ram" value="{1}"/></utilization>'


def _with_room(**ram: int) -> str:
    """Write the nodes section anew, with what each node can hold."""
    return "".join(
        f'<node id="{name}" uname="{name}">{NEEDS.format(name, size)}</node>' for name, size in ram.items()
    )


def test_what_runs_in_a_container_takes_its_room_on_the_host_of_the_container() -> None:
    resources = BUNDLE.format(dummy("x", NEEDS.format("x", 5)))
    cib = whole("ab", resources, state("a") + state("b"), options={"placement-strategy": "utilization"})
    text = document.show(cib)
    start, end = text.index("<nodes>"), text.index("</nodes>")
    roomy = document.parse(text[:start] + "<nodes>" + _with_room(a=4, b=6) + text[end:], "test")
    labels = {action.label for action in plan(roomy, 1000).actions}
    assert {"start box-podman-0 on b", "start x on box-0"} <= labels


def test_a_bundle_node_that_the_nodes_section_lists_is_closed_to_what_was_read_before_it() -> None:
    """It looked like any remote node then: nothing but the bundle's own resource may start there."""
    container = '<lrm_resource id="box-podman-0" class="ocf" provider="heartbeat" type="podman">'
    connection = '<lrm_resource id="box-0" class="ocf" provider="pacemaker" type="remote">'
    running = (
        f"{container}{entry('box-podman-0', 'a', 'start', 3)}</lrm_resource>"
        f"{connection}{entry('box-0', 'a', 'start', 4)}</lrm_resource>"
    )
    inside = past("x", entry("x", "box-0", "start", 5))
    states = state("a", running) + (
        '<node_state id="box-0" uname="box-0" remote_node="true"><lrm id="box-0"><lrm_resources>'
        f"{inside}</lrm_resources></lrm></node_state>"
    )
    cib = whole("a", dummy("early") + BUNDLE.format(dummy("x")), states)
    listed = document.show(cib).replace("</nodes>", '<node id="box-0" uname="box-0" type="remote"/></nodes>')
    job = recipe.read(document.parse(listed, "test"), 1000)
    assert job.by_id["early"].table["box-0"].score == -1_000_000
    recipe.schedule(job)
    home = job.by_id["early"].assigned_to
    assert home is not None
    assert home.name == "a"
    assert not any(
        action.node is not None and action.node.name == "box-0" for action in job.by_id["early"].actions
    )


def test_a_replica_whose_container_is_gone_is_shown_without_a_node() -> None:
    """Where its resource was is a node only as long as there is a container."""
    inside = past("x", entry("x", "box-0", "start", 5))
    states = state("a") + (
        '<node_state id="box-0" uname="box-0" remote_node="true"><lrm id="box-0"><lrm_resources>'
        f"{inside}</lrm_resources></lrm></node_state>"
    )
    resources = '<primitive id="fence" class="stonith" type="fence_lab"/>' + BUNDLE.format(dummy("x"))
    cib = whole("a", resources, states, options={"fencing-enabled": "true"})
    lines = status_text.write(recipe.read(cib, 1000))
    assert [line.split(maxsplit=3)[-1].strip() for line in lines if "* box-0" in line] == ["FAILED"]


def test_parts_stopped_by_a_fencing_say_so_to_a_bundle_that_is_notified() -> None:
    """Their stops are not carried out by an agent; what is told of them goes with them all the same."""
    lost = (
        '<node_state id="b" uname="b" in_ccm="false" crmd="offline" join="down" expected="member"><lrm id="b">'
        '<lrm_resources><lrm_resource id="box-podman-0" class="ocf" provider="heartbeat" type="podman">'
        f"{entry('box-podman-0', 'b', 'start', 3)}</lrm_resource></lrm_resources></lrm></node_state>"
    )
    notified = BUNDLE.replace('id="box">', f'id="box">{meta("box", notify="true")}')
    device = '<primitive id="fence" class="stonith" type="fence_lab"/>'
    states = state("a", past("fence", entry("fence", "a", "start", 4))) + lost
    cib = whole("ab", device + notified.format(dummy("x")), states, options={"fencing-enabled": "true"})
    job = recipe.read(cib, 1000)
    recipe.schedule(job)
    (stop,) = (a for a in job.by_id["box-podman-0"].actions if a.task == "stop" and a.is_pseudo)
    assert stop.meta["notify_stop_resource"] == "box-podman-0"
    assert stop.meta["notify_stop_uname"] == "b"


def test_no_connection_of_a_bundle_goes_through_another_even_where_nothing_is_managed() -> None:
    guest = dummy("vm", meta("vm", remote_node="g"))
    for options in ({"symmetric-cluster": "false"}, {"maintenance-mode": "true"}):
        cib = whole("a", guest + BUNDLE.format(dummy("x")), state("a"), options=options)
        job = recipe.read(cib, 1000)
        recipe.schedule(job)
        rows = {name: row.score for name, row in job.by_id["box-0"].table.items()}
        assert rows["a"] == 0, options
        assert rows["g"] == -1_000_000, options
    # What follows its machine is let in everywhere, also where nodes have to be named: a bundle's node is one to refuse.
    asymmetric = whole("a", BUNDLE.format(dummy("x")), state("a"), options={"symmetric-cluster": "false"})
    assert recipe.read(asymmetric, 1000).by_id["box-0"].table["box-0"].score == -1_000_000


def test_a_rule_that_holds_for_a_bundles_node_lets_nothing_in_there() -> None:
    rule = (
        '<rsc_location id="l" rsc="early"><rule id="r" score="50">'
        '<expression id="e" attribute="colour" operation="not_defined"/></rule></rsc_location>'
    )
    running = (
        '<lrm_resource id="box-podman-0" class="ocf" provider="heartbeat" type="podman">'
        f"{entry('box-podman-0', 'a', 'start', 3)}</lrm_resource>"
        '<lrm_resource id="box-0" class="ocf" provider="pacemaker" type="remote">'
        f"{entry('box-0', 'a', 'start', 4)}</lrm_resource>"
    )
    cib = whole("a", dummy("early") + BUNDLE.format(dummy("x")), state("a", running), constraints=rule)
    job = recipe.read(cib, 1000)
    recipe.schedule(job)
    assert {n: row.score for n, row in job.by_id["early"].table.items()} == {"a": 50, "box-0": -1_000_000}
    assert [a.node.name for a in job.by_id["early"].actions if a.task == "monitor" and a.node] == ["a"]


def test_a_probe_for_an_address_does_not_hold_up_the_stop_of_its_container() -> None:
    """The container waits for its address; that the address starts does not say that the container has to."""
    addressed = BUNDLE.replace("<network ", '<network ip-range-start="10.0.0.1" ').format(dummy("x"))
    parts = (
        past("box-ip-10.0.0.1", entry("box-ip-10.0.0.1", "a", "start", 2)),
        past("box-podman-0", entry("box-podman-0", "a", "start", 3)),
        past("box-0", entry("box-0", "a", "start", 4)),
    )
    cib = whole("ab", addressed, state("a", *parts, standby="on") + state("b"))
    actions = {action.label: action for action in plan(cib, 1000).actions}
    names = {action.action_id: label for label, action in actions.items()}
    needs = {names[number] for number in actions["stop box-podman-0 on a"].needs}
    assert "monitor box-ip-10.0.0.1 on b" in actions
    assert "monitor box-ip-10.0.0.1 on b" not in needs
