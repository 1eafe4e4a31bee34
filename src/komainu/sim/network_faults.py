"""Break the network of a made-up world: ways that are cut, ends that go, and datagrams that suffer on their way."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from komainu.model.link import LinkState
from komainu.sim.network import Quality
from komainu.sim.scene import Mend, Scene, Strike

END_STATES: Final = (LinkState.NO_CARRIER, LinkState.NO_ADDRESS, LinkState.NO_INTERFACE, LinkState.ADMIN_DOWN)

FLAP_MS: Final = (30, 900)
"""How long a link that flaps stays up or down each time."""


def lose(scene: Scene) -> Mend:
    """A part of all packets is lost."""
    share = scene.chance.uniform(0.01, 0.3)
    scene.world.say(f"{share:.0%} of packets are lost")
    return _worsen(scene, Quality(loss=share))


def delay(scene: Scene) -> Mend:
    """Every packet takes its time, up to a fifth of a second."""
    longest = scene.chance.randint(10, 200)
    scene.world.say(f"packets take up to {longest} ms")
    return _worsen(scene, Quality(delay_ms=(longest // 3, longest)))


def reorder(scene: Scene) -> Mend:
    """Many packets take the long way and are overtaken."""
    share = scene.chance.uniform(0.05, 0.5)
    scene.world.say(f"{share:.0%} of packets are overtaken")
    return _worsen(scene, Quality(late=share))


def double(scene: Scene) -> Mend:
    """Many packets arrive twice."""
    share = scene.chance.uniform(0.05, 0.5)
    scene.world.say(f"{share:.0%} of packets arrive twice")
    return _worsen(scene, Quality(doubled=share))


def spoil(scene: Scene) -> Mend:
    """Bits of datagrams flip, ends are cut off, garbage is added."""
    share = scene.chance.uniform(0.01, 0.3)
    scene.world.say(f"{share:.0%} of packets are spoiled")
    return _worsen(scene, Quality(spoiled=share))


def _worsen(scene: Scene, worse: Quality) -> Mend:
    """Put what differs from a good network into its place, and back when it is over."""
    network, good = scene.world.network, Quality()
    names = [name for name in Quality.__slots__ if getattr(worse, name) != getattr(good, name)]
    network.quality = replace(network.quality, **{name: getattr(worse, name) for name in names})

    def mend() -> None:
        network.quality = replace(network.quality, **{name: getattr(good, name) for name in names})

    return mend


def cut_link(scene: Scene) -> Mend:
    """A link is cut between all nodes, as when its switch dies behind ports that stay up."""
    link, network = scene.link(), scene.world.network
    scene.world.say(f"link {link} is cut")
    network.cut_link(link)
    return partial(network.mend_link, link)


def cut_one_way(scene: Scene) -> Mend:
    """One node's packets reach another no more, on one link or on all."""
    (sender, receiver), network = scene.pair(), scene.world.network
    link = scene.chance.choice((None, scene.link()))
    scene.world.say(f"{'all links' if link is None else f'link {link}'} from {sender} to {receiver} cut")
    network.cut_one_way(sender, receiver, link)
    return partial(network.mend_one_way, sender, receiver, link)


def cut_pair(scene: Scene) -> Mend:
    """Two nodes cannot reach each other any more, on any link; all others can."""
    (one, other), network = scene.pair(), scene.world.network
    scene.world.say(f"{one} and {other} are cut from each other")
    network.part({one}, {other})
    return partial(network.join, {one}, {other})


def part(scene: Scene) -> Mend:
    """The nodes are parted in two on every link."""
    side = set(scene.chance.sample(scene.nodes, scene.chance.randint(1, len(scene.nodes) - 1)))
    others, network = set(scene.nodes) - side, scene.world.network
    scene.world.say(f"parted: {sorted(side)} from {sorted(others)}")
    network.part(side, others)
    return partial(network.join, side, others)


def break_end(scene: Scene) -> Mend:
    """Carrier, address or interface is taken from one node's end of one link."""
    node, link, state = scene.node(), scene.link(), scene.chance.choice(END_STATES)
    scene.world.set_end(node, link, state)
    return partial(scene.world.set_end, node, link, LinkState.UP)


def by_frames(scene: Scene) -> Mend:
    """The addresses of one node are deleted, on a link or on all; raw frames still pass."""
    world, node = scene.world, scene.node()
    links = scene.chance.choice((scene.links, (scene.link(),)))
    for link in links:
        world.set_end(node, link, LinkState.BY_FRAMES)

    def mend() -> None:
        for link in links:
            world.set_end(node, link, LinkState.UP)

    return mend


def flap(scene: Scene) -> Mend:
    """One node's end of a link goes down and comes back, again and again."""
    world, node, link = scene.world, scene.node(), scene.link()
    moment, state = 0, LinkState.NO_CARRIER
    while moment < scene.lasts_ms:
        world.clock.after(moment, partial(world.set_end, node, link, state))
        state = LinkState.UP if state is LinkState.NO_CARRIER else LinkState.NO_CARRIER
        moment += scene.chance.randint(*FLAP_MS)
    return partial(world.set_end, node, link, LinkState.UP)


HARMLESS: Final = ("by-frames",)

CUTS: Final = ("cut-link", "one-way", "cut-pair", "partition", "end")

KINDS: Final[Mapping[str, Strike]] = {
    "loss": lose,
    "delay": delay,
    "reorder": reorder,
    "duplicate": double,
    "corrupt": spoil,
    "cut-link": cut_link,
    "one-way": cut_one_way,
    "cut-pair": cut_pair,
    "partition": part,
    "end": break_end,
    "by-frames": by_frames,
    "flap": flap,
}
