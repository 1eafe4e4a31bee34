"""Read what a fence agent of ours is asked to do, and say why it could not.

Source: the fence agent API: options on standard input, one `key=value` a line; the reason is the last line of
the error output.
"""

import sys
from collections.abc import Collection

_WITHOUT_NODE = {"monitor", "list"}


class Order:
    """One action, the node it is for (empty when it needs none), and every option by its name.

    No dataclass: their module alone takes as long to import as all else that an agent does before it acts.
    """

    def __init__(self, action: str, node: str, options: dict[str, str]) -> None:
        self.action = action
        self.node = node
        self.options = options


def read_order(meta_data: str, actions: Collection[str]) -> Order:
    """Read the order from standard input; the question for the meta-data is answered here.

    Raises SystemExit when the order is none that this agent can carry out.
    """
    options: dict[str, str] = {}
    for line in sys.stdin:
        name, found, text = line.strip().partition("=")
        if found and not name.startswith("#"):
            options[name.replace("-", "_")] = text
    action = options.get("action", "reboot")
    if action == "metadata":
        print(meta_data)
        sys.exit(0)
    node = options.get("port") or options.get("plug") or options.get("nodename") or ""
    if action not in actions:
        raise failure(f"unrecognised action: {action}")
    if not node and action not in _WITHOUT_NODE:
        raise failure("no node was named; set plug or port")
    return Order(action, node, options)


def failure(reason: str) -> SystemExit:
    """Say what went wrong; return what ends the program."""
    print(reason, file=sys.stderr)
    return SystemExit(1)
