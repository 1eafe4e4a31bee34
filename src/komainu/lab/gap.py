"""Decide how long a service was away, from the moments at which its answers came.

Pure. A gap is the time between two answers, less the time in which the probe itself did not get the
processor, or a processor stood still: it blames itself and the computer before it blames the service. The
window's two ends count as part of a gap.
"""

from collections.abc import Sequence

from komainu.lab.protocol import Served, ServiceSeen, Stint


def seen(answers: Sequence[Served], *, since: int, until: int) -> ServiceSeen:
    """Sum up the answers of a window. The last answer before it opens its first gap."""
    before = next((answer for answer in reversed(answers) if answer.at < since), None)
    inside = [answer for answer in answers if since <= answer.at <= until]
    last_at = since if before is None else before.at
    longest = stalled = 0
    stints: list[Stint] = []
    for answer in inside:
        longest = max(longest, answer.at - last_at - answer.late_ms)
        stalled = max(stalled, answer.late_ms)
        last_at = answer.at
        if not stints or stints[-1].node != answer.node:
            stints.append(Stint(answer.node, answer.at))
    silent = max(0, until - last_at)
    return ServiceSeen(
        answers=len(inside),
        longest_gap_ms=max(longest, silent),
        stalled_ms=stalled,
        stints=tuple(stints),
        silent_ms=silent,
    )
