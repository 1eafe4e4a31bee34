"""Speak the OCF resource agent API: parameters, meta-data, exit codes and reasons, one action a run.

Knows nothing of what an agent does. Imports as little as can be, since this runs at every monitor.
Source: OCF resource agent API 1.1.
"""

import os
import sys
from collections.abc import Callable

OK, ERROR, BAD_ARGUMENTS, UNIMPLEMENTED, NO_PRIVILEGE, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING = range(8)

RUN_FOLDER = "/run/komainu/agents"
"""State of agents between two runs; gone after a boot, as what it speaks of is."""


class Failure(Exception):
    """The action failed: the exit code, and the reason with its remedy in one sentence."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Parameter:
    """One parameter of an agent, as the meta-data describes it."""

    def __init__(
        self,
        name: str,
        kind: str,
        default: str | None,
        short: str,
        *,
        required: bool = False,
        unique: bool = False,
        reloadable: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind  # string, integer, boolean
        self.default = default
        self.short = short
        self.required = required
        self.unique = unique
        self.reloadable = reloadable  # by the action reload-agent, which the agent must then have


class Agent:
    """An agent: its description, its parameters, and what it does for each action."""

    def __init__(self, name: str, short: str, long: str, parameters: list[Parameter]) -> None:
        self.name = name
        self.short = short
        self.long = long
        self.parameters = parameters
        self.actions: dict[str, Callable[[], int]] = {"meta-data": self._print_meta_data}
        self.advice: list[tuple[str, str, str]] = [("meta-data", "5s", "")]

    def add(self, action: str, timeout: str, act: Callable[[], int], *, interval: str = "") -> None:
        """Add an action with the time-out, and interval, that its meta-data advises."""
        self.actions[action] = act
        self.advice.append((action, timeout, interval))

    def value(self, name: str) -> str:
        """Return a parameter's text, or its default; "" where there is neither."""
        (parameter,) = [parameter for parameter in self.parameters if parameter.name == name]
        return os.environ.get(f"OCF_RESKEY_{name}") or parameter.default or ""

    def number(self, name: str) -> int:
        """Return a parameter's whole number. Raises Failure when it is none."""
        text = self.value(name)
        if not text.isdigit():
            raise Failure(NOT_CONFIGURED, f"{name}={text} is not a whole number")
        return int(text)

    def run(self) -> int:
        """Do the action of the command line; return the exit code. The reason of a failure is printed."""
        action = sys.argv[1] if len(sys.argv) == 2 else ""
        act = self.actions.get(action)
        if act is None:
            print(f"usage: {self.name} {{{'|'.join(self.actions)}}}", file=sys.stderr)
            return UNIMPLEMENTED
        try:
            if action not in {"meta-data", "stop"}:
                self._check_required()
            return act()
        except Failure as failure:
            return say(failure.code, failure.reason)
        except PermissionError as failure:
            return say(NO_PRIVILEGE, f"{failure}; run it as root")
        except OSError as failure:
            return say(ERROR, str(failure))

    def _check_required(self) -> None:
        for parameter in self.parameters:
            if parameter.required and not self.value(parameter.name):
                raise Failure(NOT_CONFIGURED, f"the parameter {parameter.name} is not set: {parameter.short}")

    def _print_meta_data(self) -> int:
        lines = [
            '<?xml version="1.0"?>',
            f'<resource-agent name="{self.name}" version="1.0">',
            "<version>1.1</version>",
            f'<longdesc lang="en">{_xml(self.long)}</longdesc>',
            f'<shortdesc lang="en">{_xml(self.short)}</shortdesc>',
            "<parameters>",
        ]
        for parameter in self.parameters:
            default = "" if parameter.default is None else f' default="{_xml(parameter.default)}"'
            flags = f'unique="{parameter.unique:d}" required="{parameter.required:d}" reloadable="{parameter.reloadable:d}"'
            lines += [
                f'<parameter name="{parameter.name}" {flags}>',
                f'<longdesc lang="en">{_xml(parameter.short)}</longdesc>',
                f'<shortdesc lang="en">{_xml(parameter.short)}</shortdesc>',
                f'<content type="{parameter.kind}"{default}/>',
                "</parameter>",
            ]
        lines += ["</parameters>", "<actions>"]
        for action, timeout, interval in self.advice:
            often = f' interval="{interval}"' if interval else ""
            lines.append(f'<action name="{action}" timeout="{timeout}"{often}/>')
        print("\n".join([*lines, "</actions>", "</resource-agent>"]))
        return OK


def say(code: int, reason: str) -> int:
    """Print the reason of a failure as the cluster reads it; return the exit code."""
    prefix = os.environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")
    print(prefix + reason.replace("\n", " "), file=sys.stderr)
    return code


def is_probe() -> bool:
    """Whether this monitor only asks what is there, before the cluster has done anything."""
    name = "OCF_RESKEY_CRM_meta_interval"
    return os.environ.get(name, "0") == "0"


def state_file(agent: str, kind: str) -> str:
    """Return where this resource keeps its state of this kind; the folder is made at need."""
    instance = os.environ.get("OCF_RESOURCE_INSTANCE", "default").replace("/", "_")
    os.makedirs(RUN_FOLDER, mode=0o755, exist_ok=True)  # noqa: PTH103 - pathlib costs milliseconds at each run
    return f"{RUN_FOLDER}/{agent}-{instance}.{kind}"


def _xml(text: str) -> str:
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, name)
    return text
