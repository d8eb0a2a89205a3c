"""RBAC policies: what is let to others, and what cannot be taken back while they use it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, join, outside, port, router, subnet

PATH = "/rbac-policies"
GREEN = "0f1c6a5e2b7d4c0e9a3d5b8f7e6c1d20"
GREENS = f"member@{GREEN}"
GREY = "9a4e1b6c-8d2f-4a70-b3c5-6e7f8a9b0c1d"


async def let(
    cloud: Cloud,
    object_type: str,
    object_id: str,
    target: str = GREEN,
    token: str = "member@blue",
    action: str = "access_as_shared",
) -> dict[str, Any]:
    return await cloud.create(
        "rbac_policy", PATH, token, object_type=object_type, object_id=object_id, action=action, target_tenant=target
    )


async def thing(cloud: Cloud, object_type: str) -> tuple[str, str]:
    """Where things of a type are, and the id of a new one of blue's."""
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "network": ("/networks", "network", {}),
        "security_group": ("/security-groups", "security_group", {}),
        "address_group": ("/address-groups", "address_group", {}),
        "qos_policy": ("/qos/policies", "policy", {"project_id": "blue"}),
        "address_scope": ("/address-scopes", "address_scope", {"ip_version": 4}),
        "subnetpool": ("/subnetpools", "subnetpool", {"prefixes": ["10.0.0.0/8"]}),
    }
    path, singular, asked = kinds[object_type]
    token = ADMIN if object_type == "qos_policy" else "member@blue"
    made = await cloud.create(singular, path, token, name="thing", **asked)
    return f"{path}/{made['id']}", str(made["id"])


TYPES = ("network", "security_group", "address_group", "qos_policy", "address_scope", "subnetpool")


@pytest.mark.parametrize("object_type", TYPES)
async def test_what_is_let_is_seen_by_those_and_nobody_else(cloud: Cloud, object_type: str) -> None:
    path, id_ = await thing(cloud, object_type)
    assert (await cloud.ask("GET", path, token=GREENS)).status == 404
    policy = await let(cloud, object_type, id_)
    assert policy | {"id": ""} == {
        "id": "",
        "project_id": "blue",
        "tenant_id": "blue",
        "object_type": object_type,
        "object_id": id_,
        "action": "access_as_shared",
        "target_tenant": GREEN,
        "target_project": GREEN,
    }
    seen = await cloud.ask("GET", path, token=GREENS)
    assert seen.status == 200
    (row,) = seen.json.values()
    assert row["shared"] is True
    assert (await cloud.ask("GET", path, token="member@red")).status == 404
    assert (await cloud.ask("DELETE", path, token=GREENS)).status == 403
    assert await cloud.listed("rbac_policies", PATH, GREENS) == []
    await gone(cloud, f"{PATH}/{policy['id']}")
    assert (await cloud.ask("GET", path, token=GREENS)).status == 404


@pytest.mark.parametrize("object_type", TYPES)
async def test_what_is_deleted_takes_its_policies_along(cloud: Cloud, object_type: str) -> None:
    path, id_ = await thing(cloud, object_type)
    await let(cloud, object_type, id_)
    await gone(cloud, path, ADMIN)
    assert len(cloud.service.store.records.rbac_policies) == 0


async def test_only_administrators_let_everybody(cloud: Cloud) -> None:
    _, id_ = await thing(cloud, "network")
    asked = {"object_type": "network", "object_id": id_, "action": "access_as_shared"}
    for name in ("target_tenant", "target_project"):
        await cloud.refused(403, "PolicyNotAuthorized", "POST", PATH, {"rbac_policy": {**asked, name: "*"}})
    policy = await let(cloud, "network", id_)
    body = {"rbac_policy": {"target_tenant": "*"}}
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", f"{PATH}/{policy['id']}", body)
    changed = await cloud.update("rbac_policy", f"{PATH}/{policy['id']}", ADMIN, target_tenant="*")
    assert changed["target_tenant"] == "*"
    assert (await cloud.ask("GET", f"/networks/{id_}", token="member@red")).status == 200


