"""What is done about a configuration that has changed."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler import recipe


def test_histories_of_removed_resources_are_deleted_in_the_order_of_the_nodes() -> None:
    """Not in that of the status section, where the node that joined last may come first."""
    gone = {node: past("gone", entry("gone", node, "stop", 3)) for node in "ba"}
    states = "".join(state(node, history) for node, history in gone.items())
    job = recipe.read(whole("ab", dummy("x"), states), 1000)
    recipe.schedule(job)
    deletes = [action for action in job.actions if action.task == "delete"]
    assert [action.node.name for action in deletes if action.node] == ["a", "b"]
