"""Write nodes and links into komainu.toml as they were agreed on, and leave everything else in it as it stands.

Decides only the text: [[node]] tables of nodes that are gone are cut out, new ones are added after the last, `links` is
replaced where it is another, and `layout` counts the changes. Comments stay, but for those inside of a replaced value.
What was written is read back before it takes the place of the old file (S7).
"""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from komainu.model.link import LinkEnd
from komainu.model.report import Level, Note, Refused
from komainu.node.settings import read_settings
from komainu.ring.settings import NodeSettings, RingSettings

_HEADER: Final = re.compile(r"\s*\[")
_NODE: Final = re.compile(r"^\s*\[\[\s*node\s*\]\]", re.MULTILINE)
_CLUSTER: Final = re.compile(r"^\s*\[\s*cluster\s*\]", re.MULTILINE)


def write_layout(file: str, settings: RingSettings) -> Note:
    """Bring the file up to date, atomically; say what became of it, and what to write by hand where it cannot be."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
        changed = with_layout_text(text, settings)
        if changed != text:
            _replace(path, changed, settings)
    except (OSError, ValueError, Refused) as error:
        tables = "\n\n".join(node_table(node) for node in settings.nodes)
        message = (
            f"{file} could not be changed ({error}). Write this into it before the next start, with "
            f"layout = {settings.layout} in [cluster]:\n{tables}"
        )
        return Note(Level.ERROR, "layout.unwritable", message)
    return Note(Level.NOTICE, "layout.written", f"{file} has nodes and links of version {settings.layout}")


def with_layout_text(text: str, settings: RingSettings) -> str:
    """Return the text of a komainu.toml with these nodes and links. Raises ValueError when it is no TOML."""
    blocks = list(_blocks(text))
    known = [_name_of(block) for block in blocks]
    last = max((place for place, name in enumerate(known) if name is not None), default=len(blocks) - 1)
    out = []
    for place, block in enumerate(blocks):
        out.append(_changed(block, settings))
        if place == last:
            fresh = [node_table(node) + "\n" for node in settings.nodes if node.name not in known]
            if fresh:
                before = "" if "".join(out).endswith("\n\n") else "\n"
                out.append(before + "\n".join(fresh) + ("\n" if place + 1 < len(blocks) else ""))
    return "".join(out)


def _changed(block: str, settings: RingSettings) -> str:
    """Return one table as it has to be; nothing for a node that is gone."""
    if _CLUSTER.search(block):
        priorities = settings.link_priorities
        changed = _with_key(block, "layout", str(settings.layout))
        return _with_key(changed, "link_priority", str(list(priorities))) if priorities else changed
    name = _name_of(block)
    if name is None:
        return block
    node = next((each for each in settings.nodes if each.name == name), None)
    return "" if node is None else _with_links(block, node)


def _name_of(block: str) -> str | None:
    """Return the name of the node whose table this is; None for another table."""
    return str(tomllib.loads(block)["node"][0].get("name")) if _NODE.search(block) else None


def node_table(node: NodeSettings) -> str:
    """Write a node as its table."""
    lines = ["[[node]]", f'name = "{node.name}"', f"id = {node.node}", f"links = {_links(node)}"]
    return "\n".join(lines if node.votes == 1 else [*lines, f"votes = {node.votes}"])


def _replace(path: Path, text: str, settings: RingSettings) -> None:
    """Put the text in the place of the file, once it was read back with the nodes and links that it should have."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, path.stat().st_mode & 0o777)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    name = str(settings.of(settings.me).name)
    if read_settings(str(beside), (name,), named=True).ring.nodes != settings.nodes:
        beside.unlink()
        raise ValueError("what was written reads otherwise")
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _blocks(text: str) -> Iterator[str]:
    """Cut a text into its tables; comments right above a header belong to it."""
    block: list[str] = []
    depth = 0
    for line in text.splitlines(keepends=True):
        if depth == 0 and _HEADER.match(line):
            above: list[str] = []
            while block and block[-1].lstrip().startswith("#"):
                above.insert(0, block.pop())
            yield "".join(block)
            block = [*above, line]
            continue
        depth += _depth(line)
        block.append(line)
    yield "".join(block)


def _depth(line: str) -> int:
    """Return by how much a line opens more brackets than it closes, outside of texts and comments."""
    bare = re.sub(r'"(\\.|[^"\\])*"|\'[^\']*\'', "", line).partition("#")[0]
    return bare.count("[") - bare.count("]")


def _with_key(block: str, key: str, value: str) -> str:
    """Set a key of a table; a new one stands below the header."""
    lines = block.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if re.match(rf"\s*{key}\s*=", line):
            end, depth = number + 1, _depth(line)
            while depth > 0:
                depth += _depth(lines[end])
                end += 1
            lines[number:end] = [f"{key} = {value}\n"]
            return "".join(lines)
    header = next(number for number, line in enumerate(lines) if _HEADER.match(line))
    lines[header] = lines[header].rstrip("\n") + f"\n{key} = {value}\n"
    return "".join(lines)


def _with_links(block: str, node: NodeSettings) -> str:
    values = tomllib.loads(block)["node"][0].get("links")
    return (
        block
        if values == tomllib.loads(f"x = {_links(node)}")["x"]
        else _with_key(block, "links", _links(node))
    )


def _links(node: NodeSettings) -> str:
    return f"[{', '.join(_end(end) for end in node.ends)}]"


def _end(end: LinkEnd) -> str:
    """Write one end: an address, or a table where it has more than that."""
    options = [
        f'interface = "{end.interface}"' if end.interface else "",
        f"prefix = {end.prefix}" if end.prefix else "",
        "" if end.keep_talking else 'keep_talking = "no"',
        'keep_address = "yes"' if end.keep_address else "",
        'kind = "service"' if end.is_service else "",
    ]
    address = f'"{end.address}"'
    more = [option for option in options if option]
    return f"{{ {', '.join((f'address = {address}', *more))} }}" if more else address
