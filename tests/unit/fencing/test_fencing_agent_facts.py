"""Check what is read out of an agent's meta-data."""

import pytest

from komainu.cib.meta_data import META_DATA_BYTES_MAX
from komainu.fencing.agent_facts import read_facts

SCSI = """some warning first
<?xml version="1.0" ?>
<resource-agent name="fence_x" shortdesc="x"><longdesc>words &amp; more</longdesc>
<parameters><parameter name="plug" required="0"><content type="string"/></parameter>
<parameter name="port"><content type="string"/></parameter></parameters>
<actions><action name="on" on_target="1" automatic="1"/><action name="off"/><action name="metadata"/></actions>
</resource-agent>"""


def test_what_an_agent_can() -> None:
    facts = read_facts(SCSI)
    assert facts is not None
    assert facts.is_told
    assert facts.can("off")
    assert not facts.can("reboot")
    assert facts.plug == "port"
    assert facts.unfences


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usage: fence_x",
        "<a/>",
        "<resource-agent><actions/></resource-agent>",
        "<resource-agent",
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><resource-agent>&e;</resource-agent>',
        "<x/>" + " " * META_DATA_BYTES_MAX,
    ],
)
def test_garbage_is_no_meta_data(text: str) -> None:
    assert read_facts(text) is None


def test_an_agent_need_not_be_told_the_target() -> None:
    facts = read_facts("<resource-agent><actions><action name='off'/></actions></resource-agent>")
    assert facts is not None
    assert (facts.plug, facts.unfences) == (None, False)
