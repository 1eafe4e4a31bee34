"""Play the operators of a made-up world: what they ask, and what was answered "done" and must not be lost."""

from typing import TYPE_CHECKING

from komainu.model.edit import SetOption
from komainu.model.ids import NodeId, NodeName
from komainu.model.request import Cleanup, Done, EditConfigurationRequest, Reply, Request
from komainu.node.interface import ClientAsked, ClientId

if TYPE_CHECKING:
    from komainu.sim.world import World


class Clients:
    """Everybody who asks a node of a world for something."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._asked: dict[tuple[NodeId, ClientId], str] = {}
        self._count = 0

    def ask(self, node: NodeId, request: Request, *, promises: str = "") -> None:
        """Ask a node something; `promises` names the setting that must not be lost once it is done."""
        machine = self._world.machines[node]
        if machine.drive is None:
            return
        self._count += 1
        client = ClientId(self._count)
        self._asked[node, client] = promises
        self._world.give(machine, ClientAsked(client, request, "root"))

    def answered(self, node: NodeId, client: ClientId, reply: Reply) -> None:
        """Take an answer: what was done is remembered for the checker (S3)."""
        promised = self._asked.pop((node, client), "")
        if promised and isinstance(reply, Done):
            self._world.observer.acknowledged(self._world.machines[node], promised)

    def set_option(self, node: NodeId, name: str) -> None:
        """Set an attribute of a node by this name, to be found again later."""
        owner = self._world.machines[node].name
        edit = SetOption(owner=owner, set_tag="instance_attributes", name=name, value="1")
        self.ask(node, EditConfigurationRequest((edit,), f"set {name}"), promises=name)

    def set_standby(self, node: NodeId, target: NodeName, *, standby: bool) -> None:
        """Put a node into standby, or back."""
        value = "on" if standby else None
        edit = SetOption(owner=target, set_tag="instance_attributes", name="standby", value=value)
        self.ask(node, EditConfigurationRequest((edit,), f"standby of {target}: {standby}"))

    def clean_up(self, node: NodeId) -> None:
        """Have all failures forgotten, as an operator does once the agents are mended."""
        self.ask(node, Cleanup(None, None))
