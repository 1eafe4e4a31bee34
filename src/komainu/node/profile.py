"""Say what one word in komainu.toml stands for: settings that belong together, and what a configuration lacks of them.

Pure. Decides defaults only: what the file says itself counts. Must not know how any of it works.
Source: what Linux-HA Japan recommends for pairs (linux-ha-japan.github.io, wp/archives/4377, 4798 and 4802).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.cib.options import is_true
from komainu.cib.pairs import pair_value
from komainu.model.duration import show_ms
from komainu.model.score import parse
from komainu.node.devices import fence_devices, fencing_option
from komainu.ring.settings import LinkMode


@dataclass(frozen=True, slots=True)
class Default:
    """A resource default, and why it is wanted."""

    name: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a word stands for."""

    name: str
    links_min: int
    link_mode: LinkMode
    watchdog_device: str
    watchdog_timeout_ms: int
    fails_fast: bool  # a daemon that died is not started again: its machine is reset
    defaults: tuple[Default, ...]


LINUX_HA_JAPAN: Final = Profile(
    name="linux-ha-japan",
    links_min=2,
    link_mode=LinkMode.ACTIVE,
    watchdog_device="/dev/watchdog",
    watchdog_timeout_ms=6_000,
    fails_fast=True,
    defaults=(
        Default("resource-stickiness", "INFINITY", "a service never moves back by itself"),
        Default("migration-threshold", "1", "it moves at its first failure"),
    ),
)

PROFILES: Final = {profile.name: profile for profile in (LINUX_HA_JAPAN,)}


def meaning(profile: Profile) -> tuple[tuple[str, str, str], ...]:
    """Say what a profile means: what it sets, to what, and why."""
    ends = "a daemon that died is not started again; the watchdog resets the machine, and the peer takes over"
    return (
        ("[watchdog] device", profile.watchdog_device, "a stack that crashed leaves no service alone"),
        ("[watchdog] timeout", show_ms(profile.watchdog_timeout_ms), "how long the daemon may stand still"),
        ("fail fast", "yes" if profile.fails_fast else "no", ends),
        (
            "links of each node",
            f"at least {profile.links_min}",
            "one cable must not be able to split the pair",
        ),
        ("[cluster] link_mode", profile.link_mode.value, "every packet on every link"),
        *((f"default {one.name}", one.value, one.why) for one in profile.defaults),
        ("in a split", "who runs the service wins", "docs/concepts/two-nodes.md; needs no standby_wait_time"),
    )


def departures(profile: Profile, cib: Element) -> Iterator[str]:
    """Say where a configuration departs from a profile, each with its remedy."""
    configuration = cib.first("configuration")
    defaults = None if configuration is None else configuration.first("rsc_defaults")
    for wanted in profile.defaults:
        has = pair_value(defaults, "meta_attributes", wanted.name)
        if has is None or parse(has) != parse(wanted.value):
            stands = "is not set" if has is None else f"is {has}"
            yield (
                f"the resource default {wanted.name} {stands}, not {wanted.value}: {wanted.why}. "
                f"Set it in rsc_defaults"
            )
    if not is_true(fencing_option(cib, "enabled"), default=True):
        yield "fencing is off (stonith-enabled=false): remove that option"
    elif not fence_devices(cib):
        yield "there is no fence device: add one for each node"
