"""A witness that is a file or a disk: one clerk, one part with the vote, whatever the storage and the clocks do."""

from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import combinations
from random import Random

import pytest

from komainu.model.ids import Instant, NodeId
from komainu.model.view import ViewId
from komainu.witness.clerk import ROUNDS_PER_LEASE, Block, patience_ms
from komainu.witness.lease import LOOKS_MIN, Lease, Out, StartRound
from komainu.witness.slots import SLOTS, Header, Page, slot_of
from komainu.witness.voter import Part, Told

LEASE_MS = 1_000
HEADER = Header(LEASE_MS, "office", b"u" * 16)


class Storage:
    """Slots, and what makes them slow: a write or a read may take long, fail, and land all the same, later."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.header = HEADER
        self.blocks: dict[int, Block] = {}
        self.slow_ms = 5
        self.hang, self.fail = 0.0, 0.0
        self.cut_off: set[NodeId] = set()

    def block(self, slot: int) -> Block:
        return self.blocks.get(slot, Block(b""))

    def land(self, page: Page) -> None:
        raw = f"{page.node} {page.life} {page.number}".encode()
        self.blocks[slot_of(page.node)] = Block(raw, page)

    def delay(self) -> int:
        if self.chance.random() < self.hang:
            return self.chance.randint(0, 4 * LEASE_MS)
        return self.chance.randint(0, self.slow_ms)


class World:
    """Nodes with clocks of their own, and their parts, on one true time in milliseconds."""

    def __init__(self, count: int, chance: Random, storage: Storage) -> None:
        self.chance, self.storage = chance, storage
        self.nodes = [NodeId(number) for number in range(1, count + 1)]
        self.now = 10_000.0
        self.counter = 0
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.parts: dict[NodeId, tuple[NodeId, ...]] = {}
        self.views: dict[NodeId, ViewId] = {}
        self.leases: dict[NodeId, Lease] = {}
        self.lives: dict[NodeId, int] = dict.fromkeys(self.nodes, 0)
        self.believes: dict[NodeId, bool] = {}
        self.rate = {node: 1 + chance.uniform(-0.02, 0.02) for node in self.nodes}
        self.start_at = {node: chance.randint(0, 10**9) for node in self.nodes}
        self.votes_lost = 0
        for node in self.nodes:
            self.boot(node)

    def clock(self, node: NodeId) -> Instant:
        return Instant(int(self.start_at[node] + self.now * self.rate[node]))

    def after(self, true_ms: float, act: Callable[[], None]) -> None:
        self.counter += 1
        heappush(self.due, (self.now + true_ms, self.counter, act))

    def boot(self, node: NodeId) -> None:
        chance = Random(self.chance.getrandbits(64))
        self.lives[node] += 1
        self.leases[node] = Lease("w", node, lambda: chance.getrandbits(60) + 1)
        self.believes[node] = False
        self.parts[node], self.views[node] = (), ViewId(0, node)
        self.wake(node, self.lives[node])

    def crash(self, node: NodeId) -> None:
        """Let a daemon end: what it was writing may land, now or much later."""
        self.lives[node] += 1
        self.leases.pop(node, None)
        self.believes[node] = False

    def split(self, *parts: tuple[NodeId, ...]) -> None:
        """Let the nodes be in these parts, and ask for each when it has noticed."""
        for part in parts:
            for node in part:
                self.after(self.chance.randint(0, 300), lambda node=node, part=part: self.join(node, part))  # type: ignore[misc]  # bound at once

    def join(self, node: NodeId, part: tuple[NodeId, ...]) -> None:
        lease = self.leases.get(node)
        if lease is None:
            return
        self.counter += 1
        self.parts[node], self.views[node] = part, ViewId(self.counter, node)
        self.believes[node] = False
        self.carry_out(
            node, lease.ask(Part(self.views[node], part, tuple(self.nodes), None), self.clock(node))
        )

    def wake(self, node: NodeId, life: int) -> None:
        """Tick at the deadline, as a shell does; never later, since who stands still does nothing."""
        lease = self.leases.get(node)
        if lease is None or self.lives[node] != life:
            return
        if lease.deadline is not None and self.clock(node) >= lease.deadline:
            self.carry_out(node, lease.tick(self.clock(node)))
        due = (
            self.clock(node) + 100 if lease.deadline is None else min(lease.deadline, self.clock(node) + 100)
        )
        self.after(max(1.0, (due - self.clock(node)) / self.rate[node]), lambda: self.wake(node, life))

    def carry_out(self, node: NodeId, effects: list[Out]) -> None:
        for effect in effects:
            if isinstance(effect, StartRound):
                self.begin_round(node, effect)
            elif isinstance(effect, Told) and effect.view == self.views[node]:
                self.votes_lost += self.believes[node] and not effect.is_cast
                self.believes[node] = effect.is_cast
        self.check()

    def begin_round(self, node: NodeId, start: StartRound) -> None:
        life, page, storage = self.lives[node], start.page, self.storage
        landed = storage.delay()
        if node in storage.cut_off or self.chance.random() < storage.fail:
            if page is not None and self.chance.random() < 0.5:  # it failed, and comes all the same
                self.after(landed * self.chance.randint(1, 5), lambda: storage.land(page))
            self.after(storage.delay(), lambda: self.fail(node, life))
            return
        if page is not None:
            self.after(landed, lambda: storage.land(page))
        slots = range(SLOTS) if start.slots is None else start.slots
        self.after(landed + storage.delay(), lambda: self.read(node, life, list(slots)))

    def read(self, node: NodeId, life: int, slots: list[int]) -> None:
        """Each block is read at its own moment; a block may be read late, but is what it was then."""
        header, blocks = self.storage.header, {slot: self.storage.block(slot) for slot in slots}
        self.after(self.storage.delay(), lambda: self.took(node, life, header, blocks))

    def took(self, node: NodeId, life: int, header: Header, blocks: dict[int, Block]) -> None:
        lease = self.leases.get(node)
        if lease is not None and self.lives[node] == life:
            self.carry_out(node, lease.took(header, blocks, self.clock(node)))

    def fail(self, node: NodeId, life: int) -> None:
        lease = self.leases.get(node)
        if lease is not None and self.lives[node] == life:
            self.carry_out(node, lease.failed("Input/output error", self.clock(node)))

    def run(self, true_ms: float) -> None:
        until = self.now + true_ms
        while self.due and self.due[0][0] <= until:
            self.now, _, act = heappop(self.due)
            act()
        self.now = until

    def holders(self) -> set[tuple[NodeId, ...]]:
        return {self.parts[node] for node, believes in self.believes.items() if believes}

    def check(self) -> None:
        clerks = [node for node, lease in self.leases.items() if lease.is_clerk(self.clock(node))]
        assert len(clerks) <= 1, f"nodes {clerks} are clerks at once"
        for one, other in combinations(self.holders(), 2):
            assert set(one) & set(other), f"parts {one} and {other} have the vote at once"


def world(count: int = 2, seed: int = 0) -> World:
    chance = Random(seed)
    made = World(count, chance, Storage(chance))
    made.split(tuple(made.nodes))
    made.run(6 * LEASE_MS)
    return made


A, B = NodeId(1), NodeId(2)


def test_a_whole_pair_has_the_vote_and_keeps_it() -> None:
    pair = world()
    assert pair.holders() == {(A, B)}
    pair.run(20 * LEASE_MS)
    assert (pair.holders(), pair.votes_lost) == ({(A, B)}, 0)


@pytest.mark.parametrize("dead", [A, B])
def test_who_is_left_has_the_vote_soon(dead: NodeId) -> None:
    """Whether the dead one was the clerk or not: within patience, a look, a claim and a question or two."""
    pair = world()
    left = B if dead == A else A
    pair.crash(dead)
    pair.join(left, (left,))
    pair.run(patience_ms(LEASE_MS) + 3 * LEASE_MS // ROUNDS_PER_LEASE)
    assert pair.holders() == {(left,)}


def test_of_two_halves_only_one_has_the_vote() -> None:
    pair = world()
    pair.split((A,), (B,))
    pair.run(2 * LEASE_MS)
    assert pair.holders() == {(A,)}
    pair.split((A, B))
    pair.run(2 * LEASE_MS)
    assert pair.holders() == {(A, B)}


def test_who_has_the_vote_keeps_it_when_the_clerk_is_fenced() -> None:
    """The clerk gave it to the other half. That is the clerk itself before the vote runs out: its services do not stop."""
    was_clerk = 0
    for seed in range(40):
        pair = world(seed=seed)
        pair.storage.slow_ms = 20
        pair.split((A,), (B,))
        pair.run(2 * LEASE_MS + pair.chance.randint(0, LEASE_MS))
        assert pair.holders() == {(A,)}
        before = pair.votes_lost
        was_clerk += pair.leases[B].is_clerk(pair.clock(B))
        pair.crash(B)
        pair.run(6 * LEASE_MS)
        assert (pair.holders(), pair.votes_lost - before) == ({(A,)}, 0)
    assert was_clerk > 5


def test_a_half_that_lost_the_disk_loses_the_vote_before_the_other_half_has_it() -> None:
    pair = world()
    pair.split((A,), (B,))
    pair.run(2 * LEASE_MS)
    pair.storage.cut_off = {A}
    pair.run(4 * LEASE_MS)
    assert pair.holders() == {(B,)}
    assert "Input/output error" in pair.leases[A].trouble


def test_a_hung_disk_is_said_and_keeps_no_vote_up() -> None:
    pair = world()
    pair.storage.hang = 1.0
    pair.storage.delay = lambda: 10**6  # type: ignore[method-assign]  # a disk that never answers
    pair.run(3 * LEASE_MS)
    assert pair.holders() == set()
    assert pair.leases[A].trouble == "a read or write takes longer than a lease"


def give_each_its_own(pair: World, files: dict[NodeId, Storage]) -> None:
    """Let each node see a file of its own from now on."""
    pair_begin = pair.begin_round

    def begin(node: NodeId, start: StartRound) -> None:
        pair.storage = files[node]
        pair_begin(node, start)

    def read(node: NodeId, life: int, slots: list[int]) -> None:
        pair.took(node, life, files[node].header, {slot: files[node].block(slot) for slot in slots})

    pair.begin_round = begin  # type: ignore[method-assign]  # one storage for each
    pair.read = read  # type: ignore[method-assign]
    pair.check = lambda: None  # type: ignore[method-assign]  # each file has a clerk of its own


def test_a_file_that_is_not_shared_gives_nobody_the_vote() -> None:
    """Each half sees a file of its own: both would go on."""
    chance = Random(1)
    pair = World(2, chance, Storage(chance))
    give_each_its_own(pair, {A: pair.storage, B: Storage(chance)})
    pair.split((A, B))
    pair.run((LOOKS_MIN + 60) * LEASE_MS // ROUNDS_PER_LEASE)
    assert pair.leases[A].strangers() == [B]
    pair.split((A,), (B,))
    pair.run(6 * LEASE_MS)
    assert pair.holders() == set()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("whose", [A, B])
def test_a_private_copy_that_is_put_in_its_place_gives_no_vote(whose: NodeId, seed: int) -> None:
    """It has the header and the pages of both nodes; only the file is another one. It came while both had the vote."""
    pair = world(seed=seed)
    other = B if whose == A else A
    shared, copy = pair.storage, Storage(pair.chance)
    copy.blocks, copy.header = dict(shared.blocks), replace(HEADER, identity=(2,))
    give_each_its_own(pair, {other: shared, whose: copy})
    pair.run(pair.chance.randint(0, 2 * LEASE_MS))
    pair.split((A,), (B,))
    for _ in range(60):
        pair.run(LEASE_MS / ROUNDS_PER_LEASE)
        assert (whose,) not in pair.holders()
    assert pair.holders() == {(other,)}
    pair.split((A, B))
    pair.run((LOOKS_MIN + 60) * LEASE_MS // ROUNDS_PER_LEASE)
    assert pair.leases[whose].strangers() == [other]


def test_a_file_that_was_prepared_anew_is_begun_with_anew() -> None:
    pair = world()
    pair.storage.blocks.clear()
    pair.storage.header = Header(LEASE_MS, "office", b"v" * 16)
    pair.run(LEASE_MS // ROUNDS_PER_LEASE * 3)
    assert pair.holders() == set()
    pair.run(3 * LEASE_MS)
    assert pair.holders() == {(A, B)}


def test_somebody_else_in_the_own_slot_is_said() -> None:
    pair = world()
    other = Page(A, 7, 1, 0, None, ())
    for ms in range(2 * LEASE_MS // ROUNDS_PER_LEASE):
        pair.after(ms, lambda: pair.storage.land(other))
    pair.run(2 * LEASE_MS // ROUNDS_PER_LEASE)
    assert pair.leases[A].trouble == "somebody else writes into this node's slot"
    pair.run(4 * LEASE_MS)
    assert (pair.leases[A].trouble, pair.holders()) == ("", {(A, B)})


class Lone:
    """One node's lease, by hand: a round is carried out when the test says so."""

    def __init__(self) -> None:
        draws = iter(range(1, 10**6))
        self.lease = Lease("w", A, lambda: next(draws))
        self.blocks = {slot: Block(b"") for slot in range(SLOTS)}
        self.now = 10_000
        self.starts: list[StartRound] = []
        self.take(self.lease.ask(Part(ViewId(1, A), (A,), (A, B), None), Instant(self.now)))

    def take(self, effects: list[Out]) -> None:
        self.starts += [effect for effect in effects if isinstance(effect, StartRound)]

    def answer(self) -> StartRound:
        """Carry out the round that was begun last."""
        start = self.starts.pop()
        assert not self.starts
        if start.page is not None:
            self.blocks[slot_of(A)] = Block(str(start.page).encode(), start.page)
        blocks = self.blocks if start.slots is None else {slot: self.blocks[slot] for slot in start.slots}
        self.take(self.lease.took(HEADER, blocks, Instant(self.now)))
        return start

    def tick(self, after_ms: int = 50) -> None:
        self.now += after_ms
        self.take(self.lease.tick(Instant(self.now)))

    def run_until(self, done: Callable[[], bool]) -> None:
        for _ in range(10 * LEASE_MS):
            if done():
                return
            if self.starts:
                self.answer()
            else:
                self.tick()
        pytest.fail("it does not come to it")


