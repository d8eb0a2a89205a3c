"""What the hypervisor of a host cannot is refused before anything is done."""

from __future__ import annotations

from typing import Any

from compute_plugin.hypervisors.interface import Can
from tests.compute_servers.cloud import Cloud
from tests.compute_servers.test_disks import mapping


async def contained(cloud: Cloud, can: frozenset[Can] = frozenset({Can.PAUSE})) -> str:
    """A server at a host that runs containers, or what else can do no more than that."""
    await cloud.host("boxes", kind="LXC", can=can)
    return await cloud.server(await cloud.image(), token="admin@blue", availability_zone="nova:boxes")


async def volumes_and_cards(cloud: Cloud) -> dict[str, dict[str, Any]]:
    volume, port = await cloud.volume(), await cloud.port(await cloud.network())
    return {
        "os-volume_attachments": {"volumeAttachment": {"volumeId": volume}},
        "os-interface": {"interfaceAttachment": {"port_id": port}},
    }


async def test_what_a_container_cannot(cloud: Cloud) -> None:
    id_ = await contained(cloud)
    for action, said in (("suspend", None), ("rescue", None), ("changePassword", {"adminPass": "x"})):
        assert "LXC cannot" in await cloud.refused(501, "POST", f"/servers/{id_}/action", {action: said})
    for kind, protocol in (("novnc", "vnc"), ("serial", "serial")):
        body = {"remote_console": {"type": kind, "protocol": protocol}}
        assert "LXC cannot" in await cloud.refused(400, "POST", f"/servers/{id_}/remote-consoles", body)
    await cloud.act(id_, "pause")
    await cloud.settled(id_, "PAUSED")


async def test_disks_and_cards_that_a_container_cannot_be_given(cloud: Cloud) -> None:
    """Volumes in no state of it, since it starts with one disk alone; cards while it is stopped."""
    id_ = await contained(cloud)
    parts = await volumes_and_cards(cloud)
    for path, body in parts.items():
        assert "LXC cannot" in await cloud.refused(501, "POST", f"/servers/{id_}/{path}", body)
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.refused(501, "POST", f"/servers/{id_}/os-volume_attachments", parts["os-volume_attachments"])
    volume = parts["os-volume_attachments"]["volumeAttachment"]["volumeId"]
    assert (await cloud.show_volume(volume))["status"] == "available"
    await cloud.done("POST", f"/servers/{id_}/os-interface", parts["os-interface"])
    await cloud.settled(id_, "SHUTOFF")
    await cloud.act(id_, "os-start")
    await cloud.settled(id_, "ACTIVE")
    assert len(cloud.hypervisors["boxes"].running[id_].nics) == 1


async def test_where_disks_are_taken_by_servers_that_are_stopped_alone(cloud: Cloud) -> None:
    id_ = await contained(cloud, frozenset({Can.HAVE_DISKS}))
    body = (await volumes_and_cards(cloud))["os-volume_attachments"]
    await cloud.refused(501, "POST", f"/servers/{id_}/os-volume_attachments", body)
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", body)
    await cloud.settled(id_, "SHUTOFF")
    await cloud.act(id_, "os-start")
    await cloud.settled(id_, "ACTIVE")
    volume = body["volumeAttachment"]["volumeId"]
    await cloud.refused(501, "DELETE", f"/servers/{id_}/os-volume_attachments/{volume}")
    assert (await cloud.show_volume(volume))["status"] == "in-use"


async def test_a_server_of_several_disks_is_placed_where_it_can_have_them(cloud: Cloud) -> None:
    await cloud.host("boxes", kind="LXC", can=frozenset({Can.PAUSE}))
    image = await cloud.image()
    two = [
        mapping("image", uuid=image, boot_index=0, volume_size=1, delete_on_termination=True),
        mapping("blank", volume_size=1, delete_on_termination=True),
    ]
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("", {"block_device_mapping_v2": two}),
        (image, {"config_drive": True}),
    )
    for root, said in asked:
        id_ = await cloud.order(root, token="admin@blue", availability_zone="nova:boxes", **said)
        fault = (await cloud.settled(id_, "ERROR"))["fault"]["message"]
        assert "LXC cannot have-several-disks" in fault
        assert (await cloud.show(await cloud.server(root, **said)))["OS-EXT-SRV-ATTR:host"] == "one"
