"""Version documents, and which microversion a request means."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from gateway.rest.app import ServiceApp
from gateway.rest.call import Call
from gateway.rest.microversions import Microversion, Microversions, VersionRangeError
from gateway.rest.policy import Policy
from gateway.rest.versions import Version, version_routes
from store.core.errors import InvalidError
from tests.gateway_rest.service import ask, failure, refusal

VOLUME = Microversions("volume", Microversion(3, 0), Microversion(3, 71), "X-OpenStack-Volume-API-Version")
V3 = Version("v3.0", "/v3", "CURRENT", "2026-01-01T00:00:00Z", "application/vnd.openstack.volume+json", VOLUME)
NEW, OLD = "OpenStack-API-Version", "X-OpenStack-Volume-API-Version"


async def show(call: Call) -> Response:
    return JSONResponse({"version": str(call.version)})


def app(*, one_in_list: bool = False) -> ServiceApp[Call]:
    return ServiceApp(
        "/volume",
        {"/v3/thing": {"GET": show}},
        call=lambda scope, receive: Call(scope, receive, Policy([], {})),
        refusal=refusal,
        failure=failure,
        request_id=lambda: "req-1",
        documents=version_routes("/volume", [V3, Version("v2.0", "/v2", "DEPRECATED")], one_in_list=one_in_list),
        microversions=VOLUME,
    )


DOCUMENT = {
    "id": "v3.0",
    "status": "CURRENT",
    "updated": "2026-01-01T00:00:00Z",
    "links": [{"rel": "self", "href": "http://cloud:8080/volume/v3/"}],
    "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json"}],
    "min_version": "3.0",
    "version": "3.71",
}


async def test_documents_are_told_by_the_host_that_was_asked() -> None:
    every = await ask(app(), "GET", "/volume/")
    older = {"id": "v2.0", "status": "DEPRECATED", "links": [{"rel": "self", "href": "http://cloud:8080/volume/v2/"}]}
    assert (every.status, every.json) == (300, {"versions": [DOCUMENT, older]})
    one = await ask(app(), "GET", "/volume/v3/", {"Host": "other"})
    assert one.json["version"]["links"][0]["href"] == "http://other/volume/v3/"
    assert (await ask(app(one_in_list=True), "GET", "/volume/v3")).json == {"versions": [DOCUMENT]}


@pytest.mark.parametrize("path", ["/volume", "/volume/v3"])
async def test_documents_are_told_whatever_version_is_asked_for(path: str) -> None:
    answer = await ask(app(), "GET", path, {NEW: "volume 9.9"})
    assert answer.status in (200, 300)
    assert (await ask(app(), "POST", path, {NEW: "volume 9.9"})).status == 405


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "3.0"),
        ({NEW: "volume 3.59"}, "3.59"),
        ({NEW: "Volume  3.71"}, "3.71"),
        ({NEW: "volume latest"}, "3.71"),
        ({NEW: "compute 2.1, volume 3.5"}, "3.5"),
        ({NEW: "volume 3.5, volume 3.6"}, "3.6"),
        ({NEW: "compute 2.95"}, "3.0"),
        ({NEW: "volumes 3.5"}, "3.0"),
        ({OLD: "3.10"}, "3.10"),
        ({OLD: "latest"}, "3.71"),
        ({NEW: "volume 3.5", OLD: "3.6"}, "3.5"),
        ({NEW: "compute 2.95", OLD: "3.6"}, "3.6"),
    ],
)
async def test_the_version_that_is_meant(headers: dict[str, str], version: str) -> None:
    answer = await ask(app(), "GET", "/volume/v3/thing", headers)
    assert answer.json == {"version": version}
    assert answer.headers[NEW.lower()] == f"volume {version}"
    assert answer.headers[OLD.lower()] == version
    assert answer.headers["vary"] == f"X-Auth-Token, Authorization, {NEW}, {OLD}"


@pytest.mark.parametrize("asked", ["3.72", "2.9", "4.0", "1.99"])
async def test_versions_out_of_range_are_refused_with_the_range(asked: str) -> None:
    answer = await ask(app(), "GET", "/volume/v3/thing", {NEW: f"volume {asked}"})
    assert answer.status == 406
    assert "Minimum is 3.0 and maximum is 3.71" in answer.json["error"]
    assert answer.headers[NEW.lower()] == "volume 3.0"
    assert NEW in answer.headers["vary"]
    with pytest.raises(VersionRangeError) as raised:
        VOLUME.chosen(Headers({NEW: f"volume {asked}"}))
    assert (raised.value.least, raised.value.most) == (VOLUME.least, VOLUME.most)


@pytest.mark.parametrize("asked", ["", "3", "3.", "03.1", "3.01", "3.1.1", "a.b", "-3.1", "3.1 3.2", "³.1", "3.99999"])
async def test_malformed_versions_are_refused(asked: str) -> None:
    assert (await ask(app(), "GET", "/volume/v3/thing", {NEW: f"volume {asked}"})).status == 400
    with pytest.raises(InvalidError):
        VOLUME.chosen(Headers({OLD: asked}))


async def test_errors_carry_the_version_that_was_asked_for() -> None:
    answer = await ask(app(), "GET", "/volume/v3/nothing", {NEW: "volume 3.8"})
    assert (answer.status, answer.headers[NEW.lower()]) == (404, "volume 3.8")


async def test_a_service_without_an_older_header() -> None:
    bare = Microversions("volume", Microversion(3, 0), Microversion(3, 71))
    assert bare.told(Microversion(3, 1)) == {NEW: "volume 3.1"}
    assert bare.vary() == [NEW]
    assert bare.chosen(Headers({"": "3.4"})) == (3, 0)


def test_versions_are_ordered_by_number() -> None:
    assert Microversion(2, 9) < Microversion(2, 10) < Microversion(3, 0)
