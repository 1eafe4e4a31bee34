"""Play many runs at once, in processes of their own, and sum up what came of them.

Runs that begin alike, as those of one seed with one class of faults each, are one run until the first fault: that is
played once, and the process is copied for the rest of each.

Must not know: how results are shown (cli/sim.py). The order in which runs end does not change what they come to.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final

import msgspec

from komainu.sim.scenario import Begun, Outcome, Run, beginning_of, play

AHEAD: Final = 2
"""Parts handed to each process before the first of them has ended: enough to keep it busy, few enough to stop soon."""

ALIKE_MAX: Final = 10
"""Runs of one part: with more of them the beginning costs hardly less for each, and Ctrl-C is obeyed later."""

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
    left: tuple[Run, ...] = ()  # of what was not judged then, the part with the first seed

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


_VERDICT: Final = msgspec.json.Decoder(Verdict)


def judge(runs: tuple[Run, ...]) -> list[Verdict]:
    """Play runs that begin alike and leave their traces behind."""
    if len(runs) == 1:
        return [verdict_of(play(runs[0]))]
    begun = Begun(runs[0])
    return [_judge_in_copy(begun, run) for run in runs]


def _judge_in_copy(begun: Begun, run: Run) -> Verdict:
    """Play the rest of a run in a copy of this process, so that its beginning can be used again here."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(msgspec.json.encode(verdict_of(begun.finish(run))))
            os._exit(0)
        finally:  # the copy must never do what this process has yet to do
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"the process that played {run} ended with {os.waitstatus_to_exitcode(status)}")
    return _VERDICT.decode(text)


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
    """Play runs in so many processes; `tell` is called after each part. Ctrl-C or SIGTERM end it with what there is."""
    tally = Tally()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = parts_of(runs)
    with ProcessPoolExecutor(processes, initializer=_leave_signals_to_parent) as pool:
        pending = {pool.submit(judge, part): part for part in islice(parts, processes * AHEAD)}
        try:
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    for verdict in future.result():
                        tally.add(verdict)
                    del pending[future]
                    tell(tally)
                if len(tally.failures) >= FAILURES_MAX:
                    tally.is_cut_short = True
                    break
                pending |= {pool.submit(judge, part): part for part in islice(parts, len(done))}
        except KeyboardInterrupt:
            tally.is_cut_short = True
        finally:
            signal.signal(signal.SIGTERM, before)
        if tally.is_cut_short:
            tally.left = min(
                (*pending.values(), *islice(parts, 1)), key=lambda part: part[0].seed, default=()
            )
        pool.shutdown(wait=True, cancel_futures=True)
    return tally


def parts_of(runs: Iterable[Run]) -> Iterator[tuple[Run, ...]]:
    """Put runs that follow each other and begin alike together."""
    for _, alike in groupby(runs, beginning_of):
        while part := tuple(islice(alike, ALIKE_MAX)):
            yield part


def _leave_signals_to_parent() -> None:
    """Let signals reach only the process that shows the progress; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
