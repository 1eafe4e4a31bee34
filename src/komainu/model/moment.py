"""Choose among moments of which some never come. Knows nothing else."""

from komainu.model.ids import Instant


def earliest(*moments: Instant | None) -> Instant | None:
    """Return the first of these moments; None when none of them comes."""
    first = None
    for moment in moments:
        if moment is not None and (first is None or moment < first):
            first = moment
    return first
