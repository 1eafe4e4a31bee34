"""Who is the clerk: nobody whose storage was silent for too long, and nobody while another may believe to be it."""

from komainu.model.ids import Instant, NodeId
from komainu.witness.clerk import Block, Clerkship, patience_ms
from komainu.witness.slots import SLOTS, Page

A, B = NodeId(1), NodeId(2)
LEASE_MS = 1_000
PATIENCE_MS = patience_ms(LEASE_MS)
BLANK = {slot: Block(b"") for slot in range(SLOTS)}


def block(life: int, number: int, claim: int = 0) -> Block:
    return Block(f"{life} {number} {claim}".encode(), Page(A, life, number, claim, None, ()))


class Bench:
    """Node b's clerkship, looking ten times a lease at what node a has in its slot."""

    def __init__(self) -> None:
        self.clerkship = Clerkship(B, LEASE_MS)
        self.now = 10_000

    def look(self, slot: Block, wait_ms: int = 0) -> None:
        self.now += wait_ms
        self.clerkship.look({**BLANK, A: slot}, Instant(self.now))

    def watch(self, slot: Block, for_ms: int) -> None:
        for _ in range(for_ms // 100):
            self.look(slot, 100)

    def may(self) -> bool:
        return self.clerkship.may_claim(Instant(self.now))

    def take(self, took_ms: int = 0) -> bool:
        return self.clerkship.take(Instant(self.now - took_ms), Instant(self.now))


def test_nobody_is_the_clerk_before_patience_has_passed() -> None:
    bench = Bench()
    bench.look(Block(b""))
    bench.watch(Block(b""), PATIENCE_MS - 100)
    assert not bench.may()
    bench.watch(Block(b""), 100)
    assert bench.may()
    assert bench.take()
    assert bench.clerkship.is_held(Instant(bench.now + LEASE_MS - 1))
    assert not bench.clerkship.is_held(Instant(bench.now + LEASE_MS))


def test_slots_that_were_never_looked_at_are_not_quiet() -> None:
    clerkship = Clerkship(B, LEASE_MS)
    clerkship.look({A: Block(b"")}, Instant(0))
    assert not clerkship.may_claim(Instant(9 * LEASE_MS))


def test_a_clerk_that_goes_on_is_waited_for_and_one_that_fell_silent_no_longer() -> None:
    bench = Bench()
    bench.look(block(7, 1, claim=5))
    for number in range(2, 40):
        bench.look(block(7, number, claim=5), 100)
        assert not bench.may()
    bench.watch(block(7, 39, claim=5), PATIENCE_MS)
    assert bench.may()


def test_a_node_that_claims_nothing_is_not_waited_for_but_has_the_first_try() -> None:
    bench = Bench()
    bench.look(block(7, 1))
    for number in range(2, 14):
        bench.look(block(7, number), 100)
    assert bench.now - 10_000 >= PATIENCE_MS
    assert bench.may()
    bench.now -= 100
    assert not bench.may(), "a has the lower slot"


def test_a_claim_that_comes_while_this_one_is_written_ends_the_try() -> None:
    bench = Bench()
    bench.look(block(7, 1))
    bench.watch(block(7, 1), PATIENCE_MS + 200)
    assert bench.may()
    bench.look(block(7, 2, claim=6), 3)
    assert not bench.take(took_ms=3)
    assert not bench.may()


def test_a_late_write_of_an_earlier_life_is_not_quiet() -> None:
    """The clerk's claim was under it; it has a lease to write again."""
    bench = Bench()
    bench.look(block(8, 4))
    bench.watch(block(8, 4), PATIENCE_MS)
    bench.look(block(7, 99), 50)
    assert not bench.may()
    assert not bench.take()


def test_numbers_that_run_backwards_and_pages_that_are_none_are_not_quiet() -> None:
    for other in (block(7, 1), Block(b"torn"), Block(b"")):
        bench = Bench()
        bench.look(block(7, 2))
        bench.watch(block(7, 2), PATIENCE_MS)
        assert bench.may()
        bench.look(other, 50)
        assert not bench.may()
        bench.watch(other, PATIENCE_MS)
        assert bench.may(), "a stranger's block that stays as it is is dead"


def test_who_did_not_look_for_a_lease_begins_to_watch_anew() -> None:
    """Meanwhile another may have come to be the clerk, with a late write over its claim."""
    bench = Bench()
    bench.look(block(7, 1))
    bench.watch(block(7, 1), PATIENCE_MS)
    assert bench.may()
    bench.look(block(7, 1), LEASE_MS + 1)
    assert not bench.may()


def test_a_round_that_was_over_too_late_keeps_nothing_up() -> None:
    bench = Bench()
    bench.look(Block(b""))
    bench.watch(Block(b""), PATIENCE_MS)
    assert bench.take()
    began = Instant(bench.now + 900)
    bench.clerkship.keep_up(began, Instant(bench.now + 999))
    assert bench.clerkship.is_held(Instant(began + LEASE_MS - 1))
    late = Instant(began + LEASE_MS)
    bench.clerkship.keep_up(Instant(late - 50), late)
    assert not bench.clerkship.is_held(late)
    bench.clerkship.keep_up(late, late)
    assert not bench.clerkship.is_held(late), "what has run out is not kept up again"


def test_a_try_that_took_longer_than_a_lease_is_none() -> None:
    bench = Bench()
    bench.look(Block(b""))
    bench.watch(Block(b""), 3 * PATIENCE_MS)
    assert not bench.take(took_ms=LEASE_MS)
