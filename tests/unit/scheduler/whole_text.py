"""Build whole CIBs for tests of the scheduler from text, where the builder's few words are not enough."""

from collections.abc import Mapping

from komainu.cib import document
from komainu.cib.element import Element

DIGEST_OF_NOTHING = "f2317cad3d54cec5d7d7aa7d0bf35cf8"


def dummy(name: str, inside: str = "") -> str:
    """Write a primitive."""
    return f'<primitive id="{name}" class="ocf" provider="komainu" type="web">{inside}</primitive>'


def meta(owner: str, **values: str) -> str:
    """Write a set of meta attributes."""
    pairs = "".join(
        f'<nvpair id="{owner}-{name}" name="{name.replace("_", "-")}" value="{text}"/>'
        for name, text in values.items()
    )
    return f'<meta_attributes id="{owner}-meta">{pairs}</meta_attributes>'


def entry(name: str, node: str, task: str, call: int, **changes: str) -> str:
    """Write one history entry: a success, unless told otherwise."""
    values = {
        "interval": "0",
        "rc-code": "0",
        "op-status": "0",
        "target": "0",
        **{key.replace("_", "-"): text for key, text in changes.items()},
    }
    target = values.pop("target")
    key = f"1:{call}:{target}:00000000-0000-0000-0000-000000000000"
    text = " ".join(f'{name}="{value}"' for name, value in values.items())
    return (
        f'<lrm_rsc_op id="{name}_{task}_{values["interval"]}_{call}" operation="{task}" call-id="{call}" '
        f'transition-key="{key}" transition-magic="0:{values["rc-code"]};{key}" on_node="{node}" '
        f'op-digest="{DIGEST_OF_NOTHING}" last-rc-change="{100 + call}" {text}/>'
    )


def past(name: str, *entries: str) -> str:
    """Write the history of a resource."""
    return f'<lrm_resource id="{name}" class="ocf" provider="komainu" type="web">{"".join(entries)}</lrm_resource>'


def state(node: str, *histories: str, **attributes: str) -> str:
    """Write the state of a node that is up."""
    pairs = "".join(f'<nvpair id="{node}-{k}" name="{k}" value="{v}"/>' for k, v in attributes.items())
    return (
        f'<node_state id="{node}" uname="{node}" in_ccm="true" crmd="online" join="member" expected="member">'
        f'<transient_attributes id="{node}"><instance_attributes id="t-{node}">{pairs}</instance_attributes>'
        f'</transient_attributes><lrm id="{node}"><lrm_resources>{"".join(histories)}</lrm_resources></lrm>'
        "</node_state>"
    )


def whole(
    nodes: str,
    resources: str,
    states: str,
    *,
    constraints: str = "",
    options: Mapping[str, str] | None = None,
) -> Element:
    """Write a CIB; nodes are named by single letters, and nobody is fenced unless asked."""
    given = {"fencing-enabled": "false", **(options or {})}
    pairs = "".join(f'<nvpair id="o-{k}" name="{k}" value="{v}"/>' for k, v in given.items())
    members = "".join(f'<node id="{name}" uname="{name}"/>' for name in nodes)
    return document.parse(
        '<cib validate-with="pacemaker-3.9" have-quorum="1"><configuration><crm_config>'
        f'<cluster_property_set id="cib-bootstrap-options">{pairs}</cluster_property_set></crm_config>'
        f"<nodes>{members}</nodes><resources>{resources}</resources><constraints>{constraints}</constraints>"
        f"</configuration><status>{states}</status></cib>",
        "test",
    )
