"""Change a case of Pacemaker's own regression suite a little: what its developers thought of, in states that nobody wrote.

The suite is read in place. A case on which the two differ as it stands (2.1.5 is older than the suite) tells nothing;
the test leaves it out.
"""

import copy
import os
import re
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, TypeVar

from lxml import etree

from komainu.cib import document
from komainu.cib.element import Element

ROOT: Final = Path(__file__).resolve().parents[2]
SUITE: Final = Path(os.environ.get("KOMAINU_SCHEDULER_SUITE", ROOT.parent / "shared" / "scheduler-suite"))
LARGEST_BYTES: Final = 120_000
"""The few larger cases take as long as all the others."""

_Item = TypeVar("_Item")
_NEW_NAME = re.compile(r'name="fencing-(enabled|action|timeout)"')

OPTIONS: Final = (
    ("no-quorum-policy", "stop"),
    ("no-quorum-policy", "freeze"),
    ("no-quorum-policy", "demote"),
    ("stop-all-resources", "true"),
    ("maintenance-mode", "true"),
    ("symmetric-cluster", "false"),
    ("stonith-enabled", "false"),
    ("placement-strategy", "balanced"),
    ("concurrent-fencing", "true"),
    ("startup-fencing", "false"),
    ("stop-orphan-resources", "false"),
    ("start-failure-is-fatal", "false"),
    ("shutdown-lock", "true"),
    ("node-health-strategy", "only-green"),
    ("priority-fencing-delay", "10s"),
)

METAS: Final = (
    ("target-role", "Stopped"),
    ("is-managed", "false"),
    ("maintenance", "true"),
    ("resource-stickiness", "1000"),
    ("priority", "10"),
    ("migration-threshold", "1"),
)

# clone-node-max is not among them: in 2.1.5 it does not make a clone unique.
CLONE_METAS: Final = (
    ("interleave", "true"),
    ("interleave", "false"),
    ("clone-max", "1"),
    ("notify", "true"),
    ("ordered", "true"),
    ("globally-unique", "true"),
    ("clone-min", "2"),
    ("promoted-max", "2"),
    ("target-role", "Stopped"),
)


class Inapplicable(Exception):
    """The case has nothing of that kind."""


def cases() -> list[Path]:
    """List the cases that take no options of their own, by name; none where there is no suite."""
    table = SUITE / "cases.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()[1:] if table.exists() else []
    plain = (name for name, options, *_ in (line.split("\t") for line in lines) if not options)
    found = (SUITE / "xml" / f"{name}.xml" for name in sorted(plain))
    return [path for path in found if path.stat().st_size <= LARGEST_BYTES]


def original(path: Path) -> Element:
    """Read a case, in words that 2.1.5 knows."""
    return _element(_read(path))


def make(path: Path, random: Random) -> Element:
    """Read a case and change it in one to three ways."""
    root = _read(path)
    wanted = random.choice((1, 1, 2, 3))
    for change in random.sample(CHANGES, len(CHANGES)):
        if not wanted:
            break
        try:
            change(root, random)
        except Inapplicable:
            continue
        wanted -= 1
    return _element(root)


def _read(path: Path) -> etree._Element:
    text = _NEW_NAME.sub(r'name="stonith-\1"', path.read_text(encoding="utf-8"))
    root = etree.fromstring(text.encode())
    root.set("crm_feature_set", "3.0.13")  # of an older one 2.1.5 expects one fail count for all operations
    for state in root.iterfind("status/node_state"):
        # Newer versions say since when; 2.1.5 takes that for "no".
        for name, yes, no in (("crmd", "online", "offline"), ("in_ccm", "true", "false")):
            since = state.get(name, "")
            if since.isdigit():
                state.set(name, yes if int(since) else no)
    return root


def _element(root: etree._Element) -> Element:
    return document.parse(etree.tostring(root, encoding="unicode"))


def _one(random: Random, items: Iterable[_Item]) -> _Item:
    found = list(items)
    if not found:
        raise Inapplicable
    return random.choice(found)


def _set(owner: etree._Element, block: str, name: str, value: str) -> None:
    """Set a name and value of a resource or node, in its first block of that kind."""
    ids = {one.get("id") for one in owner.getroottree().iter()}
    fresh = next(one for one in (f"changed-{number}" for number in count()) if one not in ids)
    home = owner.find(block)
    if home is None:
        home = etree.Element(block, id=fresh)
        later = ("operations", "primitive", "group", "meta_attributes", "instance_attributes", "utilization")
        owner.insert(next((place for place, one in enumerate(owner) if one.tag in later), len(owner)), home)
    for pair in home.iterfind("nvpair"):
        if pair.get("name") == name:
            pair.set("value", value)
            return
    etree.SubElement(home, "nvpair", id=f"{fresh}-{name}", name=name, value=value)


