"""Corosync as the engine: the ring's promises made from closed process groups, as cores."""
