"""Say why the two may disagree on a CIB: by a difference of the versions that is understood (docs/compat-scheduler.md).

A reason is found in the configuration and in the lines that differ, never in a seed. What it explains is counted.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from reference import Disagreement

from komainu.cib.element import Element

_COLOCATED = re.compile(r"\w[\w-]* (\S+) .*due to colocation with (\S+)")
_BLOCKED = re.compile(r"\w[\w-]* (\S+) .*\(blocked\)")
_COLLECTIVE = re.compile(r"(?:Clone Set|Resource Group): (\S+?):?(?: |$)")
_UNMANAGED = re.compile(
    r"(\S+) \(\S+\): (?:ORPHANED )?(?:FAILED|Started|Promoted|Unpromoted).* (\S+) \(.*unmanaged\)"
)
_BLOCKED_BY_STOP = re.compile(r"Start (\S+) .* due to unrunnable (\S+) stop \(blocked\)")
_BLOCKED_BY_PROBE = re.compile(r"Start (\S+) .* due to unrunnable (\S+) monitor \(blocked\)")
_AFTER_WAY_DOWN = re.compile(r" due to unrunnable \S+ (?:stop|stopped|demote|demoted)\b")
_EDGE = re.compile(
    r"(?P<first>\S+)_(?P<task>start|stop|monitor|running|stopped)_0(?: \S+)? -> "
    r"(?P<then>\S+)_(?P<next>start|stop|running|stopped)_0(?: |$)"
)
_BEGINNING = re.compile(r"(?:\S+_stopped_0 -> )?(\S+)_start_0")
_LEAVING = re.compile(r"(\S+)_stop_0 \S+ -> \S+_stop_0 (\S+)")
_MONITOR = re.compile(r"(?:Cancel )?\S+_monitor_[1-9]\d* \S+")
_BEGUN = re.compile(r"\w+_(?:start|running)_0")
_CONTAINER = re.compile(r"(\S+)-(?:docker|podman)-\d+_start_0 \S+ -> (.+)")
Pair = tuple[str, str, str]
"""A dependent, its primary, the score between them."""


def reason(cib: Element, found: Sequence[Disagreement]) -> str | None:
    """Return the reason, None when there is none."""
    if _is_with_itself(cib, found):
        return "a resource that must be with itself"
    if all(part.part in {"actions", "edges"} for part in found):
        return _reason_of_graph(cib, found)
    if _is_unfinished(cib, found):
        return "what only one of them finishes, with guests"
    if _waits_for_way_down(cib, found):
        return "sets after a set that goes down"
    if _waits_for_probe(cib, found):
        return "instances that are not up wait for a probe that cannot be done"
    if _rules_for_bundle_nodes(cib, found):
        return "a rule that holds for the nodes of a bundle"
    pairs = list(_colocations(cib))
    ours = [line for part in found for line in part.only_ours]
    words = {word for part in found for line in part.only_ours + part.only_reference for word in line.split()}
    if _waits_for_later_member(cib, ours):
        return "a new member waits for the stop of a later one"
    if _is_only_the_word(found):
        return "the word for a live migration that falls through"
    if _hides_collective(cib, found):
        return "a collective that is active, unmanaged, on a lost node only"
    if _blocks_for_group(cib, pairs, found):
        return "dependents of a group that cannot start"
    circle = _circle(pairs) | _circle(_between_owners(cib, pairs))
    if words & circle or (any("due to colocation with" in line for line in ours) and circle):
        return "mandatory colocations in a circle"
    if _counts_for_group(cib, pairs, found):
        return "colocations of a group's members count for the group"
    if _has_chain(pairs):
        return "wishes along a chain of colocations"
    apart = {"-INFINITY"}
    if any(part.part == "scores" for part in found):  # a finite wish to be apart shows in the scores
        apart |= {score for _, _, score in pairs if score.startswith("-")}
    if any(score in apart and {one, other} & _owners(cib, words) for one, other, score in pairs):
        return "room for a dependent that must be apart"
    if "a monitor was cancelled" in ours and _has_maintenance_node(cib):
        return "monitors of what is also active on a node in maintenance"
    if _weighs_wish_first(pairs, words):
        return "a wish and a demand of one dependent"
    if _needs_room_for_instances(cib, words):
        return "room for instances that are active elsewhere"
    if _counts_unseen_as_one(cib, words):
        return "guests that were never seen are told apart"
    if _adds_own_score(cib, found):
        return "a rule with or, and a node that is lost"
    if _has_rival_capacities(cib):
        return "balanced by capacities that cannot be compared"
    return None


def _reason_of_graph(cib: Element, found: Sequence[Disagreement]) -> str | None:
    """Return why only what waits for what differs: each line has to have its reason."""
    lines = [line for part in found for line in part.only_ours + part.only_reference]
    is_begun = bool(lines) and all(_MONITOR.fullmatch(line) or _BEGUN.fullmatch(line) for line in lines)
    if is_begun and _has_maintenance_node(cib):
        return "monitors of what is also active on a node in maintenance"
    if _begins_group(cib, lines, found):
        return "dependents of a group that cannot start"
    if _is_behind_follower(cib, lines):
        return "dependents of a group that cannot start"
    if _puts_instances_in_series(cib, found):
        return "instances of clones that are put in series"
    if _leaves_machine_first(cib, found):
        return "an ordering between a guest's inside and its machine"
    if _waits_for_contained(cib, found):
        return "what follows a bundle waits for what is in it"
    if any(part.part != "edges" or part.only_reference for part in found):
        return None
    reasons = set()
    for line in (line for part in found for line in part.only_ours):
        ends = _EDGE.match(line)
        if ends is None:
            return None
        if ends["first"] == ends["then"]:
            if not _is_ordered_instance(cib, ends["first"]):
                return None
            reasons.add("instances of an ordered clone wait for all before them")
        elif _is_later_member(cib, ends["first"], ends["then"]) and ends["next"] == "start":
            reasons.add("a new member waits for the stop of a later one")
        else:
            return None
    return ", ".join(sorted(reasons))


def _is_behind_follower(cib: Element, lines: list[str]) -> bool:
    """Tell whether all is on nodes whose machine, or connection, must be with a group."""
    grouped = {e.id for top in cib.walk() if top.tag == "group" for e in top.walk()}
    pairs = list(_colocations(cib))
    followers = {one for one, other, score in pairs if score == "INFINITY" and other in grouped}
    followers |= {one for one, other, _ in pairs if other in followers}  # a connection, with its machine
    return bool(lines) and all(set(line.split()) & followers for line in lines)


def _puts_instances_in_series(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether only the reference orders instances of clones one by one, of which the constraint says Serialize."""
    tops = {e.id: top.id for top in cib.walk() if top.tag in {"clone", "bundle"} for e in top.walk()}
    series = {
        frozenset(name for name in (order.get("first"), order.get("then")) if name)
        | {ref.id for ref in order.walk() if ref.tag == "resource_ref"}
        for order in cib.walk()
        if order.tag == "rsc_order" and any(e.get("kind") == "Serialize" for e in order.walk())
    }
    ends = [_EDGE.match(line) for part in found for line in part.only_reference]
    return (
        bool(ends)
        and not any(part.only_ours for part in found)
        and all(
            end is not None and any({tops.get(end["first"]), tops.get(end["then"])} <= one for one in series)
            for end in ends
        )
    )


