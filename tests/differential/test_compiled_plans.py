"""Hold the compiled scheduler against the sources that it was made from: the same plans, graphs, scores and reasons.

Runs only where `make compiled` was run. This file is also the program that both sides run: it prints what stands for
each plan. Each CIB is planned for cold, then again with what is remembered, then after a change.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

STAGE = Path(__file__).resolve().parents[2] / "build" / "compiled" / "stage" / "src"
COUNT = int(os.environ.get("KOMAINU_DIFFERENTIAL", "200"))
NOW_S = 1_700_000_000


@pytest.mark.skipif(not (STAGE / "komainu" / "compiled_modules").is_dir(), reason="nothing was compiled")
def test_compiled_and_plain_make_the_same_plans(print_at_end: Callable[[str], None]) -> None:
    plain, compiled = outcome(KOMAINU_PLAIN="1"), outcome()
    assert plain[0] == "the compiled scheduler is not used: KOMAINU_PLAIN is set"
    assert compiled[0] == "the compiled scheduler is used"
    assert len(plain) == 1 + 2 * COUNT
    differing = [left for left, right in zip(plain[1:], compiled[1:], strict=True) if left != right]
    assert not differing
    print_at_end(f"{2 * COUNT} random CIBs planned for by the compiled scheduler as by its sources")


def outcome(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": str(STAGE), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def lines() -> Iterator[str]:
    """Plan for random CIBs of both makers; give a line for each."""
    import cibs
    import wide

    from komainu.scheduler import graph_xml, simulation
    from komainu.scheduler.plan import plan
    from komainu.scheduler.remembered import Remembered

    makers = {"plain": lambda random: cibs.make(random, depth=1), "wide": wide.make}
    for kind, make in makers.items():
        for seed in range(COUNT):
            cib = make(Random(seed))
            moment = simulation.moment_of(cib, None, NOW_S)
            assert moment is not None
            simulated = simulation.simulate(cib, moment)
            remembered = Remembered()
            plans = [
                plan(state, now_s, explain=True, remembered=memory)
                for state, now_s, memory in (
                    (cib, NOW_S, None),
                    (cib, NOW_S, remembered),
                    (cib.with_attribute("have-quorum", "0"), NOW_S + 60, remembered),
                    (cib, NOW_S + 120, remembered),
                )
            ]
            text = [graph_xml.write(simulated.job, simulated.graph), *simulated.job.score_lines]
            told = "\n".join([*text, *simulated.lines(), *map(repr, plans)])
            yield f"{kind} {seed} {hashlib.sha256(told.encode()).hexdigest()}"


if __name__ == "__main__":
    from komainu import compiled

    answers = list(lines())
    print(compiled.told())
    print("\n".join(answers))
