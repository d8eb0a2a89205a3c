"""Servers that change their size or their host: whole, confirmed, reverted, and where it goes wrong."""

from __future__ import annotations

from typing import Any

from trio.testing import MockClock

from compute_plugin.hypervisors.interface import HypervisorError
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.server import Server, VmState
from tests.compute_servers.cloud import GIB, SMALL, TINY, Cloud

ADMIN = "admin@blue"


def held(cloud: Cloud, id_: str) -> Server:
    return cloud.compute.store.records.servers.require(id_)


async def write(cloud: Cloud, id_: str, text: bytes) -> None:
    """What the guest writes on its first disk."""
    async with cloud.store.open(held(cloud, id_).disks[0].store_name) as disk:
        await disk.write(0, text)


async def read(cloud: Cloud, id_: str) -> bytes:
    async with cloud.store.open(held(cloud, id_).disks[0].store_name) as disk:
        return b"".join(map(bytes, await disk.read(0, 8)))


async def migrations(cloud: Cloud) -> list[tuple[str, str, str, str]]:
    rows = (await cloud.done("GET", "/os-migrations", token=ADMIN))["migrations"]
    return [(row["migration_type"], row["status"], row["source_compute"], row["dest_compute"]) for row in rows]


async def moved(cloud: Cloud, **said: Any) -> str:
    """A server that was resized from the host one to the host two."""
    id_ = await cloud.server(await cloud.image(), **said)
    await cloud.host("two", memory_mib=131072)
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.settled(id_, "VERIFY_RESIZE")
    assert held(cloud, id_).host == "two"
    return id_


async def test_a_resize_goes_to_another_host_and_is_confirmed(cloud: Cloud) -> None:
    network = await cloud.network()
    id_ = await moved(cloud, networks=[{"uuid": network}])
    assert id_ not in cloud.hypervisors["one"].running
    guest = cloud.hypervisors["two"].running[id_].guest
    assert (guest.vcpus, guest.memory_mib) == (2, 1024)
    (port,) = cloud.networks.store.records.ports.by("device", id_)
    assert port.host == "two"
    assert (await cloud.store.row(guest.disks[0].export)).size == 2 * GIB
    assert {host for host, _ in held(cloud, id_).claims} == {"one", "two"}
    await write(cloud, id_, b"written ")
    await cloud.act(id_, "confirmResize")
    await cloud.settled(id_, "ACTIVE")
    assert held(cloud, id_).claims == (("two", SMALL),)
    assert await read(cloud, id_) == b"written "
    assert await migrations(cloud) == [("resize", "confirmed", "one", "two")]
    assert not await cloud.store.snapshots(guest.disks[0].export)


async def test_a_resize_is_reverted_with_the_disks_of_before(cloud: Cloud) -> None:
    id_ = await moved(cloud)
    await write(cloud, id_, b"written ")
    await cloud.act(id_, "revertResize")
    await cloud.settled(id_, "ACTIVE")
    assert id_ not in cloud.hypervisors["two"].running
    assert cloud.hypervisors["one"].running[id_].guest.memory_mib == 512
    assert await read(cloud, id_) == b"a system"
    assert (await cloud.store.row(held(cloud, id_).disks[0].store_name)).size == GIB
    assert held(cloud, id_).claims == (("one", TINY),)
    assert await migrations(cloud) == [("resize", "reverted", "one", "two")]


async def test_after_one_resize_another_can_be_reverted_to_what_was_before_that(cloud: Cloud) -> None:
    """The first one failed, and its snapshot is not what is gone back to."""
    await cloud.flavors(TINY, SMALL, Flavor(id="3", name="mid", vcpus=2, ram=768, disk=3))
    id_ = await cloud.server(await cloud.image())
    cloud.hypervisors["one"].fail("start", HypervisorError("no such machine"))
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    shown = await cloud.settled(id_, "ERROR")
    assert shown["fault"]["message"] == "no such machine"
    assert held(cloud, id_).before is None
    await cloud.act(id_, "os-resetState", {"state": "active"}, token=ADMIN)
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await cloud.settled(id_, "ACTIVE")
    await write(cloud, id_, b"written ")
    await cloud.act(id_, "resize", {"flavorRef": "3"})
    await cloud.settled(id_, "VERIFY_RESIZE")
    await cloud.act(id_, "revertResize")
    await cloud.settled(id_, "ACTIVE")
    assert await read(cloud, id_) == b"written "


async def test_a_resized_server_is_rebuilt_at_its_new_size(cloud: Cloud) -> None:
    id_ = await moved(cloud)
    await cloud.act(id_, "confirmResize")
    await cloud.settled(id_, "ACTIVE")
    await cloud.act(id_, "rebuild", {"imageRef": held(cloud, id_).image_id})
    await cloud.settled(id_, "ACTIVE")
    assert (await cloud.store.row(held(cloud, id_).disks[0].store_name)).size == 2 * GIB
    assert await read(cloud, id_) == b"a system"


