"""Which versions there are, how a client says what it means, and who may what."""

from __future__ import annotations

from tests.compute_api.cloud import Cloud
from tests.gateway_rest.service import ask


async def test_versions_are_told_to_everybody(cloud: Cloud) -> None:
    for path in ("/compute", "/compute/"):
        answer = await ask(cloud.app, "GET", path)
        assert answer.status == 200
        old, new = answer.json["versions"]
        assert (old["id"], old["status"]) == ("v2.0", "DEPRECATED")
        assert (new["id"], new["status"], new["min_version"], new["version"]) == ("v2.1", "CURRENT", "2.1", "2.96")
        assert new["links"] == [{"rel": "self", "href": "http://cloud:8080/compute/v2.1/"}]


async def test_a_version_is_told_with_a_slash_or_without(cloud: Cloud) -> None:
    for path in ("/compute/v2.1", "/compute/v2.1/"):
        answer = await ask(cloud.app, "GET", path, {"OpenStack-API-Version": "compute 2.999"})
        assert answer.status == 200
        assert answer.json["version"]["version"] == "2.96"
    assert (await ask(cloud.app, "GET", "/compute/v2/")).json["version"]["id"] == "v2.0"


async def test_a_client_says_what_it_means(cloud: Cloud) -> None:
    plain = await cloud.ask("GET", "/flavors", version=None)
    assert plain.headers["openstack-api-version"] == "compute 2.1"
    assert plain.headers["x-openstack-nova-api-version"] == "2.1"
    assert plain.headers["x-compute-request-id"] == plain.headers["x-openstack-request-id"] != ""
    older = await cloud.ask("GET", "/flavors", version=None, headers={"X-OpenStack-Nova-API-Version": "2.55"})
    assert older.headers["openstack-api-version"] == "compute 2.55"
    assert "description" in older.json["flavors"][0]
    latest = await cloud.ask("GET", "/flavors", version="latest")
    assert latest.headers["openstack-api-version"] == "compute 2.96"
    await cloud.refused(406, "GET", "/flavors", version="2.97")
    await cloud.refused(400, "GET", "/flavors", version="two")


async def test_what_is_not_there_is_said_so(cloud: Cloud) -> None:
    for path in ("/frob", "/flavors/"):
        await cloud.refused(404, "GET", path)
    answer = await cloud.ask("DELETE", "/flavors")
    assert answer.status == 405
    assert answer.json["badMethod"]["code"] == 405
    assert (await cloud.ask("GET", "/flavors", token="")).status == 401
