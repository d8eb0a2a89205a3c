"""What clients read before anything else."""

from __future__ import annotations

from tests.gateway_rest.service import ask
from tests.gateway_volumes.cloud import Cloud


async def test_version_documents(cloud: Cloud) -> None:
    every = await ask(cloud.app, "GET", "/volume/")
    one = await ask(cloud.app, "GET", "/volume/v3/", {"OpenStack-API-Version": "volume 3.999"})
    assert (every.status, one.status) == (300, 200)
    assert every.json == one.json
    (version,) = one.json["versions"]
    assert (version["id"], version["status"], version["min_version"], version["version"]) == (
        "v3.0", "CURRENT", "3.0", "3.70",
    )  # fmt: skip
    assert {"rel": "self", "href": "http://cloud:8080/volume/v3/"} in version["links"]


async def test_microversions(cloud: Cloud) -> None:
    answer = await cloud.ask("GET", "/volumes", version="3.71")
    assert (answer.status, answer.json["computeFault"]["code"]) == (406, 406)
    answer = await cloud.ask("GET", "/volumes", version="latest")
    assert answer.headers["openstack-api-version"] == "volume 3.70"
    assert "OpenStack-API-Version" in answer.headers["vary"]


async def test_extensions_zones_and_filters(cloud: Cloud) -> None:
    extensions = (await cloud.ask("GET", "/extensions")).json["extensions"]
    assert {one["alias"] for one in extensions} >= {"os-volume-actions", "os-quota-sets"}
    assert all(one["updated"].endswith("+00:00") for one in extensions)
    zones = (await cloud.ask("GET", "/os-availability-zone")).json["availabilityZoneInfo"]
    assert zones == [{"zoneName": "nova", "zoneState": {"available": True}}]
    (filters,) = (await cloud.ask("GET", "/resource_filters?resource=group")).json["resource_filters"]
    assert filters == {"resource": "group", "filters": ["name"]}
    assert (await cloud.ask("GET", "/extensions", token="forged")).status == 401


async def test_what_is_not_served(cloud: Cloud) -> None:
    assert (await cloud.ask("GET", "/pebbles")).status == 404
    for method in ("GET", "PUT", "DELETE"):
        assert (await cloud.ask(method, "/volumes/")).status == 404  # an empty id is none
    assert (await cloud.ask("POST", "/volumes//action", {"os-reserve": None})).status == 404
    answer = await cloud.ask("PATCH", "/volumes")
    assert (answer.status, list(answer.json)) == (405, ["badMethod"])
