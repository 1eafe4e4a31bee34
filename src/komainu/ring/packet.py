"""Define the packets that ring nodes exchange. (The ring's author replaces this.)"""

import msgspec


class Packet(msgspec.Struct, frozen=True, tag_field="packet"):
    """What all packets have."""
