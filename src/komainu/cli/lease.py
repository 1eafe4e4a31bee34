"""Prepare and show the file or disk that is the witness of a cluster. Decides only how it is written."""

import contextlib
import os
import socket
import time
from dataclasses import dataclass

import click

from komainu.cli.asking import as_json, with_format
from komainu.cli.examples import examples
from komainu.cli.terminal import folded
from komainu.model.duration import parse_ms, show_ms
from komainu.model.ids import NodeId
from komainu.model.report import Place, Refused, Report
from komainu.node.lease_file import LeaseFile, create
from komainu.node.settings import SETTINGS_FILE, DaemonSettings
from komainu.witness.slots import (
    FILE_BYTES,
    LEASE_MS,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    UUID_BYTES,
    Header,
    Page,
    read_page,
)

with_config = click.option(
    "--config", default=SETTINGS_FILE, show_default=True, help="The settings of a node."
)
with_name = click.option("--name", help="Which [[node]] this machine is. Default: its host name.")


def settings_of(config: str, name: str | None) -> DaemonSettings:
    """Read the settings of the node that this machine is. Raises Refused."""
    from komainu.node.settings import read_settings

    host = socket.gethostname()
    names = (name,) if name else (host, host.partition(".")[0])
    return read_settings(config, names, named=name is not None)


@click.group(epilog=examples("komainu witness lease create", "komainu witness lease show"))
def lease() -> None:
    """Prepare and show a file or disk that is the witness, on storage that all nodes reach."""


@lease.command(
    "create", epilog=examples("komainu witness lease create", "komainu witness lease create --lease 5s")
)
@click.argument("path", required=False)
@click.option(
    "--lease", "length", default=f"{LEASE_MS}ms", show_default=True, help="For how long a vote counts."
)
@click.option(
    "--overwrite", is_flag=True, help="Also where something is on it; leases of running nodes are lost."
)
@with_config
@with_name
def make(path: str | None, length: str, *, overwrite: bool, config: str, name: str | None) -> None:
    """Prepare the file or disk at PATH for this cluster; run it on one node, once.

    PATH is what the settings name, by default. All nodes keep the lease that is written here: half of it has
    to be longer than the storage ever takes to answer, since a node alone loses its quorum when it was not renewed.
    """
    lease_ms = parse_ms(length)
    if lease_ms is None or not LEASE_MS_MIN <= lease_ms <= LEASE_MS_MAX:
        message = f'"{length}" is no lease'
        hint = f"a time from {show_ms(LEASE_MS_MIN)} to {show_ms(LEASE_MS_MAX)}, such as 5s"
        raise Refused((Report("witness.lease", message, hint, Place("--lease")),))
    settings = settings_of(config, name)
    target = path or _configured(settings)
    header = Header(lease_ms, settings.ring.cluster, os.urandom(UUID_BYTES))
    try:
        create(target, header, may_overwrite=overwrite)
    except (OSError, ValueError) as error:
        hint = (
            "--overwrite, if nothing on it is needed"
            if "already" in str(error)
            else "a PATH on storage that all nodes reach"
        )
        raise _unusable(target, error, hint) from None
    text = f"{target} is prepared for the cluster {header.cluster}: {FILE_BYTES} bytes, lease {show_ms(lease_ms)}"
    click.echo(text, err=True)


@lease.command(
    epilog=examples("komainu witness lease show", "komainu witness lease show /shared/komainu.lease")
)
@click.argument("path", required=False)
@with_format
@with_config
@with_name
def show(path: str | None, *, form: str, config: str, name: str | None) -> None:
    """Show who writes to the file or disk, and which node is the clerk that gives the vote.

    Looks twice, one lease apart. PATH is what the settings name, by default.
    """
    target = path or _configured(settings_of(config, name))
    try:
        header, before = _look(target)
        time.sleep(header.lease_ms / 1000)
        header, after = _look(target)
    except (OSError, ValueError) as error:
        raise _unusable(target, error, _way_out(target, error)) from None
    nodes = tuple(_writer(page, before.get(node)) for node, page in sorted(after.items()))
    found = LeaseView(target, header.cluster, header.lease_ms, nodes)
    click.echo(as_json(found) if form == "json" else folded(_lines(found)))


@dataclass(frozen=True, slots=True)
class WriterView:
    """What a node has written."""

    node: NodeId
    writes: bool  # within the last lease
    asks_for: tuple[NodeId, ...]
    is_clerk: bool


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What is on a file or disk."""

    path: str
    cluster: str
    lease_ms: int
    nodes: tuple[WriterView, ...]


def _lines(found: LeaseView) -> list[str]:
    lines = [f"{found.path}: cluster {found.cluster}, lease {show_ms(found.lease_ms)}"]
    lines += [] if found.nodes else ["no node has written to it yet"]
    for each in found.nodes:
        asks = " ".join(str(member) for member in each.asks_for)
        words = f"asks for the part {asks}" if each.writes else f"silent; asked last for the part {asks}"
        lines.append(f"node {each.node}: {words}" + (", is the clerk" if each.is_clerk else ""))
    return lines


def _look(path: str) -> tuple[Header, dict[NodeId, Page]]:
    with contextlib.closing(LeaseFile(path, is_to_write=False)) as file:
        pages = (read_page(raw, file.header) for raw in file.read(None).values())
        return file.header, {page.node: page for page in pages if page is not None}


def _writer(page: Page, before: Page | None) -> WriterView:
    asks_for = () if page.question is None else page.question.members
    return WriterView(page.node, page != before, asks_for, is_clerk=page != before and page.claim != 0)


def _configured(settings: DaemonSettings) -> str:
    witness = settings.ring.quorum.witness
    if witness is None or not witness.path:
        hint = 'name a PATH, or add [cluster.quorum.witness] with path = "/shared/komainu.lease"'
        raise Refused((Report("witness.unused", "the settings name no file or disk as the witness", hint),))
    return witness.path


def _way_out(path: str, error: OSError | ValueError) -> str:
    """Say what helps where a file or disk cannot be read."""
    if isinstance(error, PermissionError):
        return "run it as root"
    if "O_DIRECT" in str(error):
        return "put it on another file system; ext4 and XFS can"
    return f"is the storage mounted here? If it is new: komainu witness lease create {path}"


def _unusable(path: str, error: OSError | ValueError, hint: str) -> Refused:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return Refused((Report("witness.lease", f"it cannot be used: {reason}", hint, Place(path)),))
