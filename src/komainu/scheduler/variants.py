"""Tell the resource reader which variant belongs to which kind."""

from komainu.scheduler import bundle_parts, resources
from komainu.scheduler.bundle import Bundle
from komainu.scheduler.clone import Clone
from komainu.scheduler.group import Group
from komainu.scheduler.primitive import Primitive
from komainu.scheduler.words import Kind


def register() -> None:
    """Fill the table of variants; done once, when the scheduler is first imported."""
    resources.VARIANTS.update(
        {
            Kind.PRIMITIVE: Primitive(),
            Kind.GROUP: Group(),
            Kind.CLONE: Clone(),
            Kind.BUNDLE: Bundle(),
        }
    )
    if not resources.BUNDLE_MAKER:
        resources.BUNDLE_MAKER.append(bundle_parts.make)
