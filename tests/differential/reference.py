"""Ask the real `crm_simulate` and the scheduler the same question, and say where they answer differently.

What is compared: the lines of the transition summary, the status after it, every score, and the graph: its actions,
and which waits for which. What is not: the order of lines, blanks, and the names that one version gives to what the
other calls differently.
"""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import older

from komainu.cib import document
from komainu.cib.element import Element
from komainu.scheduler import graph_xml, recipe, simulation, status_text

TOOL = shutil.which("crm_simulate", path="/usr/sbin:/usr/bin:/sbin:/bin")
TIMEOUT_S = 60
PARTS = ("summary", "status", "actions", "edges", "scores")
CANNOT_FINISH = "an invalid transition was produced"
UNFINISHED = "what cannot be finished"
_STOPPED = "Stopped: [ "
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BOLD = re.compile(r"style ?= ?bold")
_INSTANCE = re.compile(r"\b(r\w*?):\d+(?=_)")
_CONTAINER = re.compile(r"-(?:docker|podman)-\d+$")
_STOPPED_SOMEWHERE = re.compile(r": Stopped \w+$")
_PREFIX = re.compile(r"^pcmk__\w+: ")


@dataclass(frozen=True)
class Answer:
    """What one of the two says about a CIB."""

    summary: Counter[str]
    status: Counter[str]
    scores: Counter[str]
    actions: Counter[str]
    edges: Counter[str]


@dataclass(frozen=True)
class Disagreement:
    """The lines that only one of the two wrote."""

    part: str
    only_reference: tuple[str, ...]
    only_ours: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.part}:"]
        lines += [f"  reference: {line}" for line in self.only_reference]
        lines += [f"  ours:      {line}" for line in self.only_ours]
        return "\n".join(lines)


def _squeeze(line: str) -> str:
    words = " ".join(line.split()).lstrip("* ")
    words = words.replace("'termination was requested'", "'fencing was requested'")
    # 2.1.5 says of a resource in maintenance what it says of one that is not managed.
    words = words.replace("maintenance)", "unmanaged)").replace("(maintenance, ", "(unmanaged, ")
    words = words.replace("(unique) (unmanaged)", "(unique, unmanaged)")
    # … and shows what a probe said, or that instances are disabled, at other occasions than later versions.
    words = re.sub(r" \((?:not installed|disabled)\)", "", words, flags=re.IGNORECASE)
    words = words.replace("(disabled, ", "(").replace(", disabled)", ")")
    words = _STOPPED_SOMEWHERE.sub(": Stopped", words)  # 2.1.5 remembers what was pending before the stop
    words = re.sub(
        r"\b(r\w*):\d+", r"\1", words
    )  # which of the instances it is depends on the order of trying
    return re.sub(r"\[ (.*?) \]", lambda found: "[ " + " ".join(sorted(found[1].split())) + " ]", words)


