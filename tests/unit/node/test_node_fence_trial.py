"""Devices are tried one after the other, each question is told before it is asked, and who hangs is asked once."""

import pytest

from komainu.cib.document import parse_cib
from komainu.fencing.trial import Answered, Try
from komainu.node import fence_trial

META = '<resource-agent name="x"><actions><action name="status"/><action name="monitor"/></actions></resource-agent>'
CIB = """<cib validate-with="pacemaker-3.9"><configuration><crm_config/>
<nodes><node id="1" uname="a"/></nodes><resources>
<primitive id="dead" class="stonith" type="fence_hang"><instance_attributes id="i">
<nvpair id="h" name="pcmk_host_list" value="a"/></instance_attributes></primitive>
<primitive id="good" class="stonith" type="fence_good"><instance_attributes id="j">
<nvpair id="g" name="pcmk_host_list" value="a"/></instance_attributes></primitive>
</resources><constraints/></configuration><status/></cib>"""


class Bench:
    """Agents that answer at once, but for one that hangs."""

    def __init__(self, tell: fence_trial.Tell) -> None:
        self._tell = tell

    async def run(self, one: Try) -> Answered:
        self._tell(f"{one.device.name} {one.action}")
        hangs = one.device.agent == "fence_hang"
        return Answered(None if hangs else 0, hangs, False, META, "", 5_000 if hangs else 10)

    def close(self) -> None:
        pass


def test_an_agent_that_hangs_over_its_meta_data_is_asked_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fence_trial, "_Bench", Bench)
    asked: list[str] = []
    tried, unreached = fence_trial.try_devices(parse_cib(CIB, "x"), tell=asked.append)
    assert asked == ["dead metadata", "good metadata", "good monitor", "good status"]
    assert [(one.device, one.verdict.is_good) for one in tried] == [
        ("dead", False),
        ("good", True),
        ("good", True),
    ]
    assert not unreached
