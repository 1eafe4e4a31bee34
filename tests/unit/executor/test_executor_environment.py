"""Check the variables that agents find, name by name."""

from komainu.executor.environment import environment_of
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import ActionRequest, AgentName


def variables(
    *,
    interval_ms: int = 0,
    parameters: tuple[tuple[str, str], ...] = (),
    meta: tuple[tuple[str, str], ...] = (),
) -> dict[str, str]:
    request = ActionRequest(
        node=NodeName("a"),
        resource=ResourceId("web:0"),
        agent=AgentName("ocf", "heartbeat", "apache"),
        operation="monitor",
        interval_ms=interval_ms,
        timeout_ms=20_000,
        parameters=parameters,
        meta=meta,
        target_rc=0,
        transition_key="",
        digest="",
    )
    environment = environment_of(request)
    assert list(environment) == sorted(environment)
    return dict(environment)


def test_what_every_agent_finds() -> None:
    found = variables()
    assert found["OCF_ROOT"] == "/usr/lib/ocf"
    assert (found["OCF_RA_VERSION_MAJOR"], found["OCF_RA_VERSION_MINOR"]) == ("1", "1")
    assert found["OCF_RESOURCE_INSTANCE"] == "web:0"
    assert (found["OCF_RESOURCE_PROVIDER"], found["OCF_RESOURCE_TYPE"]) == ("heartbeat", "apache")
    assert found["OCF_EXIT_REASON_PREFIX"] == "ocf-exit-reason:"
    assert found["OCF_RESKEY_CRM_meta_timeout"] == "20000"
    assert found["OCF_RESKEY_CRM_meta_on_node"] == "a"
    assert found["PCMK_service"] == "pacemaker-execd"


def test_a_probe_has_no_interval() -> None:
    assert "OCF_RESKEY_CRM_meta_interval" not in variables()
    assert variables(interval_ms=10_000)["OCF_RESKEY_CRM_meta_interval"] == "10000"


def test_parameters_and_meta_attributes_have_their_prefixes() -> None:
    found = variables(
        parameters=(("OCF_CHECK_LEVEL", "10"), ("ip", "10.0.0.1")),
        meta=(("clone-max", "2"), ("notify_type", "pre"), ("timeout", "30000")),
    )
    assert found["OCF_RESKEY_ip"] == "10.0.0.1"
    assert found["OCF_CHECK_LEVEL"] == "10"
    assert "OCF_RESKEY_OCF_CHECK_LEVEL" not in found
    assert found["OCF_RESKEY_CRM_meta_clone_max"] == "2"
    assert found["OCF_RESKEY_CRM_meta_notify_type"] == "pre"
    assert found["OCF_RESKEY_CRM_meta_timeout"] == "30000"
