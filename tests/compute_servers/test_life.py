"""A server's life: what clients are told, what its hypervisor was told, and that nothing is left."""

from __future__ import annotations

from dataclasses import replace

from tests.compute_servers.cloud import SMALL, TINY, Cloud


async def test_a_server_of_an_image_runs_on_a_clone_of_it_and_leaves_nothing(cloud: Cloud) -> None:
    image, network = await cloud.image(), await cloud.network()
    id_ = await cloud.server(image, networks=[{"uuid": network}])
    shown = await cloud.show(id_)
    assert shown["OS-EXT-STS:power_state"] == 1
    assert [one["version"] for one in shown["addresses"]["private"]] == [4]
    guest = cloud.hypervisors["one"].running[id_].guest
    assert (guest.memory_mib, guest.vcpus, len(guest.nics)) == (512, 1, 1)
    (disk,) = guest.disks
    async with cloud.store.open(disk.export) as opened:
        assert b"".join(map(bytes, await opened.read(0, 8))) == b"a system"
        assert opened.size == 1 << 30
    assert (await cloud.ask("DELETE", f"/servers/{id_}")).status == 204
    await cloud.settled(id_, "gone")
    assert not cloud.hypervisors["one"].running
    assert disk.export not in {row.name for row in await cloud.store.rows("", 100)}
    assert not cloud.networks.store.records.ports.by("device", id_)


async def test_it_is_stopped_started_rebooted_paused_and_suspended(cloud: Cloud) -> None:
    await cloud.flavors(replace(TINY, disk=0), replace(SMALL, disk=0))  # small, so that its image is soon made
    id_ = await cloud.server(await cloud.image(), token="admin@blue")
    hypervisor = cloud.hypervisors["one"]
    for action, arguments, status, runs in (
        ("os-stop", None, "SHUTOFF", False),
        ("os-start", None, "ACTIVE", True),
        ("reboot", {"type": "SOFT"}, "ACTIVE", True),
        ("reboot", {"type": "HARD"}, "ACTIVE", True),
        ("pause", None, "PAUSED", True),
        ("unpause", None, "ACTIVE", True),
        ("suspend", None, "SUSPENDED", False),
        ("resume", None, "ACTIVE", True),
        ("rescue", None, "RESCUE", True),
        ("unrescue", None, "ACTIVE", True),
        ("shelve", None, "SHELVED_OFFLOADED", False),
        ("unshelve", None, "ACTIVE", True),
        ("createImage", {"name": "copy"}, "ACTIVE", True),
        ("resize", {"flavorRef": "2"}, "VERIFY_RESIZE", True),
        ("confirmResize", None, "ACTIVE", True),
        ("resize", {"flavorRef": "2"}, "ACTIVE", True),
    ):
        if action == "resize" and status == "ACTIVE":
            await cloud.refused(400, "POST", f"/servers/{id_}/action", {"resize": {"flavorRef": "2"}})
            continue
        await cloud.act(id_, action, arguments)
        await cloud.settled(id_, status)
        assert (id_ in hypervisor.running) is runs, action
