"""Quotas: how much of all each project may have."""

from __future__ import annotations

from tests.networks_api.cloud import Cloud


async def test_a_project_has_the_limits_of_all_until_it_has_its_own(cloud: Cloud) -> None:
    usual = (await cloud.ask("GET", "/quotas/blue")).json["quota"]
    assert (usual["network"], usual["port"], usual["subnetpool"], usual["router"]) == (100, 500, -1, 10)
    changed = await cloud.update("quota", "/quotas/blue", "admin@red", network=5, port="-1")
    assert changed == {**usual, "network": 5, "port": -1}
    assert (await cloud.ask("GET", "/quotas/blue")).json["quota"] == changed
    assert (await cloud.ask("GET", "/quotas/blue/default")).json["quota"] == usual
    assert (await cloud.ask("GET", "/quotas/blue/default.json")).json["quota"] == usual
    assert (await cloud.ask("GET", "/quotas/red", token="member@red")).json["quota"] == usual
    listed = await cloud.listed("quotas", "/quotas", "admin@red")
    assert listed == [{**changed, "project_id": "blue", "tenant_id": "blue"}]
    assert (await cloud.ask("DELETE", "/quotas/blue", token="admin@red")).status == 204
    assert (await cloud.ask("GET", "/quotas/blue")).json["quota"] == usual
    await cloud.refused(404, "ProjectQuotaNotFound", "DELETE", "/quotas/blue", token="admin@red")


async def test_details_say_what_is_used(cloud: Cloud) -> None:
    await cloud.network()
    await cloud.network("member@red")
    for path in ("/quotas/blue/details.json", "/quotas/blue/details"):
        details = (await cloud.ask("GET", path)).json["quota"]
        assert details["network"] == {"limit": 100, "used": 1, "reserved": 0}
        assert details["trunk"] == {"limit": -1, "used": 0, "reserved": 0}


async def test_a_limit_below_what_is_used_is_for_those_who_insist(cloud: Cloud) -> None:
    for _ in range(2):
        await cloud.network()
    body = {"quota": {"network": 1}}
    message = await cloud.refused(400, "HTTPBadRequest", "PUT", "/quotas/blue", body, "admin@red")
    assert message == "Quota limit 1 for network must be greater than or equal to already used 2"
    await cloud.update("quota", "/quotas/blue", "admin@red", network=1, force=True)
    await cloud.refused(409, "OverQuota", "POST", "/networks", {"network": {}})
    assert len(await cloud.listed("networks", "/networks")) == 2


async def test_who_may_see_and_set_limits(cloud: Cloud) -> None:
    await cloud.refused(403, "PolicyNotAuthorized", "GET", "/quotas/red")
    await cloud.refused(403, "PolicyNotAuthorized", "GET", "/quotas/red/details.json")
    await cloud.refused(403, "PolicyNotAuthorized", "GET", "/quotas/red/default")
    await cloud.refused(403, "PolicyNotAuthorized", "GET", "/quotas")
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", "/quotas/blue", {"quota": {"network": 5}})
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", "/quotas/blue")
    assert (await cloud.ask("GET", "/quotas/tenant")).json == {"tenant": {"tenant_id": "blue"}}
    assert (await cloud.ask("GET", "/quotas/project")).json == {"project": {"project_id": "blue"}}


async def test_nonsense_is_refused(cloud: Cloud) -> None:
    for wrong in ({"network": -2}, {"network": "many"}, {"network": 2**40}, {"network": None}, {"moons": 1}):
        await cloud.refused(400, "HTTPBadRequest", "PUT", "/quotas/blue", {"quota": wrong}, "admin@red")
    await cloud.refused(400, "HTTPBadRequest", "PUT", f"/quotas/{'p' * 300}", {"quota": {"network": 1}}, "admin@red")
    assert await cloud.listed("quotas", "/quotas", "admin@red") == []