async def test_a_stopped_server_stays_so(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.settled(id_, "VERIFY_RESIZE")
    assert not cloud.hypervisors["one"].running
    await cloud.act(id_, "confirmResize")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.act(id_, "os-start")
    await cloud.settled(id_, "ACTIVE")


async def test_a_migration_goes_to_another_host_or_is_refused(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    path = f"/servers/{id_}/action"
    await cloud.refused(403, "POST", path, {"migrate": None})
    said = await cloud.refused(400, "POST", path, {"migrate": None}, token=ADMIN)
    assert said == "No valid host was found. one: HostFilter: it is where the server is"
    assert (await cloud.show(id_))["status"] == "ACTIVE"
    await cloud.host("two")
    await cloud.host("three", memory_mib=2048)
    await cloud.refused(400, "POST", path, {"migrate": {"host": "three"}}, token=ADMIN, version="2.55")
    await cloud.refused(400, "POST", path, {"migrate": {"host": "one"}}, token=ADMIN, version="2.56")
    await cloud.act(id_, "migrate", {"host": "three"}, token=ADMIN, version="2.56")
    await cloud.settled(id_, "VERIFY_RESIZE")
    assert held(cloud, id_).host == "three"
    await cloud.act(id_, "revertResize")
    await cloud.settled(id_, "ACTIVE")
    assert held(cloud, id_).host == "one"


async def test_what_a_resize_is_refused_for(cloud: Cloud) -> None:
    huge = Flavor(id="9", name="huge", vcpus=1, ram=40 * 1024, disk=1)
    wide = Flavor(id="8", name="wide", vcpus=65, ram=1024, disk=1)
    flat = Flavor(id="7", name="flat", vcpus=1, ram=256, disk=0)
    await cloud.flavors(TINY, SMALL, huge, wide, flat, Flavor(id="6", name="own", vcpus=1, ram=1, disk=1, public=False))
    id_ = await cloud.server(await cloud.image(), flavorRef="2")
    path = f"/servers/{id_}/action"
    for status, flavor, words in (
        (400, "2", "must change flavor"), (400, "none", "Unable to locate"), (400, "1", "cannot become smaller"),
        (400, "7", "zero disk"), (400, "6", "Unable to locate"),
    ):  # fmt: skip
        assert words in await cloud.refused(status, "POST", path, {"resize": {"flavorRef": flavor}}), flavor
    await cloud.flavors(TINY, SMALL, Flavor(id="9", name="huge", vcpus=1, ram=52 * 1024, disk=2))
    said = await cloud.refused(403, "POST", path, {"resize": {"flavorRef": "9"}})
    assert said.startswith("Quota exceeded for ram")
    cloud.compute.settings.limits.update(cores=-1, ram=-1)
    await cloud.flavors(TINY, SMALL, Flavor(id="8", name="wide", vcpus=65, ram=1024, disk=2))
    said = await cloud.refused(400, "POST", path, {"resize": {"flavorRef": "8"}})
    assert said == "No valid host was found. one: VCPUFilter: 65 VCPUs are more than its 64"
    assert (await cloud.show(id_))["status"] == "ACTIVE"
    assert held(cloud, id_).before is None


async def test_a_host_that_cannot_end_the_guest_keeps_the_server_as_it_was(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.host("two", memory_mib=131072)
    cloud.hypervisors["one"].fail("stop", HypervisorError("it does not end"))
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.settled(id_, "ERROR")
    assert held(cloud, id_).claims == (("one", TINY),)
    assert id_ in cloud.hypervisors["one"].running
    assert await migrations(cloud) == [("resize", "error", "one", "two")]
    await cloud.act(id_, "os-resetState", {"state": "active"}, token=ADMIN)
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.settled(id_, "VERIFY_RESIZE")


async def test_a_host_that_cannot_begin_the_guest_keeps_the_server_in_error(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.host("two", memory_mib=131072)
    cloud.hypervisors["two"].fail("start", HypervisorError("no such machine"))
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.settled(id_, "ERROR")
    assert held(cloud, id_).claims == (("two", SMALL),)
    assert not cloud.hypervisors["one"].running | cloud.hypervisors["two"].running
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await cloud.settled(id_, "ACTIVE")
    assert id_ in cloud.hypervisors["two"].running
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")


async def test_a_build_is_tried_on_other_hosts(cloud: Cloud) -> None:
    await cloud.host("two")
    await cloud.host("three")
    for name in ("one", "two"):
        cloud.hypervisors[name].fail("start", HypervisorError("no such machine"))
    image = await cloud.image()
    id_ = await cloud.server(image, networks=[{"uuid": await cloud.network()}])
    (at,) = [name for name, one in cloud.hypervisors.items() if id_ in one.running]
    assert held(cloud, id_).host == at
    assert cloud.networks.store.records.ports.by("device", id_)[0].host == at
    for one in cloud.hypervisors.values():
        one.fail("start", HypervisorError("no such machine"))
    again = await cloud.order(image)
    shown = await cloud.settled(again, "ERROR")
    assert shown["fault"]["message"] == "no such machine"
    assert held(cloud, again).host == ""
    assert all(again not in one.running for one in cloud.hypervisors.values())


async def test_a_server_is_evacuated_from_a_host_that_is_gone(cloud: Cloud, autojump_clock: MockClock) -> None:
    network = await cloud.network()
    image = await cloud.image()
    id_ = await cloud.server(image, networks=[{"uuid": network}])
    off = await cloud.server(image)
    await cloud.act(off, "os-stop")
    await cloud.settled(off, "SHUTOFF")
    await cloud.host("two")
    path = f"/servers/{id_}/action"
    await cloud.refused(403, "POST", path, {"evacuate": {}})
    said = await cloud.refused(400, "POST", path, {"evacuate": {}}, token=ADMIN)
    assert said == "Compute service of one is still in use."
    await write(cloud, id_, b"written ")
    await cloud.lose("one")
    assert (await cloud.show(id_))["host_status"] == "UNKNOWN"
    await cloud.refused(400, "POST", path, {"evacuate": {"host": "one"}}, token=ADMIN)
    await cloud.refused(400, "POST", path, {"evacuate": {"host": "none"}}, token=ADMIN)
    await cloud.act(id_, "evacuate", {"host": "two"}, token=ADMIN, version="2.94")
    await cloud.act(off, "evacuate", {}, token=ADMIN, version="2.94")
    await cloud.settled(id_, "ACTIVE")
    await cloud.settled(off, "SHUTOFF")
    assert set(cloud.hypervisors["two"].running) == {id_}
    assert await read(cloud, id_) == b"written "
    assert cloud.networks.store.records.ports.by("device", id_)[0].host == "two"
    assert set(cloud.hypervisors["one"].running) == {id_}
    await cloud.host("one")
    await cloud.looked()
    assert not cloud.hypervisors["one"].running
    assert {status for _, status, *_ in await migrations(cloud)} == {"done"}


async def test_an_evacuated_server_stays_off_from_2_95_on(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.host("two")
    await cloud.lose("one")
    await cloud.act(id_, "evacuate", {}, token=ADMIN, version="2.95")
    await cloud.settled(id_, "SHUTOFF")
    assert not cloud.hypervisors["two"].running


async def test_with_no_room_elsewhere_it_is_not_evacuated(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.host("two", memory_mib=600)
    await cloud.lose("one")
    said = await cloud.refused(400, "POST", f"/servers/{id_}/action", {"evacuate": {}}, token=ADMIN)
    assert said == "No valid host was found. two: RamFilter: 88 of 88 MiB are free"
    assert held(cloud, id_).host == "one"


async def test_a_resize_whose_target_dies_is_given_up_and_evacuated(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.host("two", memory_mib=131072)
    cloud.hosts["two"].end()
    await cloud.act(id_, "resize", {"flavorRef": "2"})
    await cloud.until(lambda: (doing := held(cloud, id_).transition) is not None and doing.host == "two")
    await cloud.lose("two")
    await cloud.act(id_, "evacuate", {}, token=ADMIN, version="2.94")
    await cloud.settled(id_, "ACTIVE")
    assert held(cloud, id_).claims == (("one", SMALL),)
    assert sorted(status for _, status, *_ in await migrations(cloud)) == ["done", "error"]


async def test_a_server_that_is_off_its_host_comes_back_where_there_is_room(cloud: Cloud) -> None:
    id_ = await cloud.server(await cloud.image())
    await cloud.act(id_, "shelve")
    await cloud.settled(id_, "SHELVED_OFFLOADED")
    shown = await cloud.show(id_)
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["hostId"], shown["OS-EXT-STS:power_state"]) == (None, "", 4)
    await cloud.lose("one")
    said = await cloud.refused(409, "POST", f"/servers/{id_}/action", {"unshelve": None})
    assert said == "No valid host was found. There is no host."
    await cloud.host("two")
    cloud.hypervisors["two"].fail("start", HypervisorError("no such machine"))
    await cloud.act(id_, "unshelve")
    await cloud.settled(id_, "SHELVED_OFFLOADED")
    assert held(cloud, id_).host == ""
    await cloud.act(id_, "unshelve", {"host": "two"}, token=ADMIN, version="2.91")
    await cloud.settled(id_, "ACTIVE")
    assert held(cloud, id_).host == "two"


async def test_a_given_up_move_takes_nothing_of_the_other_host(cloud: Cloud) -> None:
    id_ = await moved(cloud)
    await cloud.act(id_, "os-resetState", {"state": "active"}, token=ADMIN)
    assert held(cloud, id_).state is VmState.ACTIVE
    assert held(cloud, id_).claims == (("two", SMALL),)
    await cloud.refused(409, "POST", f"/servers/{id_}/action", {"confirmResize": None})