async def test_nobody_lets_what_is_not_theirs(cloud: Cloud) -> None:
    _, id_ = await thing(cloud, "network")
    asked = {"object_type": "network", "object_id": id_, "action": "access_as_shared", "target_tenant": GREY}
    await cloud.refused(404, "NetworkNotFound", "POST", PATH, {"rbac_policy": asked}, GREENS)
    policy = await let(cloud, "network", id_)
    await cloud.refused(400, "InvalidInput", "POST", PATH, {"rbac_policy": asked}, GREENS)
    await cloud.refused(404, "RbacPolicyNotFound", "DELETE", f"{PATH}/{policy['id']}", token=GREENS)
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", f"{PATH}/{policy['id']}", token="reader@blue")
    twice = asked | {"target_tenant": GREEN}
    await cloud.refused(409, "DuplicateRbacPolicy", "POST", PATH, {"rbac_policy": twice})


@pytest.mark.parametrize(
    ("type_", "asked"),
    [
        ("InvalidInput", {"object_type": "planet"}),
        ("InvalidInput", {"object_type": 7}),
        ("HTTPBadRequest", {"object_id": "x"}),
        ("HTTPBadRequest", {"object_id": None}),
        ("InvalidActionForType", {"action": "access_as_owner"}),
        ("HTTPBadRequest", {"action": 7}),
        ("InvalidInput", {"target_tenant": "demo"}),
        ("InvalidInput", {"target_tenant": ["*"]}),
        ("InvalidInput", {"target_tenant": None}),
        ("InvalidInput", {"target_tenant": GREEN, "target_project": GREY}),
    ],
)
async def test_odd_policies_are_refused(cloud: Cloud, type_: str, asked: dict[str, Any]) -> None:
    _, id_ = await thing(cloud, "network")
    usual = {"object_type": "network", "object_id": id_, "action": "access_as_shared", "target_tenant": GREEN}
    await cloud.refused(400, type_, "POST", PATH, {"rbac_policy": usual | asked}, ADMIN)
    assert len(cloud.service.store.records.rbac_policies) == 0


async def test_a_network_is_not_taken_back_from_those_who_have_ports_there(cloud: Cloud) -> None:
    network = await cloud.network()
    policy = await let(cloud, "network", network["id"])
    port = await cloud.create("port", "/ports", GREENS, network_id=network["id"])
    path = f"{PATH}/{policy['id']}"
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", path)
    body = {"rbac_policy": {"target_tenant": GREY}}
    await cloud.refused(409, "RbacPolicyInUse", "PUT", path, body)
    everybody = await let(cloud, "network", network["id"], "*", ADMIN)
    await gone(cloud, path)
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"{PATH}/{everybody['id']}", token=ADMIN)
    await gone(cloud, f"/ports/{port['id']}", GREENS)
    await gone(cloud, f"{PATH}/{everybody['id']}", ADMIN)


async def test_a_group_and_a_policy_are_not_taken_back_from_those_who_use_them(cloud: Cloud) -> None:
    _, group = await thing(cloud, "security_group")
    _, limit = await thing(cloud, "qos_policy")
    letting = [await let(cloud, "security_group", group), await let(cloud, "qos_policy", limit, token=ADMIN)]
    network = await cloud.create("network", "/networks", GREENS, qos_policy_id=limit)
    port = await cloud.create("port", "/ports", GREENS, network_id=network["id"], security_groups=[group])
    for policy in letting:
        await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"{PATH}/{policy['id']}", token=ADMIN)
    await gone(cloud, f"/ports/{port['id']}", GREENS)
    await gone(cloud, f"/networks/{network['id']}", GREENS)
    for policy in letting:
        await gone(cloud, f"{PATH}/{policy['id']}", ADMIN)


async def test_a_network_is_external_for_those_to_whom_it_is_let(cloud: Cloud) -> None:
    network = await cloud.network()
    await subnet(cloud, network, "203.0.113.0/24")
    external = "access_as_external"
    asked = {"object_type": "network", "object_id": network["id"], "action": external, "target_tenant": GREEN}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", PATH, {"rbac_policy": asked})
    policy = await let(cloud, "network", network["id"], GREEN, ADMIN, external)
    assert (await cloud.ask("GET", f"/networks/{network['id']}", token=GREENS)).json["network"]["router:external"]
    assert (await cloud.ask("GET", f"/networks/{network['id']}", token="member@red")).status == 404
    made = await router(cloud, network, GREENS)
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"{PATH}/{policy['id']}", token=ADMIN)
    await gone(cloud, f"/routers/{made['id']}", GREENS)
    await gone(cloud, f"{PATH}/{policy['id']}", ADMIN)
    assert not (await cloud.ask("GET", f"/networks/{network['id']}")).json["network"]["router:external"]


