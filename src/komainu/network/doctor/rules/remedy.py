"""Say how something is mended by the tools that a machine has.

Decides words only; shared by rules.
"""

from komainu.network.doctor.cluster import Stack
from komainu.network.doctor.machine import Machine


def set_option(machine: Machine, name: str, value: str) -> str:
    """Return the command that sets a cluster option, by the tool that this machine has."""
    if all(cluster.stack is Stack.KOMAINU for cluster in machine.clusters):
        return f"set {name} to {value} in crm_config: komainu config show, edit, komainu config apply"
    return f"pcs property set {name}={value} (crmsh: crm configure property {name}={value})"
