"""Read netplan's YAML: which interface it describes, which renderer carries it out, and where to edit it.

Decides how its files merge. Must not know what networkd or NetworkManager make of the result.
Source: netplan(5), "netplan-yaml": files of /usr/lib, /etc and /run merge by name, mappings by key.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from komainu.model.report import Place
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.ini import Entry
from komainu.network.doctor.profile import Interface, Manager, Profile, whole

Tree = Mapping[str, object]

_FOLDERS: Final = ("/usr/lib/netplan", "/etc/netplan", "/run/netplan")
_KINDS: Final = {"ethernets": "ethernet", "bonds": "bond", "bridges": "bridge", "vlans": "vlan"}
_RENDERERS: Final = {"networkd": Manager.NETWORKD, "NetworkManager": Manager.NETWORKMANAGER}
_CHARACTERS_MAX: Final = 65_536  # a hundred interfaces take a tenth of it
_BRACKETS_MAX: Final = 50
_DEPTH_MAX: Final = 12  # network, type, device and what is below: nobody needs more


@dataclass(frozen=True, slots=True)
class Netplan:
    """The merged description: a profile for each device, the files, and those that make no sense."""

    profiles: tuple[Profile, ...]
    files: tuple[File, ...]
    odd: tuple[tuple[Place, str], ...]

    def find(self, interface: Interface) -> Profile | None:
        """Return the profile for an interface."""
        return next((profile for profile in self.profiles if profile.fits(interface)), None)


def read(evidence: Evidence) -> Netplan:
    """Read and merge every file of netplan."""
    files: dict[str, File] = {}
    for folder in _FOLDERS:
        files |= {file.path.rpartition("/")[2]: file for file in evidence.matching(f"{folder}/*.yaml")}
    merged: Tree = {}
    odd: list[tuple[Place, str]] = []
    ordered = tuple(files[name] for name in sorted(files))
    for file in ordered:
        tree = _load(file, odd)
        merged = _merge(merged, tree, 0)
    return Netplan(tuple(_profiles(_below(merged, "network"), ordered)), ordered, tuple(odd))


def _is_deep(text: str) -> bool:
    """Tell whether brackets are nested so deeply that reading them would take seconds."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest > _BRACKETS_MAX


def _load(file: File, odd: list[tuple[Place, str]]) -> Tree:
    if file.problem:
        return {}
    if len(file.text) > _CHARACTERS_MAX or _is_deep(file.text):
        odd.append((Place(file.path), "too long, or nested too deeply"))
        return {}
    try:
        tree: object = yaml.safe_load(file.text)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        odd.append((Place(file.path, line), error.problem or "no YAML"))
        return {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        odd.append((Place(file.path), f"no YAML: {type(error).__name__}"))
        return {}
    if tree is not None and not isinstance(tree, dict):
        odd.append((Place(file.path), "no mapping of keys"))
    return tree if isinstance(tree, dict) else {}


def _merge(base: Tree, over: Tree, depth: int) -> Tree:
    """Merge mappings by key, other values by the later one; lists are joined, as netplan does."""
    result = dict(base)
    for key, value in over.items():
        mine = result.get(key)
        if isinstance(mine, dict) and isinstance(value, dict) and depth < _DEPTH_MAX:
            result[key] = _merge(mine, value, depth + 1)
        elif isinstance(mine, list) and isinstance(value, list):
            result[key] = [*mine, *value]
        else:
            result[key] = value
    return result


def _below(tree: Tree, key: str) -> Tree:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _profiles(network: Tree, files: tuple[File, ...]) -> Iterator[Profile]:
    for section, kind in _KINDS.items():
        group = _below(network, section)
        for name in group:
            device = _below(group, name)
            renderer = next(
                (tree["renderer"] for tree in (device, group, network) if "renderer" in tree), "networkd"
            )
            if name != "renderer":
                yield _profile(str(name), device, kind, (str(renderer), files))


def _profile(name: str, device: Tree, kind: str, origin: tuple[str, tuple[File, ...]]) -> Profile:
    renderer, files = origin
    match = _below(device, "match")
    place = place_of(files, name)
    lowers = device.get("interfaces")
    link = device.get("link")
    flags = {
        key: Entry(key, str(device[key]).lower(), place)
        for key in ("ignore-carrier", "optional", "critical")
        if key in device
    }
    return Profile(
        _RENDERERS.get(renderer, Manager.NETWORKD),
        place,
        name,
        interface=str(device.get("set-name") or match.get("name") or ("" if match else name)),
        mac=str(match.get("macaddress", "")),
        addresses=tuple(_addresses(device.get("addresses"))),
        has_dhcp=device.get("dhcp4") is True,
        mtu=whole(str(device.get("mtu", ""))),
        kind=kind,
        lowers=tuple(str(lower) for lower in lowers)
        if isinstance(lowers, list)
        else ((str(link),) if link else ()),
        settings=flags,
    )


def _addresses(value: object) -> Iterator[str]:
    """Give the addresses of a list whose entries are texts, or mappings with the address as their key."""
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            yield from (str(key) for key in entry)


def place_of(files: tuple[File, ...], name: str) -> Place:
    """Find the line that begins a device; the last file that has it counts."""
    for file in reversed(files):
        number = _line_of(file.text, name)
        if number is not None:
            return Place(file.path, number)
    return Place(files[-1].path if files else "/etc/netplan")


def _line_of(text: str, name: str) -> int | None:
    begins = re.compile(rf"""\s+["']?{re.escape(name)}["']?\s*:""")
    for number, line in enumerate(text.splitlines(), 1):
        if begins.match(line):
            return number
    return None


def with_key(file: File, name: str, key: str, value: str) -> str | None:
    """Return the file's text with a key of a device set; None where that cannot be done by lines.

    Comments and order stay. The result is read again, and given only if nothing else changed.
    """
    number = _line_of(file.text, name)
    lines = file.text.splitlines()
    if number is None or not lines[number - 1].rstrip().endswith(":"):
        return None
    below = next((line for line in lines[number:] if line.strip() and not line.strip().startswith("#")), "")
    indent = len(below) - len(below.lstrip())
    if indent <= len(lines[number - 1]) - len(lines[number - 1].lstrip()):
        return None
    own = _own_lines(lines[number:], indent)
    kept = [line for line in own if not re.match(rf" {{{indent}}}{re.escape(key)}\s*:", line)]
    new = [*lines[:number], f"{' ' * indent}{key}: {value}", *kept, *lines[number + len(own) :]]
    text = "\n".join(new) + "\n"
    return text if _is_same_but(file, text, (name, key)) else None


def _own_lines(lines: list[str], indent: int) -> list[str]:
    """Return the lines that belong to a device: those at least as deep as its first key."""
    for index, line in enumerate(lines):
        is_shallower = len(line) - len(line.lstrip()) < indent
        if line.strip() and is_shallower:
            return lines[:index]
    return lines


def _is_same_but(file: File, text: str, change: tuple[str, str]) -> bool:
    """Tell whether two texts mean the same but for one key of one device."""
    odd: list[tuple[Place, str]] = []
    old, new = _load(file, odd), _load(File(file.path, text), odd)
    return not odd and _without(old, change) == _without(new, change) and old != new


def _without(tree: Tree, change: tuple[str, str]) -> Tree:
    name, key = change
    network = _below(tree, "network")
    return {
        section: {
            device: {
                one: value for one, value in _below(_below(network, section), device).items() if one != key
            }
            if device == name
            else value
            for device, value in _below(network, section).items()
        }
        if isinstance(network[section], dict)
        else network[section]
        for section in network
    }
