"""Segments and flavors."""

from __future__ import annotations

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, left, router


async def test_a_network_has_one_segment_which_may_have_a_name(cloud: Cloud) -> None:
    network = await cloud.network()
    (segment,) = await cloud.listed("segments", f"/segments?network_id={network['id']}", ADMIN)
    assert (segment["network_type"], segment["name"], segment["revision_number"]) == ("vxlan", "", 0)
    path = f"/segments/{segment['id']}"
    named = await cloud.update("segment", path, ADMIN, name="rack", description="of ours")
    assert (named["name"], named["description"], named["segmentation_id"]) == (
        "rack", "of ours", segment["segmentation_id"],
    )  # fmt: skip
    assert (await cloud.update("segment", path, ADMIN, name="row"))["description"] == "of ours"
    body = {"segment": {"network_id": network["id"], "network_type": "vlan", "physical_network": "w"}}
    await cloud.refused(409, "SegmentInUse", "POST", "/segments", body, ADMIN)
    await cloud.refused(409, "SegmentInUse", "DELETE", path, token=ADMIN)
    await cloud.refused(404, "SegmentNotFound", "GET", path)
    await cloud.refused(404, "SegmentNotFound", "GET", "/segments/x", token=ADMIN)
    await cloud.refused(400, "HTTPBadRequest", "PUT", path, {"segment": {"name": 7}}, ADMIN)
    assert await cloud.listed("segments", "/segments") == []
    await gone(cloud, f"/networks/{network['id']}")
    assert left(cloud) == {}


async def test_routers_may_be_of_a_flavor(cloud: Cloud) -> None:
    asked = {"name": "gold", "service_type": "L3_ROUTER_NAT"}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", "/flavors", {"flavor": asked})
    flavor = await cloud.create("flavor", "/flavors", ADMIN, **asked)
    assert (flavor["enabled"], flavor["service_profiles"]) == (True, [])
    profile = await cloud.create("service_profile", "/service_profiles", ADMIN, metainfo="{}")
    await cloud.refused(404, "ServiceProfileNotFound", "GET", f"/service_profiles/{profile['id']}")
    path = f"/flavors/{flavor['id']}"
    bind = f"{path}/service_profiles"
    body = {"service_profile": {"id": profile["id"]}}
    assert (await cloud.ask("POST", bind, body, ADMIN)).status == 201
    await cloud.refused(409, "FlavorServiceProfileBindingExists", "POST", bind, body, ADMIN)
    await cloud.refused(403, "PolicyNotAuthorized", "POST", bind, body)
    await cloud.refused(400, "HTTPBadRequest", "POST", bind, {"service_profile": {"id": 7}}, ADMIN)
    assert (await cloud.ask("GET", path)).json["flavor"]["service_profiles"] == [profile["id"]]
    one = f"/service_profiles/{profile['id']}"
    await cloud.refused(409, "ServiceProfileInUse", "DELETE", one, token=ADMIN)
    await gone(cloud, f"{bind}/{profile['id']}", ADMIN)
    missing = f"{bind}/{profile['id']}"
    await cloud.refused(404, "FlavorServiceProfileBindingNotFound", "DELETE", missing, token=ADMIN)
    await gone(cloud, one, ADMIN)
    made = await router(cloud, flavor_id=flavor["id"])
    assert made["flavor_id"] == flavor["id"]
    await cloud.refused(409, "FlavorInUse", "DELETE", path, token=ADMIN)
    await gone(cloud, f"/routers/{made['id']}")
    await cloud.update("flavor", path, ADMIN, enabled=False)
    body = {"router": {"flavor_id": flavor["id"]}}
    await cloud.refused(409, "FlavorDisabled", "POST", "/routers", body)
    await gone(cloud, path, ADMIN)
    for odd in ({"driver": "x", "metainfo": "{}"}, {}):
        status, type_ = (404, "ServiceProfileDriverNotFound") if odd else (400, "ServiceProfileEmpty")
        await cloud.refused(status, type_, "POST", "/service_profiles", {"service_profile": odd}, ADMIN)
    assert left(cloud) == {}