def _sections(text: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    here = ""
    for line in text.splitlines():
        if line.rstrip().endswith(":") and not line.startswith(" "):
            here = line.strip().rstrip(":").lower()
            found[here] = Counter()
        elif line.strip() and not line.rstrip().endswith((" Node List:", " Full List of Resources:")):
            found.setdefault(here, Counter())[_squeeze(line)] += 1
    return {name: _merge_stopped(lines) for name, lines in found.items()}


def _merge_stopped(lines: Counter[str]) -> Counter[str]:
    """Make one line of all that name the nodes where instances are stopped: 2.1.5 sorts them by other causes."""
    stopped = (line for line in lines.elements() if line.startswith(_STOPPED))
    names = sorted(name for line in stopped for name in line.split()[2:-1])
    rest = Counter({line: count for line, count in lines.items() if not line.startswith(_STOPPED)})
    if names:
        rest[f"{_STOPPED}{' '.join(names)} ]"] += 1
    return rest


def _scores(lines: list[str]) -> Counter[str]:
    # 2.1.5 tries other assignments of instances before the last, and writes down each; and it also writes down
    # that an instance that runs nowhere is not promoted there.
    found = (_PREFIX.sub("", line) for line in lines if " score on " in line and " on none:" not in line)
    named = ((line.split(" ", 1)[0], line) for line in found)
    return Counter(
        _squeeze(line) for name, line in named if ":" not in name and _CONTAINER.search(name) is None
    )


def _graph(dot: str) -> tuple[Counter[str], Counter[str]]:
    """Read what is really done, and what waits for what, from the picture of a graph."""
    actions: set[str] = set()
    edges: set[str] = set()
    for line in dot.splitlines():
        names = [_INSTANCE.sub(r"\1", name) for name in _QUOTED.findall(line.split("[")[0])]
        if _BOLD.search(line) is None:
            continue
        if len(names) == 1:
            actions.add(names[0])
        else:
            edges.add(" -> ".join(names))
    return Counter(actions), Counter(edges)


def _answer(text: str, scores: list[str], dot: str) -> Answer:
    parts = _sections(text)
    # 2.1.5 takes a cancelled monitor for a sign of life when it reads its own simulated results.
    if any("cancel=" in line for line in parts.get("executing cluster transition", ())):
        parts["revised cluster status"] = Counter(("a monitor was cancelled",))
    return Answer(
        parts.get("transition summary", Counter()),
        parts.get("revised cluster status", Counter()),
        _scores(scores),
        *_graph(dot),
    )


class ReferenceBrokeError(Exception):
    """The tool ended by a signal: an assertion of its own, on a CIB that is planned for here."""


class ReferenceRefusesError(Exception):
    """The CIB is not valid by the schemas of the reference's version."""


def _run(path: Path, *options: str) -> tuple[str, bool]:
    """Run the tool; return its text, and whether the transition can be carried out whole."""
    assert TOOL is not None, "the caller has looked whether it is installed"
    command = [TOOL, "-x", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode < 0:
        raise ReferenceBrokeError(done.stderr[-2000:])
    if done.returncode not in {0, 1}:  # 1: a transition that cannot be carried out whole
        raise ReferenceRefusesError(done.stderr[-2000:])
    return done.stdout, "invalid transition" not in done.stderr


def ask_reference(path: Path, parts: tuple[str, ...] = PARTS) -> Answer:
    """Ask the real tool, once for texts, once for scores."""
    dot = path.with_suffix(".dot")
    text, is_whole = _run(path, "-S", "-D", str(dot)) if set(parts) - {"scores"} else ("", True)
    scores = _run(path, "-RsQ")[0].splitlines() if "scores" in parts else []
    found = _answer(text, scores, dot.read_text(encoding="utf-8") if set(parts) - {"scores"} else "")
    return found if is_whole else replace(found, summary=Counter((CANNOT_FINISH,)))


def ask_ours(path: Path) -> Answer:
    """Ask the scheduler."""
    cib = named(document.parse(path.read_text(encoding="utf-8"), str(path)))
    moment = simulation.moment_of(cib, None, 0)
    assert moment is not None
    planned = simulation.simulate(cib, moment)
    result, lines = planned.carry_out()
    status = [
        "Revised Cluster Status:",
        *status_text.write(recipe.read(result, moment.now_s, is_simulated=True), shows_pending=False),
    ]
    text = [
        *planned.change_lines(),
        *(line for line in lines if "cancel=" in line or line.endswith("Transition:")),
    ]
    dot = graph_xml.write_dot(planned.job, planned.graph)
    return _answer("\n".join([*text, *status]), planned.job.score_lines, dot)


def named(element: Element, node: str | None = None) -> Element:
    """Return the CIB with `on_node`, the name given, in all of its history; without a name, of the node it is of.

    2.1.5 knows whose history it reads, and does not write `on_node`: it is given none, lest a mixture sort otherwise.
    """
    if element.tag == "lrm_rsc_op":
        return element.with_attribute("on_node", node or None)
    if element.tag == "node_state" and node is None:
        node = element.get("uname")
    return element.with_children(tuple(named(child, node) for child in element.children))


def anonymous(element: Element) -> Element:
    """Return the CIB without `on_node`."""
    return named(element, "")


def parts_of(cib: Element) -> tuple[str, ...]:
    """Return what can be compared: not scores where collectives are colocated, which 2.1.5 adds up otherwise."""
    collectives = {e.id for e in cib.walk() if e.tag in {"group", "clone", "bundle"}}
    for constraint in (e for e in cib.walk() if e.tag == "rsc_colocation"):
        named = {constraint.get("rsc"), constraint.get("with-rsc")}
        if named & collectives or constraint.first("resource_set") is not None:
            return tuple(part for part in PARTS if part != "scores")
    return PARTS


class Question:
    """One CIB that both are asked about: the reference once, the scheduler as often as it is wanted otherwise."""

    def __init__(self, cib: Element, folder: Path, parts: tuple[str, ...] = ()) -> None:
        self.cib = cib
        self._parts = parts or parts_of(cib)
        self._path = folder / "cib.xml"
        self._path.write_text(document.show(anonymous(cib)), encoding="utf-8")
        self._theirs = ask_reference(self._path, self._parts)

    def disagreements(self, ways: Sequence[str] = ()) -> list[Disagreement]:
        """Say where they disagree, if here the ways of older.py that are named are taken."""
        theirs = self._theirs
        with older.ways(ways):
            ours = ask_ours(self._path)
        parts = self._parts
        if theirs.summary.get(CANNOT_FINISH):
            # 2.1.5 announces what it can never do (a circle of orderings); here that is blocked. The rest is done alike.
            parts = tuple(part for part in parts if part in {"status", "scores"})
        found = []
        for part in parts:
            left, right = getattr(theirs, part), getattr(ours, part)
            if left != right:
                only = tuple(sorted((left - right).elements())), tuple(sorted((right - left).elements()))
                found.append(Disagreement(part, *only))
        if found and theirs.summary.get(CANNOT_FINISH):
            blocked = (line for line in ours.summary.elements() if line.endswith("(blocked)"))
            found.append(Disagreement(UNFINISHED, (CANNOT_FINISH,), tuple(sorted(blocked))))
        return found


def compare(cib: Element, folder: Path, parts: tuple[str, ...] = ()) -> list[Disagreement]:
    """Ask both about a CIB; return where they disagree."""
    return Question(cib, folder, parts).disagreements()


def version() -> str:
    """Name the reference."""
    assert TOOL is not None, "the caller has looked whether it is installed"
    said = subprocess.run([TOOL, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return said.stdout.splitlines()[0]
