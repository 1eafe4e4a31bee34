"""The status as text."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe, status_text


def test_what_is_under_way_is_shown_unless_all_was_carried_out() -> None:
    pending = past("r", entry("r", "a", "start", -1, op_status="-1", rc_code="193"))
    job = recipe.read(whole("a", dummy("r"), state("a", pending)), 1000)
    assert any("Starting a" in line for line in status_text.write(job))
    assert any("Started a" in line for line in status_text.write(job, shows_pending=False))


def test_a_nodes_health_is_shown_whatever_else_it_is() -> None:
    states = "".join(state(name, **{"#health-x": "red", "standby": "on"}) for name in "ab")
    down = state("c", **{"#health-x": "yellow"})
    for is_up, is_down in (("true", "false"), ("online", "offline"), ("member", "down")):
        down = down.replace(f'="{is_up}"', f'="{is_down}"')
    options = {"node-health-strategy": "custom", "startup-fencing": "false"}
    job = recipe.read(whole("abc", dummy("r"), states + down, options=options), 1000)
    lines = status_text.write(job)
    assert any(line.endswith("Node a: standby (health is RED)") for line in lines), lines
    assert any(line.endswith("Node c: OFFLINE (health is YELLOW)") for line in lines), lines


def test_what_is_active_on_several_nodes_is_not_flagged_with_the_state_of_one() -> None:
    up = [past("r", entry("r", name, "start", 3)) for name in "ab"]
    lost = state("a", up[0]).replace('in_ccm="true"', 'in_ccm="false"')
    fencing = {"fencing-enabled": "true"}
    job = recipe.read(whole("ab", dummy("r"), lost + state("b", up[1]), options=fencing), 1000)
    assert next(line for line in status_text.write(job) if "* r" in line).endswith("Started [ a b ]")
    job = recipe.read(whole("ab", dummy("r"), lost + state("b"), options=fencing), 1000)
    assert next(line for line in status_text.write(job) if "* r" in line).endswith("Started a (UNCLEAN)")