def test_a_box_waits_longer_for_a_question_than_its_node_believes_in_the_answer() -> None:
    lone = Lone()
    lone.run_until(lambda: lone.lease.is_clerk(Instant(lone.now)))
    page = lone.blocks[slot_of(A)].page
    assert page is not None
    assert page.question is not None
    assert page.question.lease_ms == patience_ms(LEASE_MS) > LEASE_MS


def test_a_write_that_failed_ends_the_life_of_its_pages() -> None:
    lone = Lone()
    lone.run_until(lambda: bool(lone.starts and lone.starts[-1].page))
    lost = lone.starts.pop().page
    assert lost is not None
    lone.take(lone.lease.failed("Input/output error", Instant(lone.now)))
    lone.tick(LEASE_MS)
    assert lone.answer().page is None, "it reads first"
    lone.run_until(lambda: bool(lone.starts and lone.starts[-1].page))
    page = lone.starts[-1].page
    assert page is not None
    assert page.life != lost.life


def test_a_clerk_whose_write_came_back_too_late_has_to_watch_all_slots_again() -> None:
    lone = Lone()
    lone.run_until(lambda: lone.lease.is_clerk(Instant(lone.now)))
    later = lone.now + LEASE_MS // 2
    lone.run_until(lambda: lone.now >= later and not lone.starts)
    lone.run_until(lambda: bool(lone.starts and lone.starts[-1].page))
    page, began = lone.starts[-1].page, lone.now
    assert page is not None
    while lone.lease.is_clerk(Instant(lone.now)):
        lone.tick()
    assert page.claim
    assert lone.now - began < LEASE_MS, "the last claim that was kept up has run out, this one would not have"
    lone.answer()
    assert not lone.lease.is_clerk(Instant(lone.now)), "the claim that it wrote has run out"
    lone.run_until(lambda: lone.lease.is_clerk(Instant(lone.now)))
    again = lone.blocks[slot_of(A)].page
    assert again is not None
    assert again.claim != page.claim, "its ballot box is another one"


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("seed", range(2))
def test_no_two_parts_have_the_vote_whatever_happens(count: int, seed: int) -> None:
    """Crashes, splits, writes and reads that hang, fail, and land late, even in the next life; then peace."""
    chance = Random(1000 * count + seed)
    made = World(count, chance, Storage(chance))
    made.split(tuple(made.nodes))
    for _ in range(12):
        storage = made.storage
        storage.slow_ms = chance.choice((2, 40, 300))
        storage.hang, storage.fail = chance.choice((0.0, 0.02, 0.3)), chance.choice((0.0, 0.02, 0.2))
        storage.cut_off = set(chance.sample(made.nodes, chance.choice((0, 0, 1))))
        for node in made.nodes:
            if node not in made.leases:
                made.boot(node)
            elif chance.random() < 0.15:
                made.crash(node)
        shuffled = chance.sample(made.nodes, count)
        at = chance.randint(0, count - 1)
        made.split(*(tuple(sorted(part)) for part in (shuffled[:at], shuffled[at:]) if part))
        made.run(chance.choice((300, 1_500, 6_000)))
    made.storage.slow_ms, made.storage.hang, made.storage.fail = 5, 0.0, 0.0
    made.storage.cut_off = set()
    made.run(10 * LEASE_MS)  # what hung has landed
    for node in made.nodes:
        if node not in made.leases:
            made.boot(node)
    made.split(tuple(made.nodes))
    made.run(5 * LEASE_MS)
    made.split((A,), tuple(made.nodes[1:]))
    made.run(3 * LEASE_MS)
    assert made.holders() == ({tuple(made.nodes[1:])} if count > 2 else {(A,)})
