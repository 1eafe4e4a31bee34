"""Read a drill file strictly: what is done to which lab, step by step, and what is expected of the cluster.

Everything is checked before anything starts: unknown keys, verbs, nodes, cables, durations. Every mistake is
a `Report` with the file, the line of its step, the key, and what would be right; all are shown at once. Knows
no lab that is up. The keys are explained in docs/guides/drills.md.
"""

import difflib
import re
import signal
import tomllib
from importlib import resources
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

import msgspec
from lxml import etree

from komainu.lab import action
from komainu.lab.layout import SERVICE_ADDRESS, Layout
from komainu.lab.stacks import Stack
from komainu.model import duration
from komainu.model.link import LinkState
from komainu.model.report import Place, Refused, Report

ANY_LINK_UP: Final = "none"
SAME: Final = "same"
OTHER: Final = "other"
LINK_WORDS: Final = (ANY_LINK_UP, *(state.value for state in LinkState if state is not LinkState.UP))
PLACEHOLDERS: Final = (action.ACTIVE, action.PASSIVE)

_Value = TypeVar("_Value")


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is expected of a step; None is not looked at. Settling always is."""

    reboots: int | None = None
    reboots_max: int | None = None
    machines_max: int | None = None  # that booted: more reboots than machines are those of the same ones
    daemon_exits: int | None = None
    membership_changes: int | None = None
    gap_max_ms: int | None = None
    link_down: str | None = None  # a link's state as status has it, or "none": every link is up
    service_on: str | None = None  # same, other, or a node
    settled_within: str | None = None
    hold: str | None = None  # how long it must then stay so
    two_copies: bool | None = None  # the service's address stands on two machines for a while
    fenced_first: bool | None = None  # the active node was fenced before another one answered


_Waited = TypeVar("_Waited", Expect, action.WaitUntil)


class ClusterPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of the cluster: `cib` as XML, or `cib_file`, beside the drill file."""

    cib: str | None = None
    cib_file: str | None = None
    service: str = "web"  # the resource whose place is watched
    probe: str = f"http://{SERVICE_ADDRESS}/"
    engine: Literal["builtin", "corosync"] = "builtin"  # of komainu's ring, where the command names none


class Step(msgspec.Struct, frozen=True):
    """One step: what is done, then what is expected."""

    name: str
    actions: tuple[action.DrillAction, ...]
    expect: Expect


class Drill(msgspec.Struct, frozen=True):
    """A drill that was checked."""

    title: str
    layout: Layout
    cluster: ClusterPart
    cib: str
    steps: tuple[Step, ...]


def built_in() -> dict[str, Path]:
    """Name the drills that ship, each with its file."""
    directory = Path(str(resources.files("komainu"))) / "drills"
    return {path.stem: path for path in sorted(directory.glob("*.toml"))}


def find(name: str) -> Path:
    """Find a drill by its name or its file. Raises Refused."""
    shipped = built_in()
    path = shipped.get(name, Path(name))
    if not path.is_file():
        close = difflib.get_close_matches(name, shipped, n=1) or sorted(shipped)
        hint = f"drills that ship: {', '.join(close)}; or give the path of a .toml file"
        raise Refused((Report("drill.not-found", f"there is no drill `{name}`", hint),))
    return path


