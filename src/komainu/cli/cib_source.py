"""Get a CIB to look at: from a file, standard input, the local daemon, or a live Pacemaker cluster.

Decides how a document that cannot be used is answered. Changes nothing, wherever it reads from.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from komainu.cib import document
from komainu.cib.element import Element
from komainu.cib.schema import validate
from komainu.cli.asking import ask
from komainu.client.client import Client
from komainu.model.report import Place, Refused, Report, Severity
from komainu.model.request import AskConfiguration, Configuration

SAVED_BYTES_MAX: Final = 256 * 1024 * 1024
"""Largest CIB that is looked at: with its status, that of 5,000 resources on 32 nodes takes about 100 MB."""

CIBADMIN_TIMEOUT_S: Final = 60
"""How long a live Pacemaker is waited for: its own tools give up after 30 s."""


def read(source: str, *, is_checked: bool) -> Element:
    """Read a CIB from a file or (`-`) standard input.

    With `is_checked` as a person's own: checked, completed by the status of a cluster that has just come up.
    Raises Refused.
    """
    name = "<stdin>" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        report = Report("simulate.unreadable", f"the file cannot be read: {reason}", place=Place(name))
        raise Refused((report,)) from None
    cib = document.parse_cib(text, name, bytes_max=SAVED_BYTES_MAX)
    if cib.tag == "configuration":
        cib = Element("cib", {"validate-with": "pacemaker-3.9", "have-quorum": "1"}, (cib,))
    if not is_checked:
        return cib
    reports = validate(cib, name)
    errors = tuple(report for report in reports if report.severity is Severity.ERROR)
    if errors:
        raise Refused(errors)
    for report in reports:
        click.echo(str(report), err=True)
    return _with_status(cib)


def live(client: Client) -> Element:
    """Return the CIB of the cluster that runs on this machine: komainu's own, else Pacemaker's. Raises Refused."""
    try:
        answer = ask(client, AskConfiguration(status=True), Configuration)
    except Refused as refused:
        if refused.reports[0].code != "client.no-daemon" or shutil.which("cibadmin") is None:
            raise
        return _of_pacemaker()
    return document.parse_cib(answer.xml, "the daemon's CIB")


def _of_pacemaker() -> Element:
    try:
        done = subprocess.run(
            ["cibadmin", "--query"], capture_output=True, text=True, timeout=CIBADMIN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"cibadmin did not answer within {CIBADMIN_TIMEOUT_S} s"
        raise Refused((Report("simulate.live", message, "see whether Pacemaker runs: crm_mon -1"),)) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        hint = "no cluster runs here? Name a file instead: -x cib.xml"
        message = f"neither a komainu daemon nor Pacemaker answers; cibadmin says: {said}"
        raise Refused((Report("simulate.live", message, hint),))
    return document.parse_cib(done.stdout, "cibadmin --query", bytes_max=SAVED_BYTES_MAX)


def _with_status(cib: Element) -> Element:
    """Give a CIB without status that of a cluster that has just come up."""
    status = cib.first("status")
    if status is not None and status.children:
        return cib
    up = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
    nodes = cib.at("configuration", "nodes")
    states = tuple(
        Element("node_state", {"id": node.id, "uname": node.get("uname") or node.id, **up})
        for node in (() if nodes is None else nodes.all("node"))
    )
    if not states:
        click.echo("warning: the configuration names no nodes, so nothing can run", err=True)
    click.echo(
        "note: no status in the file: all nodes are taken as online, with nothing known to run", err=True
    )
    quorate = cib.with_attribute("have-quorum", cib.get("have-quorum") or "1")
    return quorate.without(lambda child: child.tag == "status").with_child(Element("status", {}, states))
