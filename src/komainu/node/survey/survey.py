"""Look at a machine, or at a tree of its files, and have the doctor judge what was found.

Decides nothing but whether anything runs there: nothing does below any folder but `/`.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from komainu.model.report import Place, Refused, Report
from komainu.network.doctor.evidence import Evidence, Output
from komainu.node.survey.files import read_files
from komainu.node.survey.live import is_clock_synchronised, outputs, processes

if TYPE_CHECKING:
    from komainu.network.doctor.checkup import Checkup
    from komainu.network.doctor.peers import Summary

__all__ = ["Checkup", "Summary", "examine", "look", "read_report"]

_RULES = "komainu.network.doctor.checkup"


def look(root: str = "/") -> Evidence:
    """Collect the evidence of a machine."""
    files = read_files(root)
    if root != "/":
        return Evidence(files)
    running = processes()
    return Evidence(files, outputs(running), running, is_clock_synchronised(), time.time())


def examine(root: str = "/", cib: str = "") -> "Checkup":
    """Look at a machine and judge it. `cib` is the configuration that a daemon told, if one did."""
    with ThreadPoolExecutor(1) as beside:  # a fifth of a second of imports, while the commands answer
        beside.submit(import_module, _RULES)
        evidence = look(root)
    from komainu.network.doctor.checkup import check_up

    if cib:
        evidence = replace(evidence, outputs={**evidence.outputs, "cib": Output(cib)})
    return check_up(evidence)


def read_report(file: str) -> "Summary":
    """Read what `komainu doctor --format json` wrote on another node. Raises Refused when it did not."""
    from komainu.network.doctor.peers import Summary

    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=Summary)
    except (OSError, msgspec.MsgspecError) as error:
        hint = "write it on the other node: komainu doctor --format json > NODE.json"
        raise Refused(
            (Report("doctor.peer", f"this is no report of the doctor: {error}", hint, Place(file)),)
        ) from None