def load(path: Path) -> Drill:
    """Read a drill file. Raises Refused with every mistake in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            (Report("drill.unreadable", f"it cannot be read: {error}", "", Place(str(path))),)
        ) from error
    return parse(text, str(path), path.parent)


def for_stack(drill: Drill, stack: Stack) -> Drill:
    """Fit what is expected to the engine: Corosync has no raw frames, so an end without its address is down."""
    if stack.engine == "builtin":
        return drill
    steps = tuple(
        msgspec.structs.replace(
            step,
            actions=tuple(
                _without_frames(one) if isinstance(one, action.WaitUntil) else one for one in step.actions
            ),
            expect=_without_frames(step.expect),
        )
        for step in drill.steps
    )
    return msgspec.structs.replace(drill, steps=steps)


def with_slack(drill: Drill, factor: int) -> Drill:
    """Allow so many times the service gaps that the drill allows: a busy computer delays the client, too."""

    def slack(step: Step) -> Step:
        gap_ms = step.expect.gap_max_ms
        allowed = None if gap_ms is None else gap_ms * factor
        return msgspec.structs.replace(step, expect=msgspec.structs.replace(step.expect, gap_max_ms=allowed))

    return msgspec.structs.replace(drill, steps=tuple(map(slack, drill.steps)))


def parse(text: str, file: str, directory: Path) -> Drill:
    """Read the text of a drill. Raises Refused with every mistake in it."""
    return _Reader(text, file, directory).drill()


class _Reader:
    """Collects the mistakes of one file while it reads it."""

    def __init__(self, text: str, file: str, directory: Path) -> None:
        self._lines = text.splitlines()
        self._file = file
        self._directory = directory
        self._reports: list[Report] = []
        try:
            self._document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            place = Place(file, int(line[1]) if line else None)
            raise Refused((Report("drill.syntax", f"this is not TOML: {error}", "", place),)) from error

    def drill(self) -> Drill:
        """Read everything, then refuse everything that is wrong, or return the drill."""
        known = ("title", "lab", "cluster", "expect", "step")
        for key in self._document:
            if key not in known:
                self._report("drill.unknown-key", f"`{key}` is no key of a drill", key, _meant(key, known))
        layout = self._read(self._document.get("lab", {}), Layout, "lab") or Layout()
        for problem in layout.problems():
            self._report("drill.layout", problem, "lab")
        cluster = self._read(self._document.get("cluster", {}), ClusterPart, "cluster") or ClusterPart()
        cib = self._cib(cluster)
        common = self._expect(self._document.get("expect", {}), "expect", layout)
        steps = self._steps(common, layout)
        if self._reports:
            raise Refused(tuple(self._reports))
        return Drill(str(self._document.get("title", self._file)), layout, cluster, cib, steps)

    def _steps(self, common: Expect, layout: Layout) -> tuple[Step, ...]:
        tables = self._document.get("step", [])
        if not isinstance(tables, list) or not tables:
            self._report("drill.no-steps", "a drill needs steps", "step", "write one or more [[step]] tables")
            return ()
        steps = []
        for number, table in enumerate(tables, start=1):
            path = f"step {number}"
            known = ("name", "actions", "expect")
            for key in table:
                if key not in known:
                    self._report(
                        "drill.unknown-key", f"`{key}` is no key of a step", path, _meant(key, known)
                    )
            if not isinstance(table.get("name"), str):
                self._report("drill.no-name", "a step needs a name", path, 'name = "the cable is pulled"')
            actions = self._actions(table.get("actions"), path, layout)
            expect = self._expect(table.get("expect", {}), f"{path}.expect", layout)
            steps.append(Step(str(table.get("name")), actions, _merged(common, expect)))
        return tuple(steps)

    def _actions(self, tables: object, path: str, layout: Layout) -> tuple[action.DrillAction, ...]:
        if not isinstance(tables, list) or not tables:
            hint = 'actions = [ { do = "pull", cable = "interconnect" } ]'
            self._report("drill.no-actions", "a step needs a list of actions", path, hint)
            return ()
        actions = []
        for number, table in enumerate(tables, start=1):
            where = f"{path}.actions[{number}]"
            verb = table.get("do") if isinstance(table, dict) else None
            kind = VERBS.get(str(verb))
            if kind is None:
                said = "an action needs the key `do`" if verb is None else f"`{verb}` is no action"
                self._report("drill.unknown-action", said, where, _meant(str(verb), VERBS))
                continue
            done = self._read(table, kind, where)
            if done is not None:
                self._check_action(done, where, layout)
                actions.append(done)
        return tuple(actions)

    def _check_action(self, done: action.DrillAction, where: str, layout: Layout) -> None:
        """Check the names in an action against the lab it will meet."""
        for key, more in (("node", ()), ("service_on", (SAME, OTHER)), ("online", ())):
            node = getattr(done, key, None)
            if node is not None and node not in (*layout.nodes, *PLACEHOLDERS, *more):
                self._report(
                    "drill.unknown-node", f"the lab has no node `{node}`", where, _nodes_hint(layout)
                )
        cables = [cable.name for cable in layout.cables]
        if isinstance(done, action.WireAction | action.CableAction) and done.cable not in cables:
            hint = f"its cables: {', '.join(cables)}"
            self._report("drill.unknown-cable", f"the lab has no cable `{done.cable}`", where, hint)
        name = getattr(done, "signal", "KILL")
        if f"SIG{name}" not in signal.Signals.__members__:
            self._report("drill.signal", f"`{name}` is no signal", where, "KILL, TERM, STOP, CONT …")
        match done:
            case action.Kill(_, resource, pattern):
                if (resource is None) == (pattern is None):
                    self._report("drill.kill", "kill wants either `resource` or `pattern`", where)
            case action.FenceDevice(_, takes):
                self._check_span(takes, where)
            case action.Wait(span) | action.WaitUntil(span):
                self._check_span(span, where)
                self._check_link(getattr(done, "link_down", None), where)
            case _:
                pass

    def _expect(self, table: object, path: str, layout: Layout) -> Expect:
        expect = self._read(table, Expect, path) or Expect()
        self._check_link(expect.link_down, path)
        self._check_span(expect.settled_within, path)
        self._check_span(expect.hold, path)
        if expect.service_on not in (None, SAME, OTHER, *layout.nodes):
            hint = f"same, other, or one of {', '.join(layout.nodes)}"
            self._report("drill.unknown-node", f"service_on = `{expect.service_on}` is no node", path, hint)
        return expect

    def _check_link(self, word: str | None, path: str) -> None:
        if word is not None and word not in LINK_WORDS:
            self._report(
                "drill.link-state", f"`{word}` is no state of a link", path, _meant(word, LINK_WORDS)
            )

    def _check_span(self, text: str | None, path: str) -> None:
        if text is not None and duration.parse_ms(text) is None:
            self._report("drill.duration", f"`{text}` is no duration", path, "500ms, 10s, 2min")

    def _cib(self, cluster: ClusterPart) -> str:
        """Read the configuration; its content is the cluster's to judge, here only its form."""
        place = Place(self._file, None, "cluster")
        text = cluster.cib
        if (text is None) == (cluster.cib_file is None):
            self._report("drill.cib", "[cluster] needs either `cib` or `cib_file`", "cluster")
            return ""
        if cluster.cib_file is not None:
            file = self._directory / cluster.cib_file
            place = Place(str(file))
            try:
                text = file.read_text(encoding="utf-8")
            except OSError as error:
                self._report("drill.cib", f"`cib_file` cannot be read: {error}", "cluster")
                return ""
        assert text is not None
        try:
            root = etree.fromstring(text.encode())
        except etree.XMLSyntaxError as error:
            self._reports.append(Report("drill.cib", f"the CIB is no XML: {error}", "", place))
            return ""
        ids = {str(element.get("id")) for element in root.iter() if element.get("id")}
        if cluster.service not in ids:
            hint = _meant(cluster.service, ids)
            self._report("drill.service", f"the CIB has no resource `{cluster.service}`", "cluster", hint)
        return text.strip() + "\n"

    def _read(self, table: object, kind: type[_Value], path: str) -> _Value | None:
        """Read one table into a value, or report why it is none."""
        try:
            return msgspec.convert(table, type=kind)
        except msgspec.ValidationError as error:
            fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]  # Structs only
            unknown = re.search(r"unknown field `(.*)`", str(error))
            wrong = re.search(r"Invalid enum value '(.*)' - at `\$\.(\w+)`", str(error))
            if unknown:
                said = f"`{unknown[1]}` is no key here"
                hint = _meant(unknown[1], list(fields))
            elif wrong:
                said = f"`{wrong[1]}` is no value of `{wrong[2]}`"
                hint = _meant(wrong[1], list(get_args(fields[wrong[2]])))
            else:
                said = (
                    str(error).replace("Object missing required field", "it lacks the key").replace("$.", "")
                )
                hint = f"its keys: {', '.join(fields)}"
            self._report("drill.bad-value", said, path, hint)
            return None

    def _report(self, code: str, message: str, path: str, hint: str = "") -> None:
        self._reports.append(Report(code, message, hint, Place(self._file, self._line(path), path)))

    def _line(self, path: str) -> int | None:
        """Find the line where the thing with this path begins: its table's header, as near as TOML lets us know."""
        numbered = re.match(r"step (\d+)", path)
        if numbered:
            heads = [number for number, line in enumerate(self._lines, 1) if line.strip() == "[[step]]"]
            return heads[int(numbered[1]) - 1] if int(numbered[1]) <= len(heads) else None
        begin = re.compile(rf"\s*(\[{re.escape(path)}\]|{re.escape(path)}\s*=)")
        return next((number for number, line in enumerate(self._lines, 1) if begin.match(line)), None)


def _verbs() -> dict[str, type[action.DrillAction]]:
    kinds: tuple[type[action.DrillAction], ...] = get_args(action.DrillAction)
    return {str(kind.__struct_config__.tag): kind for kind in kinds}


VERBS: Final = _verbs()
"""Every action by the word that `do` names it with."""


def _without_frames(value: _Waited) -> _Waited:
    if value.link_down != LinkState.BY_FRAMES.value:
        return value
    return msgspec.structs.replace(value, link_down=LinkState.NO_ADDRESS.value)


def _merged(common: Expect, own: Expect) -> Expect:
    """Let a step's own expectations go before those of the whole drill."""
    return msgspec.structs.replace(
        common, **{name: value for name, value in msgspec.structs.asdict(own).items() if value is not None}
    )


def _meant(
    word: str, known: "list[str] | tuple[str, ...] | set[str] | dict[str, type[action.DrillAction]]"
) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known: {', '.join(sorted(known))}"


def _nodes_hint(layout: Layout) -> str:
    return f"its nodes: {', '.join(layout.nodes)}; or {' or '.join(PLACEHOLDERS)}"
