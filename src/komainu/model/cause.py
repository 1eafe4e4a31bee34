"""Keep the reason of each act: a sentence, its evidence, and what caused it in turn.

Every command carries a `Cause`. A cause may name the record (recorder/) that caused it, so that the chain
from "the web server was started on b" back to "carrier of eth1 lost" can be walked a month later (S6).
"""

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """Why something is done, in one sentence, with the record of what caused it in turn.

    `because` names flight records by their position, `LINEAGE.INDEX`, of the same cluster; the empty tuple
    means that the cause comes from outside the cluster: an operator, a cable, a process.
    """

    code: str  # dotted and stable: "membership.peer-lost", "operator.standby", "resource.monitor-failed"
    text: str  # one sentence, past tense, names the node or resource it is about
    because: tuple[str, ...] = ()
