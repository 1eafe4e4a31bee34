"""When a node is let back onto what it was cut off from."""

import pytest
from whole_text import dummy, meta, state, whole

from komainu.scheduler.plan import plan


@pytest.mark.parametrize("is_fencing", [True, False])
def test_a_cluster_that_does_not_fence_does_not_unfence_either(is_fencing: bool) -> None:
    """A device that unfences is started like any other where fencing is off: there is nothing to undo."""
    device = f'<primitive id="scsi" class="stonith" type="fence_scsi">{meta("scsi", provides="unfencing")}</primitive>'
    enabled = {"fencing-enabled": "true" if is_fencing else "false"}
    planned = plan(whole("ab", device + dummy("x"), state("a") + state("b"), options=enabled), 1000)
    labels = {action.label for action in planned.actions}
    assert {"start scsi on a", "start x on b"} <= labels
    assert ("on on a" in labels) is is_fencing
