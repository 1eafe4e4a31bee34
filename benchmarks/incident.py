"""Run the founding incident's matrix, komainu beside its peers, and write docs/incident.md from what was measured.

Usage: python benchmarks/incident.py [--jobs N] [--cells FILE] [--only TEXT] [--again] [--note TEXT] [--render]
       python benchmarks/incident.py --sample [--only TEXT]     (make incident-sample)

Every set-up runs as a command of its own: `komainu drill run incident …`. The cells are kept in a file of JSON
lines: a set-up that stands there already is not run again, so that a run which was stopped can be taken up. With --again the
chosen set-ups are measured anew, and the others keep their cells: `--only=-komainu --again` after a change of komainu.
With --sample one cell of each stack is measured, that night's, and shown; no page and no file of cells is written.
"""

import argparse
import itertools
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from komainu.lab.incident import Cabling, Cell, Setup
from komainu.lab.managers import Network
from komainu.lab.stacks import Stack

ROOT = Path(__file__).resolve().parent.parent
SETUP_TIMEOUT_S = 900
"""Nine faults of 20 s each, the set-up, and every one of them waited for in vain."""

SAMPLE_FAULT = "cable pulled"

MANAGERS = ((Network.NETWORKMANAGER, False), (Network.NETWORKMANAGER, True), (Network.NETWORKD, False),
            (Network.NETWORKD, True), (Network.STATIC, False))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4, help="set-ups at once; they mostly wait")
    parser.add_argument("--cells", type=Path, default=ROOT / "build/incident.jsonl")
    parser.add_argument("--only", default="", help="only set-ups whose name has this in it")
    parser.add_argument(
        "--note", default="", help="a sentence for the page: what else the machine did meanwhile"
    )
    parser.add_argument(
        "--again", action="store_true", help="measure the chosen set-ups anew, keep the others"
    )
    parser.add_argument(
        "--render", action="store_true", help="only write the page from the cells that are there"
    )
    parser.add_argument("--sample", action="store_true", help="one cell of each stack; writes nothing")
    options = parser.parse_args()
    if options.sample:
        sys.exit(sample(options.only))
    options.cells.parent.mkdir(parents=True, exist_ok=True)
    finished = options.cells.with_suffix(".done")
    if (options.again or options.render) and not options.cells.exists() and finished.exists():
        shutil.copy(finished, options.cells)
    if options.again:
        kept = [cell for cell in read(options.cells) if options.only not in setup_name(cell)]
        options.cells.write_bytes(b"".join(msgspec.json.encode(cell) + b"\n" for cell in kept))
    if not options.render:
        known = {setup_name(cell) for cell in read(options.cells)}
        wanted = [one for one in setups() if name_of(one) not in known and options.only in name_of(one)]
        with ThreadPoolExecutor(options.jobs) as pool:
            for number, cells in enumerate(pool.map(run, wanted), start=1):
                with options.cells.open("a", encoding="utf-8") as out:
                    out.writelines(msgspec.json.encode(cell).decode() + "\n" for cell in cells)
                print(f"{number}/{len(wanted)} {name_of(wanted[number - 1])}: {len(cells)} cells", flush=True)
    from incident_page import page

    (ROOT / "docs/incident.md").write_text(page(read(options.cells), options.note), encoding="utf-8")
    if not options.render and {setup_name(cell) for cell in read(options.cells)} >= set(
        map(name_of, setups())
    ):
        options.cells.replace(finished)  # it is complete: the next run measures anew


def sample(only: str) -> int:
    """Measure that night's cell with each stack and show the page's rows; 1 when a stack gave none."""
    night = [
        one
        for one in setups()
        if (one.network, one.server_config, one.cabling) == (Network.NETWORKMANAGER, False, Cabling.DIRECT)
        and only in name_of(one)
    ]
    with ThreadPoolExecutor(2) as pool:
        cells = [cell for found in pool.map(lambda one: run(one, SAMPLE_FAULT), night) for cell in found]
    from incident_page import section

    print("\n".join(section(Network.NETWORKMANAGER.value, cells, server=False)))
    return int(not night or len(cells) < len(night))


def setups() -> list[Setup]:
    """Name the set-ups of the matrix, those of that night first."""
    every = [
        Setup(stack, network, server, cabling)
        for (network, server), cabling, stack in itertools.product(MANAGERS, Cabling, Stack)
        if stack is not Stack.KOMAINU_ON_COROSYNC  # its own table is docs/benchmark-ring.md
    ]
    return [one for one in every if not one.problems() and not is_told_already(one)]


def is_told_already(setup: Setup) -> bool:
    """Through a switch, only the victim sees the loss: what that changes is shown with NetworkManager."""
    return setup.cabling is Cabling.SWITCH and setup.network is not Network.NETWORKMANAGER


def name_of(setup: Setup) -> str:
    server = "server" if setup.server_config else "default"
    return f"{setup.network.value}-{server}-{setup.cabling.value}-{setup.stack.value}"


def setup_name(cell: Cell) -> str:
    network, cabling = Network(cell.network), Cabling(cell.cabling)
    return name_of(Setup(Stack(cell.stack), network, cell.server_config, cabling))


def read(path: Path) -> list[Cell]:
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Cell) for line in path.read_bytes().splitlines()]


def run(setup: Setup, fault: str = "") -> list[Cell]:
    """Run one set-up, or only its faults with this in their name; what it said on failure is shown, and it has no cells."""
    number = setups().index(setup)
    command = [sys.executable, "-m", "komainu.cli.main", "drill", "run", "incident", "--format", "json"]
    command += ["--lab", f"inc-bench-{number}", "--stack", setup.stack.value]
    command += ["--network", setup.network.value, "--cabling", setup.cabling.value]
    command += ["--server-config", "yes" if setup.server_config else "no"]
    command += ["--fault", fault] if fault else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SETUP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"{name_of(setup)} did not end within {SETUP_TIMEOUT_S} s", flush=True)
        return []
    if not done.stdout.startswith("["):
        print(f"{name_of(setup)}: {done.stderr}", flush=True)
        return []
    cells = msgspec.json.decode(done.stdout, type=list[Cell])
    return [msgspec.structs.replace(cell, measured=time.strftime("%Y-%m-%d %H:%M")) for cell in cells]


if __name__ == "__main__":
    main()
