"""The agents that komainu brings along: programs of their own, which know nothing of the daemon.

They use the standard library only, and little of it: an agent runs at every monitor, so each import counts.
"""
