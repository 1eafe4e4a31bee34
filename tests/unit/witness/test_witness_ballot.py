"""The vote of a witness: one part at a time, the right one of two, and never before the last lease is over."""

import itertools
from random import Random

from komainu.model.ids import Instant, NodeId
from komainu.model.view import ViewId
from komainu.witness.ballot import BallotBox
from komainu.witness.message import Question, Verdict

A, B, C, D = (NodeId(number) for number in (1, 2, 3, 4))
LEASE_MS = 1_000


class Box:
    """A box with a clock that is moved by hand."""

    def __init__(self, *nodes: NodeId) -> None:
        self.nodes = nodes
        self.now = 10_000
        self.box = BallotBox(Instant(self.now))

    def ask(
        self, node: NodeId, *members: NodeId, first: NodeId | None = None, holds: bool = False
    ) -> Verdict:
        question = Question(1, node, 1, 1, ViewId(1, node), members, self.nodes, first, holds, LEASE_MS)
        return self.box.ask(question, Instant(self.now)).verdict

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds

    def whole(self) -> None:
        for node in self.nodes:
            assert self.ask(node, *self.nodes) is Verdict.CAST


def test_a_whole_cluster_has_the_vote_at_once() -> None:
    Box(A, B).whole()


def test_of_two_halves_the_one_with_the_service_wins() -> None:
    box = Box(A, B)
    box.whole()
    assert box.ask(A, A, first=B) is Verdict.PENDING, "b may still count on the vote"
    assert box.ask(B, B, first=B) is Verdict.CAST
    assert box.ask(A, A, first=B) is Verdict.WITHHELD


def test_of_two_equal_halves_the_one_with_the_lowest_id_wins() -> None:
    box = Box(A, B)
    box.whole()
    assert box.ask(B, B) is Verdict.PENDING
    assert box.ask(A, A) is Verdict.CAST
    assert box.ask(B, B) is Verdict.WITHHELD


def test_the_greater_part_wins_whatever_runs_where() -> None:
    box = Box(A, B, C)
    box.whole()
    assert box.ask(A, A, first=A) is Verdict.PENDING
    assert box.ask(B, B, C, first=A) is Verdict.PENDING
    assert box.ask(C, B, C, first=A) is Verdict.CAST
    assert box.ask(A, A, first=A) is Verdict.WITHHELD


def test_who_is_left_gets_the_vote_when_the_lease_of_the_dead_one_is_over() -> None:
    box = Box(A, B)
    box.whole()
    box.wait(900)
    assert box.ask(A, A) is Verdict.PENDING
    box.wait(99)
    assert box.ask(A, A) is Verdict.PENDING
    box.wait(1)
    assert box.ask(A, A) is Verdict.CAST


def test_a_half_that_lost_the_witness_loses_the_vote_a_lease_later() -> None:
    box = Box(A, B)
    box.whole()
    box.ask(A, A)
    box.ask(B, B)
    assert box.ask(A, A) is Verdict.CAST
    box.wait(999)
    assert box.ask(B, B) is Verdict.WITHHELD, "a may count on it still"
    box.wait(1)
    assert box.ask(B, B) is Verdict.CAST


def test_a_pair_that_is_whole_again_has_the_vote() -> None:
    box = Box(A, B)
    box.whole()
    box.ask(A, A)
    box.ask(B, B)
    box.ask(A, A)
    assert box.ask(B, A, B) is Verdict.PENDING, "a has not left its half yet"
    assert box.ask(A, A, B) is Verdict.CAST


def test_a_witness_that_was_started_anew_leaves_the_vote_where_it_is() -> None:
    box = Box(A, B)
    assert box.ask(B, B) is Verdict.PENDING
    assert box.ask(A, A, holds=True) is Verdict.CAST
    assert box.ask(B, B, first=B) is Verdict.WITHHELD


def test_a_node_alone_after_a_cold_start_waits_a_lease_for_the_other_one() -> None:
    box = Box(A, B)
    assert box.ask(B, B) is Verdict.PENDING
    box.wait(LEASE_MS)
    assert box.ask(B, B) is Verdict.CAST


def test_no_two_disjoint_parts_ever_count_on_the_vote() -> None:
    """Whatever is asked in whatever order: a vote that was told counts for a lease, and no other part has it then."""
    nodes = (A, B, C, D)
    parts = [part for size in range(1, 5) for part in itertools.combinations(nodes, size)]
    for seed in range(60):
        chance = Random(seed)
        box = Box(*nodes)
        told: dict[NodeId, tuple[frozenset[NodeId], int]] = {}
        for _ in range(300):
            box.wait(chance.choice((1, 50, 200, 700)))
            part = chance.choice(parts)
            node = chance.choice(part)
            verdict = box.ask(node, *part, first=chance.choice((*nodes, None)))
            told.pop(node, None)
            if verdict is Verdict.CAST:
                told[node] = (frozenset(part), box.now + LEASE_MS)
            live = {part for part, until in told.values() if box.now < until}
            assert not any(one.isdisjoint(other) for one, other in itertools.combinations(live, 2))
