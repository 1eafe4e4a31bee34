"""Compare moments of which some never come. Knows nothing else."""

from komainu.model.ids import Instant


def is_due(now: Instant, moment: Instant | None) -> bool:
    """Whether a moment has come; None never does."""
    return moment is not None and now >= moment


def earliest(*moments: Instant | None) -> Instant | None:
    """Return the first of these moments; None when none of them comes."""
    first = None
    for moment in moments:
        if moment is not None and (first is None or moment < first):
            first = moment
    return first
