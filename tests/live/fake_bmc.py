"""Play the management controller of one machine, over IPMI on this port, until killed: fake_bmc.py PORT."""

import sys

from pyghmi.ipmi.bmc import Bmc  # type: ignore[import-untyped] # the library has no types


class Machine(Bmc):  # type: ignore[misc] # the library has no types
    """A machine that is only a word: on or off."""

    power = "on"

    def get_power_state(self) -> str:
        return self.power

    def power_off(self) -> None:
        self.power = "off"

    def power_on(self) -> None:
        self.power = "on"

    def power_reset(self) -> None:
        self.power = "on"

    def power_cycle(self) -> None:
        self.power = "on"

    def power_shutdown(self) -> None:
        self.power = "off"


if __name__ == "__main__":
    Machine({"admin": "secret"}, port=int(sys.argv[1])).listen()
