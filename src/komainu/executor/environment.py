"""Decide the environment in which an OCF agent runs: the variables that agents have read for twenty years.

Knows nothing of processes; PATH and the rest of the machine's own environment are the shell's.
Source: OCF resource agent API 1.1 (names and OCF_RESKEY_ prefix); what Pacemaker 2.1.5 was seen to set.
"""

from typing import Final

from komainu.model.operation import ActionRequest

OCF_ROOT: Final = "/usr/lib/ocf"
EXIT_REASON_PREFIX: Final = "ocf-exit-reason:"
CRM_FEATURE_SET: Final = "3.19.7"
"""What agents compare to learn the cluster's age: from 3.1.0 on they use the names of promotable clones."""

_CHECK_LEVEL: Final = "OCF_CHECK_LEVEL"
ALWAYS: Final = {
    "OCF_ROOT": OCF_ROOT,
    "OCF_RA_VERSION_MAJOR": "1",
    "OCF_RA_VERSION_MINOR": "1",
    "OCF_EXIT_REASON_PREFIX": EXIT_REASON_PREFIX,
    "OCF_OUTPUT_FORMAT": "text",
    "OCF_RESKEY_crm_feature_set": CRM_FEATURE_SET,
    "HA_LOGFACILITY": "daemon",
    "HA_logfacility": "daemon",
    "HA_cluster_type": "corosync",
    "HA_quorum_type": "corosync",
    "HA_mcp": "true",
    "PCMK_service": "pacemaker-execd",
    "PCMK_logfacility": "daemon",
    "PCMK_cluster_type": "corosync",
    "PCMK_quorum_type": "corosync",
    "PCMK_mcp": "true",
}
"""What every run of an agent gets, whatever it is asked."""


def environment_of(request: ActionRequest) -> tuple[tuple[str, str], ...]:
    """Return the variables for one run of an agent, sorted by name.

    A probe has no `interval`, as agents test for that. What the plan says in `meta` wins over what is
    derived from the request.
    """
    meta = {"name": request.operation, "on_node": str(request.node), "timeout": str(request.timeout_ms)}
    if request.interval_ms:
        meta["interval"] = str(request.interval_ms)
    meta.update(request.meta)
    # The check level of OCF is an attribute of the operation, and the one parameter without a prefix.
    level = meta.pop(_CHECK_LEVEL, None)
    parameters = dict(request.parameters)
    level = parameters.pop(_CHECK_LEVEL, level)

    variables = dict(ALWAYS)
    variables["OCF_RESOURCE_INSTANCE"] = str(request.resource)
    variables["OCF_RESOURCE_TYPE"] = request.agent.agent_type
    if request.agent.provider is not None:
        variables["OCF_RESOURCE_PROVIDER"] = request.agent.provider
    if level is not None:
        variables[_CHECK_LEVEL] = level
    for name, text in parameters.items():
        variables[f"OCF_RESKEY_{name}"] = text
    for name, text in meta.items():
        variables[f"OCF_RESKEY_CRM_meta_{name.replace('-', '_')}"] = text
    return tuple(sorted(variables.items()))
