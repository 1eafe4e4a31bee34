"""What is done about a configuration that has changed."""

from whole_text import DIGEST_OF_NOTHING, dummy, entry, meta, past, state, whole

from komainu.scheduler import recipe


def test_histories_of_removed_resources_are_deleted_in_the_order_of_the_nodes() -> None:
    """Not in that of the status section, where the node that joined last may come first."""
    gone = {node: past("gone", entry("gone", node, "stop", 3)) for node in "ba"}
    states = "".join(state(node, history) for node, history in gone.items())
    job = recipe.read(whole("ab", dummy("x"), states), 1000)
    recipe.schedule(job)
    deletes = [action for action in job.actions if action.task == "delete"]
    assert [action.node.name for action in deletes if action.node] == ["a", "b"]


def test_what_has_another_agent_now_is_neither_reloaded_nor_migrated() -> None:
    """A reload that could not be done any more kept its monitor from beginning where it starts anew."""
    changed = '<instance_attributes id="x-i"><nvpair id="x-new" name="new" value="1"/></instance_attributes>'
    monitor = '<operations><op id="x-m" name="monitor" interval="10s"/></operations>'
    x = dummy("x", meta("x", allow_migrate="true") + changed + monitor)
    start = entry("x", "a", "start", 2, op_force_restart=" state ", op_restart_digest=DIGEST_OF_NOTHING)
    history = past("x", start).replace('type="web"', 'type="vip"')
    away = '<rsc_location id="l" rsc="x" node="b" score="INFINITY"/>'
    job = recipe.read(whole("ab", x, state("a", history) + state("b"), constraints=away), 1000)
    recipe.schedule(job)
    done = {
        (action.task, action.node.name)
        for action in job.actions
        if action.node and action.is_runnable and not action.is_optional
    }
    assert {("stop", "a"), ("start", "b"), ("monitor", "b")} <= done
    assert not {task for task, _ in done} & {"reload-agent", "migrate_to", "migrate_from"}
