"""Read the constraints in document order; find the resources that they name, through tags and templates too.

What each kind of constraint means is said in location.py, colocation.py, ordering.py and tickets.py.
Source: Pacemaker Explained, "Resource Constraints", "Reusing Parts of the Configuration".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from komainu.cib.element import Element
from komainu.scheduler import colocation, location, ordering, tickets
from komainu.scheduler.job import Job, Resource


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """A set as a constraint has it: its members, and the element that says how they belong together.

    A name that means nothing ends it: no member after that counts, but as the last.
    """

    xml: Element
    members: tuple[Resource, ...]
    last: Resource | None
    is_whole: bool


def _make_set(job: Job, xml: Element, names: list[str]) -> ResourceSet:
    found = [find_resource(job, name) for name in names]
    members = tuple(member for member in takewhile(lambda member: member is not None, found) if member)
    return ResourceSet(xml, members, found[-1] if found else None, is_whole=len(members) == len(found))


def read_tags(job: Job) -> None:
    """Read the tags: names for several objects."""
    section = job.cib.at("configuration", "tags")
    for tag in [] if section is None else section.all("tag"):
        job.tags[tag.id] = [reference.id for reference in tag.all("obj_ref")]


def read_constraints(job: Job) -> None:
    """Read all constraints."""
    section = job.cib.at("configuration", "constraints")
    for element in () if section is None else section.children:
        match element.tag:
            case "rsc_location":
                _read_location(job, element)
            case "rsc_colocation":
                _read_colocation(job, element)
            case "rsc_order":
                _read_order(job, element)
            case "rsc_ticket":
                _read_ticket(job, element)
            case _:
                pass


def find_resource(job: Job, name: str) -> Resource | None:
    """Find what a constraint names: by id, or by the name in the history, which means the whole clone."""
    rsc = job.by_id.get(name)
    if rsc is not None:
        return rsc
    known = job.by_history_name.get(name)
    return known[0].top_with_bundle if known else None


def _is_collection(job: Job, name: str) -> bool:
    return find_resource(job, name) is None and (name in job.tags or bool(job.template_users.get(name)))


def _expand(job: Job, name: str) -> list[str]:
    if not _is_collection(job, name):
        return [name]
    return job.tags[name] if name in job.tags else job.template_users[name]


def read_sets(job: Job, element: Element) -> list[ResourceSet]:
    """Return the sets of a constraint; tags and templates in them are replaced by what they stand for.

    Where one name in the end means nothing, none is replaced: then tags and templates mean nothing either.
    """
    sets = list(element.all("resource_set"))
    written = [[reference.id for reference in xml.all("resource_ref")] for xml in sets]
    meant = [[one for name in names for one in _expand(job, name)] for names in written]
    is_whole = all(find_resource(job, one) is not None for names in meant for one in names)
    return [
        _make_set(job, xml, names) for xml, names in zip(sets, meant if is_whole else written, strict=True)
    ]


def _known_members(sets: list[ResourceSet]) -> Iterator[tuple[Resource, Element]]:
    """Give the members of sets with their set, one by one, up to a name that means nothing."""
    for resource_set in sets:
        for member in resource_set.members:
            yield member, resource_set.xml
        if not resource_set.is_whole:
            return


def _side(job: Job, name: str, **attributes: str | None) -> ResourceSet:
    """Make one side of a simple constraint a set whose members are independent of each other."""
    given = {key: text for key, text in attributes.items() if text is not None}
    xml = Element("resource_set", {"id": name, "sequential": "false", **given})
    return _make_set(job, xml, _expand(job, name))


def _read_location(job: Job, element: Element) -> None:
    name, pattern = element.get("rsc"), element.get("rsc-pattern")
    if name is not None:
        for rsc in _side(job, name).members:
            location.read(job, element, rsc)
        return
    if pattern is not None:
        location.read_pattern(job, element, pattern)
        return
    for rsc, xml in _known_members(read_sets(job, element)):
        location.read(job, element, rsc, xml)


def _read_colocation(job: Job, element: Element) -> None:
    sets = read_sets(job, element)
    dependent, primary = element.get("rsc") or "", element.get("with-rsc") or ""
    if sets:
        colocation.read_sets(job, element, sets)
    elif _is_collection(job, dependent) and _is_collection(job, primary):
        job.warnings.append(
            f"{element.id}: two templates or tags cannot be colocated; name resources, or a resource set"
        )
    elif _is_collection(job, dependent) or _is_collection(job, primary):
        colocation.read_sets(
            job,
            element,
            [
                _side(job, dependent, role=element.get("rsc-role")),
                _side(job, primary, role=element.get("with-rsc-role")),
            ],
        )
    else:
        left, right = find_resource(job, dependent), find_resource(job, primary)
        if left is not None and right is not None:
            colocation.read_pair(job, element, left, right)


def _read_order(job: Job, element: Element) -> None:
    sets = read_sets(job, element)
    first, then = element.get("first") or "", element.get("then") or ""
    if sets:
        ordering.read_sets(job, element, sets)
    elif _is_collection(job, first) or _is_collection(job, then):
        # A set does what is said of it; only of a pair does the second do by default what the first does.
        both = [
            _side(job, first, action=element.get("first-action")),
            _side(job, then, action=element.get("then-action")),
        ]
        ordering.read_sets(job, element, both)
    else:
        left, right = find_resource(job, first), find_resource(job, then)
        if left is not None and right is not None:
            ordering.read_pair(job, element, left, right)


def _read_ticket(job: Job, element: Element) -> None:
    name = element.get("rsc")
    if name is not None:
        for rsc in _side(job, name).members:
            tickets.read(job, element, rsc, element.get("rsc-role"))
        return
    for rsc, xml in _known_members(read_sets(job, element)):
        tickets.read(job, element, rsc, xml.get("role"))