async def test_what_is_external_for_everybody_stays_so_where_one_policy_goes(cloud: Cloud) -> None:
    network = await outside(cloud)
    policy = await let(cloud, "network", network["id"], GREEN, ADMIN, "access_as_external")
    await gone(cloud, f"{PATH}/{policy['id']}", ADMIN)
    assert (await cloud.ask("GET", f"/networks/{network['id']}")).json["network"]["router:external"]


async def test_sharing_by_an_attribute_is_seen_at_once(cloud: Cloud) -> None:
    network = await cloud.network(ADMIN)
    for shared in (True, False):
        assert (await cloud.update("network", f"/networks/{network['id']}", ADMIN, shared=shared))["shared"] is shared
    assert (await cloud.ask("POST", "/networks", {"network": {"shared": False}})).status == 201


async def test_who_has_a_router_on_a_network_uses_it(cloud: Cloud) -> None:
    network = await cloud.network("admin@red", shared=True)
    held = await subnet(cloud, network, "10.0.0.0/24", "admin@red")
    made = await router(cloud)
    server = await port(cloud, network["id"], fixed_ips=[{"subnet_id": held["id"]}])
    await join(cloud, made["id"], port_id=server["id"])
    path = f"/networks/{network['id']}"
    await cloud.refused(409, "InvalidSharedSetting", "PUT", path, {"network": {"shared": False}}, "admin@red")
    policy = (await cloud.listed("rbac_policies", "/rbac-policies", "admin@red"))[0]
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", f"/rbac-policies/{policy['id']}", token="admin@red")


async def test_a_network_for_some_is_not_made_one_for_all_by_saying_what_it_is(cloud: Cloud) -> None:
    network = await cloud.network("admin@red")
    said = {"object_type": "network", "object_id": network["id"], "action": "access_as_external"}
    await cloud.create("rbac_policy", "/rbac-policies", "admin@red", **said, target_tenant=GREEN)
    path = f"/networks/{network['id']}"
    await cloud.update("network", path, "admin@red", **{"router:external": True})
    assert (await cloud.ask("GET", path)).status == 404
    await cloud.update("network", path, "admin@red", **{"router:external": False})
    assert await cloud.listed("rbac_policies", "/rbac-policies", "admin@red") == []


async def test_a_default_network_is_for_everybody(cloud: Cloud) -> None:
    await cloud.network("admin@red", **{"router:external": True, "is_default": True})
    policy = (await cloud.listed("rbac_policies", "/rbac-policies", "admin@red"))[0]
    path = f"/rbac-policies/{policy['id']}"
    await cloud.refused(409, "RbacPolicyInUse", "DELETE", path, token="admin@red")
    body = {"rbac_policy": {"target_tenant": GREEN}}
    await cloud.refused(409, "RbacPolicyInUse", "PUT", path, body, "admin@red")


async def test_a_policy_is_given_to_somebody_else_who_uses_it_already(cloud: Cloud) -> None:
    """From everybody to the one project that there is."""
    network = await cloud.network("admin@red", shared=True)
    policy = (await cloud.listed("rbac_policies", "/rbac-policies", "admin@red"))[0]
    path = f"/rbac-policies/{policy['id']}"
    body = {"network_id": network["id"], "project_id": GREEN}
    server = await cloud.create("port", "/ports", "admin@red", **body)
    other = {"rbac_policy": {"target_tenant": GREY}}
    await cloud.refused(409, "RbacPolicyInUse", "PUT", path, other, "admin@red")
    await cloud.update("rbac_policy", path, "admin@red", target_tenant=GREEN)
    await cloud.refused(409, "RbacPolicyInUse", "PUT", path, other, "admin@red")
    await cloud.update("rbac_policy", path, "admin@red", target_tenant="*")
    assert server["project_id"] == GREEN


async def test_services_plug_in_for_all_projects(cloud: Cloud) -> None:
    network = await cloud.network()
    group = await cloud.create("security_group", "/security-groups", name="g")
    said = {"project_id": "blue", "security_groups": [group["id"]], "device_owner": "compute:nova"}
    made = await port(cloud, network["id"], "service", **said)
    assert made["project_id"] == "blue"
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "/networks", {"network": {"project_id": "blue"}}, "service")
    assert (await cloud.ask("DELETE", f"/ports/{made['id']}", token="service")).status == 204
