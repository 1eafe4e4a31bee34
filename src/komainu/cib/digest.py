"""Compute the digest of an operation's parameters, by which a change of them is noticed in the history.

Must not know where parameters come from. Source: Pacemaker's `op-digest`: the MD5 of one line of XML,
` <parameters a="…" b="…"/>` and a newline, its attributes sorted by name. MD5 guards nothing here; it is the
form that the histories of the field have.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from komainu.cib.document import escape

_LEFT_OUT: Final = frozenset({"id", "op-digest", "crm_feature_set", "on_node", "pcmk_external_ip"})


def counted(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that count: not what only the cluster adds."""
    return {
        name: value
        for name, value in parameters
        if name not in _LEFT_OUT and not name.startswith("CRM_meta_")
    }


def op_digest(parameters: Iterable[tuple[str, str]], *, recurring_timeout_ms: int | None = None) -> str:
    """Return the digest of an operation's parameters, in hexadecimal.

    `parameters` are the resource's and the operation's own; what only the cluster adds is left out here.
    `recurring_timeout_ms` is the time-out of a recurring operation: a change of it counts, too.
    """
    values = counted(parameters)
    if recurring_timeout_ms is not None:
        values["CRM_meta_timeout"] = str(recurring_timeout_ms)
    return digest(values)


def digest(values: Mapping[str, str]) -> str:
    """Return the digest of these values and no others."""
    text = "".join(f' {name}="{escape(values[name])}"' for name in sorted(values))
    return hashlib.md5(f" <parameters{text}/>\n".encode(), usedforsecurity=False).hexdigest()
