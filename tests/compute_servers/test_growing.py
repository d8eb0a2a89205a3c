"""Volumes grow while servers have them."""

from __future__ import annotations

from tests.compute_servers.cloud import GIB, Cloud
from tests.gateway_rest.service import ask

VOLUMES = "/volume/v3/volumes"
TOKEN = {"X-Auth-Token": "member@blue", "OpenStack-API-Version": "volume 3.70"}


async def test_a_guest_sees_that_its_volume_has_grown(cloud: Cloud) -> None:
    id_, volume = await cloud.server(await cloud.image()), await cloud.volume()
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    await cloud.volume_is(volume, "in-use")
    answer = await ask(cloud.volume_app, "POST", f"{VOLUMES}/{volume}/action", TOKEN, {"os-extend": {"new_size": 3}})
    assert answer.status == 202, answer.body
    await cloud.volume_is(volume, "in-use")
    await cloud.settled(id_, "ACTIVE")
    assert cloud.hypervisors["one"].running[id_].sizes == {"vdb": 3 * GIB}
    actions = (await cloud.done("GET", f"/servers/{id_}/os-instance-actions"))["instanceActions"]
    assert "extend_volume" in {one["action"] for one in actions}


async def test_a_volume_that_no_guest_has_grows_as_ever(cloud: Cloud) -> None:
    volume = await cloud.volume()
    answer = await ask(cloud.volume_app, "POST", f"{VOLUMES}/{volume}/action", TOKEN, {"os-extend": {"new_size": 2}})
    assert answer.status == 202, answer.body
    assert (await cloud.volume_is(volume, "available"))["size"] == 2
