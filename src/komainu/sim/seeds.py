"""Play many runs at once, in processes of their own, and sum up what came of them.

Must not know: how results are shown (cli/sim.py). The order in which runs end does not change what they come to.
"""

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from komainu.sim.scenario import Outcome, Run, play

AHEAD: Final = 4
"""Runs handed to each process before the first of them has ended: enough to keep it busy, few enough to stop soon."""

FAILURES_MAX: Final = 20
"""Failed runs after which no new ones begin: who sees twenty has seen enough."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to, without its trace."""

    run: Run
    failure: str
    rule: str
    struck: tuple[tuple[str, int], ...]
    figures: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Tally:
    """What many runs came to. `by_class`: class of faults -> runs with it, strikes, failed runs with it."""

    runs: int = 0
    failures: list[Verdict] = field(default_factory=list)
    by_class: dict[str, list[int]] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    is_cut_short: bool = False  # by the user, or by too many failures

    def add(self, verdict: Verdict) -> None:
        """Count one run."""
        self.runs += 1
        if verdict.failure:
            self.failures.append(verdict)
        for name, strikes in verdict.struck:
            counts = self.by_class.setdefault(name, [0, 0, 0])
            counts[0] += 1
            counts[1] += strikes
            counts[2] += bool(verdict.failure)
        for name, value in verdict.figures:
            self.figures[name] = self.figures.get(name, 0) + value


def judge(run: Run) -> Verdict:
    """Play one run and leave its trace behind."""
    return verdict_of(play(run))


def verdict_of(outcome: Outcome) -> Verdict:
    """Sum up an outcome."""
    figures = (
        ("events", outcome.events),
        ("plans", outcome.plans),
        ("view_changes", outcome.view_changes),
        ("acknowledged", outcome.acknowledged),
        ("lived_ms", outcome.lived_ms),
    )
    return Verdict(outcome.run, outcome.failure, outcome.rule, outcome.struck, figures)


def play_all(runs: Iterable[Run], *, processes: int, tell: Callable[[Tally], None]) -> Tally:
    """Play runs in so many processes; `tell` is called after each. Ctrl-C or SIGTERM end it with what there is."""
    tally = Tally()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ProcessPoolExecutor(processes, initializer=_leave_signals_to_parent) as pool:
        try:
            for verdict in _verdicts(pool, iter(runs), processes * AHEAD):
                tally.add(verdict)
                tell(tally)
                if len(tally.failures) >= FAILURES_MAX:
                    tally.is_cut_short = True
                    break
        except KeyboardInterrupt:
            tally.is_cut_short = True
        finally:
            signal.signal(signal.SIGTERM, before)
        pool.shutdown(wait=True, cancel_futures=True)
    return tally


def _verdicts(pool: ProcessPoolExecutor, runs: Iterator[Run], ahead: int) -> Iterator[Verdict]:
    """Keep so many runs with the pool, and give out what ends."""
    pending: set[Future[Verdict]] = {pool.submit(judge, run) for run in islice(runs, ahead)}
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        pending |= {pool.submit(judge, run) for run in islice(runs, len(done))}
        for future in done:
            yield future.result()


def _leave_signals_to_parent() -> None:
    """Let signals reach only the process that shows the progress; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