def _leaves_machine_first(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether something in a guest waits, only there, for the stop of the guest's machine."""
    machines = {
        (machine.id, pair.get("value"))
        for machine in cib.walk()
        if machine.tag == "primitive"
        for pair in machine.walk()
        if pair.get("name") == "remote-node"
    }
    ends = [_LEAVING.fullmatch(line) for part in found for line in part.only_reference]
    is_all = bool(ends) and all(end is not None and (end[1], end[2]) in machines for end in ends)
    return is_all and not any(part.only_ours for part in found)


def _begins_group(cib: Element, lines: list[str], found: Sequence[Disagreement]) -> bool:
    """Tell whether only the reference begins groups, none of whose members starts, that must be with something."""
    lines = [line for line in lines if "one-or-more" not in line]
    if any(part.only_ours for part in found):
        return False
    groups = {e.id for e in cib.walk() if e.tag == "group"}
    held = {end for one, other, score in _colocations(cib) if score == "INFINITY" for end in (one, other)}
    matches = [_BEGINNING.fullmatch(line) for line in lines]
    return bool(matches) and all(match is not None and match[1] in groups & held for match in matches)


def _waits_for_contained(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether the same waits for a container there, and here for what runs in it."""
    left = sorted(
        match[1] + match[2] if (match := _CONTAINER.fullmatch(line)) else line
        for part in found
        for line in part.only_reference
    )
    inside = {
        e.id: bundle.id for bundle in cib.walk() if bundle.tag == "bundle" for e in bundle.all("primitive")
    }
    right = []
    for line in (line for part in found for line in part.only_ours):
        first, _, then = line.partition("_start_0 ")
        right.append(inside.get(first, "") + then.partition(" -> ")[2])
    return left == sorted(right)


def _is_ordered_instance(cib: Element, name: str) -> bool:
    """Tell whether it is in a clone whose instances come one after the other, as those of a bundle always do."""
    for top in (e for e in cib.walk() if e.tag in {"clone", "bundle"} and (e.id == name or e.find(name))):
        meta = {e.get("name"): e.get("value") for e in top.walk() if e.tag == "nvpair"}
        if top.tag == "bundle" or meta.get("ordered") == "true":
            return True
    return False


def _is_later_member(cib: Element, later: str, earlier: str) -> bool:
    for group in (e for e in cib.walk() if e.tag == "group"):
        members = [child.id for child in group.all("primitive")]
        if {later, earlier} <= set(members):
            return members.index(later) > members.index(earlier)
    return False


def _collections(cib: Element) -> dict[str, list[str]]:
    """Return what tags and templates stand for."""
    found: dict[str, list[str]] = {}
    for element in cib.walk():
        if element.tag == "tag":
            found[element.id] = [reference.id for reference in element.all("obj_ref")]
        template = element.get("template")
        if element.tag == "primitive" and template is not None:
            found.setdefault(template, []).append(element.id)
    return found


def _colocations(cib: Element) -> Iterator[Pair]:
    collections = _collections(cib)
    for constraint in (e for e in cib.walk() if e.tag == "rsc_colocation"):
        score = constraint.get("score") or "INFINITY"
        sets = [
            [name for ref in s.children for name in collections.get(ref.id, [ref.id])]
            for s in constraint.all("resource_set")
        ]
        if not sets:
            one, other = constraint.get("rsc") or "", constraint.get("with-rsc") or ""
            lefts, rights = collections.get(one, [one]), collections.get(other, [other])
            yield from ((left, right, score) for left in lefts for right in rights)
        for members in sets:
            yield from ((later, earlier, score) for earlier, later in pairwise(members))
        for left, right in pairwise(sets):
            yield from ((one, other, score) for one in left for other in right)

    for machine in (e for e in cib.walk() if e.tag == "primitive"):  # a guest is where its machine is
        for pair in (e for e in machine.walk() if e.get("name") == "remote-node"):
            yield pair.get("value") or "", machine.id, "INFINITY"


def _has_chain(pairs: list[Pair]) -> bool:
    """Tell whether a wish is passed on: one with a finite score, from a dependent that has dependents of its own."""
    return any(
        primary == dependent and {first, second} - {"INFINITY"}
        for dependent, _, first in pairs
        for _, primary, second in pairs
    )


def _circle(pairs: list[Pair]) -> set[str]:
    """Return what must be, through others, with itself."""
    found = set()
    follows: dict[str, set[str]] = {}
    for dependent, primary, score in pairs:
        if score == "INFINITY":
            follows.setdefault(dependent, set()).add(primary)
    for start, first in follows.items():
        seen: set[str] = set()
        waiting = set(first)
        while waiting - seen:
            here = min(waiting - seen)
            seen.add(here)
            waiting |= follows.get(here, set())
        if start in seen:
            found.add(start)
    return found


def _is_with_itself(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether a resource that differs must be with itself, or with what it is in (through tags and templates)."""
    top_of = {e.id: top.id for top in cib.walk() if top.tag in {"group", "clone"} for e in top.walk()}
    owners = {
        top_of.get(one, one)
        for one, other, _ in _colocations(cib)
        if one == other or top_of.get(one) == other or top_of.get(other) == one
    }
    inside = {name for name, top in top_of.items() if top in owners} | owners
    text = " ".join(line for part in found for line in part.only_ours + part.only_reference)
    return any(re.search(rf"\b{re.escape(name)}(?![a-z0-9])", text) for name in inside)


def _between_owners(cib: Element, pairs: list[Pair]) -> list[Pair]:
    """Return the colocations as if groups were named instead of their members, which are together anyway."""
    owner = {child.id: e.id for e in cib.walk() if e.tag == "group" for child in e.all("primitive")}
    named = ((owner.get(one, one), owner.get(other, other), score) for one, other, score in pairs)
    return [pair for pair in named if pair[0] != pair[1]]


def _counts_for_group(cib: Element, pairs: list[Pair], found: Sequence[Disagreement]) -> bool:
    """Tell whether only scores of groups' members differ, some of whom are colocated by name."""
    known = set()
    for group in (e for e in cib.walk() if e.tag == "group"):
        members = {child.id for child in group.all("primitive")}
        ends = {name for one, other, _ in pairs if {one, other} & members for name in (one, other)}
        if ends:
            known |= {group.id, *members, *ends}
    lines = [line for part in found if part.part == "scores" for line in part.only_ours + part.only_reference]
    others = {part.part for part in found} - {"scores", "what cannot be finished"}
    return bool(lines) and not others and all(line.split()[0] in known for line in lines)


def _owners(cib: Element, words: set[str]) -> set[str]:
    """Return the resources that are named, and the groups they are in."""
    groups = {e.id for e in cib.walk() if e.tag == "group" and words & {child.id for child in e.children}}
    return words | groups


def _waits_for_later_member(cib: Element, ours: list[str]) -> bool:
    for group in (e for e in cib.walk() if e.tag == "group"):
        members = [child.id for child in group.all("primitive")]
        for line in ours:
            match = _BLOCKED_BY_STOP.match(line)
            if match and match[1] in members and match[2] in members[members.index(match[1]) :]:
                return True
    return False


def _has_maintenance_node(cib: Element) -> bool:
    parts = (cib.first("status"), cib.at("configuration", "nodes"))
    pairs = (e for part in parts if part is not None for e in part.walk() if e.tag == "nvpair")
    return any(e.get("name") == "maintenance" and e.get("value") == "true" for e in pairs)


def _is_only_the_word(found: Sequence[Disagreement]) -> bool:
    """Tell whether only the reason of moves differs: of the stop, that it cannot be done, or that it is a stop."""
    words = {"unrunnable": "", "unmigrateable": ""}
    sides = [
        sorted(" ".join(words.get(word, word) for word in line.split()) for line in side)
        for part in found
        for side in (part.only_reference, part.only_ours)
    ]
    is_summary = all(part.part == "summary" for part in found)
    return is_summary and len(sides) == 2 and sides[0] == sides[1]


def _hides_collective(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether the status alone differs, by a collective whose only active members nobody can reach."""
    if any(part.part != "status" for part in found):
        return False
    ours = [line for part in found for line in part.only_ours]
    shown = {match[1] for line in ours if (match := _COLLECTIVE.match(line))}
    status = cib.first("status")
    lost = {
        state.get("uname")
        for state in (() if status is None else status.all("node_state"))
        if _is_lost(state)
    }
    members = {match[1] for line in ours if (match := _UNMANAGED.match(line)) and match[2] in lost}
    inside = {
        child.id: e.id for e in cib.walk() if e.id in shown for child in e.walk() if child.tag == "primitive"
    }
    return bool(shown) and bool(members & set(inside))


def _waits_for_way_down(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether only the reference lets something wait for a stop or a demotion, of a set, that does not happen."""
    has_sets = any(
        e.get("action") in {"stop", "demote"} or e.get("first-action") in {"stop", "demote"}
        for order in cib.walk()
        if order.tag == "rsc_order"
        and (order.first("resource_set") or {order.get("first"), order.get("then")} & set(_collections(cib)))
        for e in order.walk()
    )
    lines = [line for part in found if part.part == "summary" for line in part.only_reference]
    return has_sets and bool(lines) and all(_AFTER_WAY_DOWN.search(line) for line in lines)


def _waits_for_probe(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether all that is blocked here is an instance that waits for the probe of another."""
    top_of = {e.id: top.id for top in cib.walk() if top.tag == "clone" for e in top.walk()}
    lines = [line for part in found if part.part == "summary" for line in part.only_ours]
    ends = [_BLOCKED_BY_PROBE.match(line) for line in lines]
    return bool(ends) and all(
        end is not None and end[1] in top_of and top_of[end[1]] == top_of.get(end[2]) for end in ends
    )


def _rules_for_bundle_nodes(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether only scores on bundles' nodes differ, which a rule let in there."""
    bundles = {e.id for e in cib.walk() if e.tag == "bundle"}
    lines = [line for part in found if part.part == "scores" for line in part.only_ours + part.only_reference]
    nodes = {line.rpartition(" on ")[2].split(":")[0].rpartition("-")[0] for line in lines}
    has_rule = any(e.tag == "rsc_location" and e.first("rule") for e in cib.walk())
    return bool(lines) and all(part.part == "scores" for part in found) and has_rule and nodes <= bundles


def _is_unfinished(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether only the end differs of a transition that the reference does in part, where there are guests."""
    parts = {part.part for part in found}
    has_guests = any(e.get("name") == "remote-node" or e.get("remote_node") for e in cib.walk())
    return (
        "what cannot be finished" in parts and parts <= {"status", "what cannot be finished"} and has_guests
    )


def _counts_unseen_as_one(cib: Element, words: set[str]) -> bool:
    """Tell whether what differs names a guest or a remote node of which no state was read, beside others.

    Without fencing only the states of those are read that are up: all count as unread here.
    """
    status = cib.first("status")
    known = {state.get("uname") for state in (() if status is None else status.all("node_state"))}
    if _options(cib).get("stonith-enabled") == "false":
        known = set()
    names = {e.get("value") for e in cib.walk() if e.get("name") == "remote-node"}
    names |= {e.id for e in cib.walk() if e.tag == "primitive" and e.get("type") == "remote"}
    bare = {word.rstrip(":") for word in words}
    return len(names) > 1 and bool(bare & (names - known))


def _adds_own_score(cib: Element, found: Sequence[Disagreement]) -> bool:
    """Tell whether only scores of lost nodes differ, and a rule joins its conditions by "or"."""
    status = cib.first("status")
    lost = {
        state.get("uname")
        for state in (() if status is None else status.all("node_state"))
        if _is_lost(state) or state.get("crmd") == "offline" or _is_leaving(state)
    }
    scores = [
        line for part in found if part.part == "scores" for line in part.only_ours + part.only_reference
    ]
    has_rule = any(e.tag == "rule" and e.get("boolean-op") == "or" for e in cib.walk())
    others = {part.part for part in found} - {"scores", "what cannot be finished"}
    nodes = {line.rpartition(" on ")[2].split(":")[0] for line in scores}
    return has_rule and not others and bool(nodes) and nodes <= lost


def _is_leaving(state: Element) -> bool:
    return any(e.get("name") == "shutdown" for e in state.walk())


def _is_lost(state: Element) -> bool:
    return state.get("in_ccm") != "true"


def _blocks_for_group(cib: Element, pairs: list[Pair], found: Sequence[Disagreement]) -> bool:
    """Tell whether something is blocked here because it must be with a group that cannot start."""
    groups = {e.id: {child.id for child in e.all("primitive")} for e in cib.walk() if e.tag == "group"}
    owner = {name: group for group, members in groups.items() for name in {group, *members}}
    followers = [
        ({one} | groups.get(one, set()), groups[owner[other]] | {owner[other]})
        for one, other, score in pairs
        if other in owner and score == "INFINITY"
    ]
    ours = [line for part in found if part.part == "summary" for line in part.only_ours]
    for line in ours:
        named, blocked = _COLOCATED.match(line), _BLOCKED.match(line)
        for dependents, primaries in followers:
            if named and named[1] in dependents and named[2] in primaries:
                return True
            # A group that can neither follow nor stop whole.
            if blocked and blocked[1] in dependents and len(dependents) > 1:
                return True
    return False


def _weighs_wish_first(pairs: list[Pair], words: set[str]) -> bool:
    """Tell whether a dependent has a wish about one primary and a demand about another that does not come earlier by its id."""
    return any(
        dependent == other and wished <= demanded and words & {dependent, wished, demanded}
        for dependent, wished, wish in pairs
        for other, demanded, demand in pairs
        if not wish.endswith("INFINITY") and demand.endswith("INFINITY")
    )


def _options(cib: Element) -> dict[str, str]:
    options = cib.at("configuration", "crm_config")
    pairs = () if options is None else (e for e in options.walk() if e.tag == "nvpair")
    return {e.get("name") or "": e.get("value") or "" for e in pairs}


def _needs_room_for_instances(cib: Element, words: set[str]) -> bool:
    """Tell whether room is counted, and a clone that is named needs some for its instances."""
    if _options(cib).get("placement-strategy", "default") == "default":
        return False
    uses = {e.id for e in cib.walk() if e.first("utilization") is not None}
    for clone in (e for e in cib.walk() if e.tag == "clone"):
        members = [e for e in clone.walk() if e.tag == "primitive"]
        needs_room = any({member.id, member.get("template")} & uses for member in members)
        if needs_room and words & {member.id for member in members}:
            return True
    return False


def _has_rival_capacities(cib: Element) -> bool:
    if _options(cib).get("placement-strategy") != "balanced":
        return False
    nodes = cib.at("configuration", "nodes")
    names = {e.get("name") for e in (nodes.walk() if nodes is not None else ()) if e.tag == "nvpair"}
    return {"cpu", "mem"} <= names
