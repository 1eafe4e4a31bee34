"""Fence a machine of a lab: ask the lab's power switch, which answers off only when nothing is left of it.

Source: the fence agent API: status 0 on, 2 off, 1 unknown.
Wire to the switch: one JSON object a line, each way, over a Unix socket.
"""

import json
import socket
import sys

from komainu.agents.fence_agent import failure, read_order

SOCKET = "/run/komainu-lab/power.sock"
ANSWER_S_MAX = 55.0
"""Less than the fencing time-out, so that the reason is ours to tell."""

ANSWER_BYTES_MAX = 65_536

META_DATA = f"""<?xml version="1.0"?>
<resource-agent name="fence_lab" shortdesc="Fence agent for komainu's lab">
<longdesc>Switches machines of a lab off and on through the lab's power switch. It has no use elsewhere.</longdesc>
<vendor-url/>
<parameters>
<parameter name="action" unique="0" required="1"><content type="string" default="reboot"/>
<shortdesc lang="en">what to do</shortdesc></parameter>
<parameter name="port" unique="0" required="1"><content type="string"/>
<shortdesc lang="en">the node to fence</shortdesc></parameter>
<parameter name="socket" unique="0" required="0"><content type="string" default="{SOCKET}"/>
<shortdesc lang="en">the switch's Unix socket</shortdesc></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="list"/><action name="metadata"/>
</actions>
</resource-agent>"""


def main() -> None:
    """Do the action that stands on standard input."""
    order = read_order(META_DATA, {"on", "off", "reboot", "status", "monitor", "list"})
    sys.exit(_switch(order.options.get("socket") or SOCKET, order.action, order.node))


def _switch(path: str, action: str, node: str) -> int:
    """Ask the switch; return the exit code."""
    answer = _ask(
        path, {"action": "list"} if action in {"monitor", "list"} else {"action": action, "node": node}
    )
    if answer.get("ok") is not True:
        raise failure(
            f"the power switch refused {action} of {node}: {answer.get('error', 'no reason given')}"
        )
    power = answer.get("power")
    if action == "status":
        return {"on": 0, "off": 2}.get(str(power), 1)
    if action == "off" and power != "off":
        raise failure(f"the power switch says that {node} is {power} after off")
    if action == "list":
        nodes = answer.get("nodes")
        for name in nodes if isinstance(nodes, list) else []:
            print(f"{name},")
    return 0


def _ask(path: str, question: dict[str, str]) -> dict[str, object]:
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as switch:
            switch.settimeout(ANSWER_S_MAX)
            switch.connect(path)
            switch.sendall(json.dumps(question).encode() + b"\n")
            while not data.endswith(b"\n") and len(data) < ANSWER_BYTES_MAX:
                part = switch.recv(4096)
                if not part:
                    break
                data += part
        answer = json.loads(data)
    except TimeoutError:
        raise failure(f"the power switch at {path} timed out") from None
    except OSError as error:
        raise failure(f"the power switch at {path} cannot be reached: {error}; is the lab up?") from None
    except ValueError:
        raise failure(f"the power switch at {path} gave no proper answer: {data[:80]!r}") from None
    return answer if isinstance(answer, dict) else {}