def _here(root: etree._Element) -> list[etree._Element]:
    return [state for state in root.iterfind("status/node_state") if state.get("crmd") == "online"]


def _histories(root: etree._Element) -> list[etree._Element]:
    return [home for state in _here(root) for home in state.iter("lrm_resource")]


def _put_into_standby(root: etree._Element, random: Random) -> None:
    members = (node for node in root.iterfind("configuration/nodes/node") if node.get("type") != "remote")
    _set(_one(random, members), "instance_attributes", "standby", "on")


def _lose_a_node(root: etree._Element, random: Random) -> None:
    state = _one(random, _here(root))
    for name, value in (("in_ccm", "false"), ("crmd", "offline"), ("join", "down")):
        state.set(name, value)
    state.set("expected", _one(random, ("member", "down")))


def _set_an_option(root: etree._Element, random: Random) -> None:
    _set(
        _one(random, root.iterfind("configuration/crm_config")),
        "cluster_property_set",
        *_one(random, OPTIONS),
    )


def _set_a_meta(root: etree._Element, random: Random) -> None:
    _set(_one(random, root.iterfind(".//resources//primitive")), "meta_attributes", *_one(random, METAS))


def _set_a_clone_meta(root: etree._Element, random: Random) -> None:
    clones = (one for one in root.iterfind(".//resources//*") if one.tag in {"clone", "master"})
    _set(_one(random, clones), "meta_attributes", *_one(random, CLONE_METAS))


def _change_a_parameter(root: etree._Element, random: Random) -> None:
    _set(_one(random, root.iterfind(".//resources//primitive")), "instance_attributes", "new", "1")


def _remove_a_constraint(root: etree._Element, random: Random) -> None:
    for constraints in root.iterfind("configuration/constraints"):
        constraints.remove(_one(random, constraints))


def _change_a_score(root: etree._Element, random: Random) -> None:
    scored = (one for one in root.iterfind("configuration/constraints/*") if one.get("score"))
    _one(random, scored).set("score", _one(random, ("-INFINITY", "INFINITY", "100", "-100", "0")))


def _change_a_kind(root: etree._Element, random: Random) -> None:
    order = _one(random, root.iterfind("configuration/constraints/rsc_order"))
    if "score" in order.attrib:
        del order.attrib["score"]
    order.set("kind", _one(random, ("Optional", "Mandatory", "Serialize")))


def _turn_a_ticket(root: etree._Element, random: Random) -> None:
    ticket = _one(random, root.iterfind("status/tickets/ticket_state"))
    ticket.set("granted", "false" if ticket.get("granted") == "true" else "true")


def _lose_quorum(root: etree._Element, _: Random) -> None:
    if root.find(".//*[@provider='pacemaker'][@type='remote']") is not None:
        raise Inapplicable  # 2.1.5 has no fence-remote-without-quorum
    root.set("have-quorum", "0")


def _fail_a_monitor(root: etree._Element, random: Random) -> None:
    home, good = _one(
        random,
        [
            (home, entry)
            for home in _histories(root)
            for entry in home
            if entry.get("operation") == "monitor"
            and entry.get("interval") not in {None, "0"}
            and entry.get("rc-code") in {"0", "8"}
        ],
    )
    entry, name, code = copy.copy(good), f"{home.get('id')}_last_failure_0", _one(random, ("1", "7"))
    key = f"9:9:{good.get('rc-code')}:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    result = {"id": name, "rc-code": code, "op-status": "0", "call-id": "9999"}
    for attribute, value in {**result, "transition-key": key, "transition-magic": f"0:{code};{key}"}.items():
        entry.set(attribute, value)
    for before in home.findall(f"lrm_rsc_op[@id='{name}']"):
        home.remove(before)
    home.append(entry)


def _forget_a_history(root: etree._Element, random: Random) -> None:
    state = _one(random, _here(root))
    for histories in state.iter("lrm_resources"):
        histories.remove(_one(random, histories))


CHANGES: Final[tuple[Callable[[etree._Element, Random], None], ...]] = (
    _put_into_standby,
    _lose_a_node,
    _set_an_option,
    _set_a_meta,
    _set_a_clone_meta,
    _change_a_parameter,
    _remove_a_constraint,
    _change_a_score,
    _change_a_kind,
    _turn_a_ticket,
    _lose_quorum,
    _fail_a_monitor,
    _forget_a_history,
)
