"""Hypervisors that are gone, guests that die, hosts that vanish and come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from compute_plugin.agent.agent import PATIENCE_S
from compute_plugin.agent.standing import AWAY_S
from compute_plugin.agent.watching import Watcher
from compute_plugin.hypervisors.interface import HypervisorError, Power
from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.server import VmState
from store.core.errors import InvalidError, RetryableError
from tests.compute_servers.cloud import Cloud
from tests.compute_servers.standing import check_parts

ADMIN = "admin@blue"


async def served(cloud: Cloud) -> str:
    return await cloud.server(await cloud.image(), networks=[{"uuid": await cloud.network()}])


async def test_while_the_hypervisor_is_gone_what_is_asked_for_waits(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    hypervisor = cloud.hypervisors["one"]
    hypervisor.go()
    await cloud.act(id_, "os-stop")
    await trio.sleep(60)
    shown = await cloud.show(id_)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", "powering-off")
    assert id_ in hypervisor.running
    hypervisor.come_back()
    await cloud.settled(id_, "SHUTOFF")
    assert not hypervisor.running


async def test_what_waits_for_too_long_says_so(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    cloud.hypervisors["one"].go()
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await trio.sleep(60)
    cloud.clock.advance(PATIENCE_S)
    shown = await cloud.settled(id_, "ERROR")
    assert shown["fault"]["message"] == "no hypervisor answers"
    cloud.hypervisors["one"].come_back()
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await cloud.settled(id_, "ACTIVE")


async def test_a_deletion_waits_for_as_long_as_it_takes(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    cloud.hypervisors["one"].go()
    await cloud.done("DELETE", f"/servers/{id_}")
    await trio.sleep(30)
    cloud.clock.advance(2 * PATIENCE_S)
    await cloud.host("one")  # its agent was taken for dead meanwhile
    await trio.sleep(60)
    assert (await cloud.show(id_))["OS-EXT-STS:task_state"] == "deleting"
    cloud.hypervisors["one"].come_back()
    await cloud.settled(id_, "gone")
    assert not cloud.hypervisors["one"].running
    await check_parts(cloud)


async def test_a_host_without_a_hypervisor_takes_no_servers(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.image()
    cloud.hypervisors["one"].go()
    await trio.sleep(60)
    id_ = await cloud.order(image)
    shown = await cloud.settled(id_, "ERROR")
    assert shown["fault"]["message"] == "No valid host was found. one: ComputeFilter: no hypervisor answers"
    cloud.hypervisors["one"].come_back()
    await trio.sleep(60)
    await cloud.server(image)


async def test_a_server_on_no_host_is_deleted_without_any_hypervisor(cloud: Cloud, autojump_clock: MockClock) -> None:
    image = await cloud.image()
    cloud.hypervisors["one"].go()
    await trio.sleep(60)
    id_ = await cloud.order(image)
    await cloud.settled(id_, "ERROR")
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")


async def test_a_guest_that_dies_is_seen_at_once(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    begun = trio.current_time()
    cloud.hypervisors["one"].die(id_)
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).state is VmState.STOPPED)
    assert trio.current_time() - begun < 3
    shown = await cloud.show(id_)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)
    await cloud.act(id_, "os-start")
    await cloud.settled(id_, "ACTIVE")


async def test_a_guest_that_dies_while_something_is_done_is_seen_right_after(
    cloud: Cloud, autojump_clock: MockClock
) -> None:
    id_ = await served(cloud)
    hypervisor = cloud.hypervisors["one"]
    hypervisor.running[id_].deaf = True
    await cloud.act(id_, "reboot", {"type": "SOFT"})
    await trio.sleep(5)
    hypervisor.fail("stop", HypervisorError("it says no"), after=True)
    begun = trio.current_time()
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).state is VmState.STOPPED)
    assert trio.current_time() - begun < cloud.compute.settings.stop_s + 3


async def test_a_guest_that_dies_while_nobody_looks_is_seen_afterwards(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    hypervisor = cloud.hypervisors["one"]
    hypervisor.go()
    await trio.sleep(5)
    hypervisor.die(id_)
    await trio.sleep(60)
    assert (await cloud.show(id_))["status"] == "ACTIVE"
    hypervisor.come_back()
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).state is VmState.STOPPED)


async def test_a_guest_that_waits_for_its_volume_is_no_stopped_server(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    cloud.hypervisors["one"].wait(id_)
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).power == Power.PAUSED)
    assert (await cloud.show(id_))["status"] == "ACTIVE"
    cloud.hypervisors["one"].wait(id_, False)
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).power == Power.RUNNING)


async def test_a_guest_that_was_started_while_others_were_told_is_not_taken_for_dead(cloud: Cloud) -> None:
    """The list of guests is older than the records that it is compared with."""
    id_ = await served(cloud)
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    hypervisor = cloud.hypervisors["one"]

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(hypervisor, name)

        async def guests(self) -> object:
            found = await hypervisor.guests()
            await cloud.act(id_, "os-start")
            await cloud.settled(id_, "ACTIVE")
            return found

    hands = replace(cloud.hosts["one"].hands, hypervisor=Slow())  # type: ignore[arg-type]
    await Watcher(hands, lambda _: False).look()
    assert (await cloud.show(id_))["status"] == "ACTIVE"
    assert id_ in hypervisor.running


async def test_a_guest_of_nobody_is_ended_and_its_folder_goes(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    hypervisor = cloud.hypervisors["one"]
    guest = hypervisor.running[id_].guest
    await cloud.done("DELETE", f"/servers/{id_}")
    await cloud.settled(id_, "gone")
    (cloud.folder / "one" / id_).mkdir(parents=True)
    (cloud.folder / "one" / "not-an-id").mkdir()
    await hypervisor.start(replace(guest, folder=str(cloud.folder / "one" / id_)))
    await cloud.looked()
    assert not hypervisor.running
    assert [one.name for one in (cloud.folder / "one").iterdir()] == ["not-an-id"]


async def test_a_host_that_vanished_is_shown_so_and_its_servers_are_deleted_by_another(
    cloud: Cloud, autojump_clock: MockClock
) -> None:
    id_ = await served(cloud)
    await cloud.host("two")
    await cloud.lose("one")
    assert (await cloud.show(id_))["host_status"] == "UNKNOWN"
    await cloud.done("DELETE", f"/servers/{id_}")
    await trio.sleep(20)
    assert (await cloud.show(id_))["OS-EXT-STS:task_state"] == "deleting"
    cloud.clock.advance(AWAY_S + 1)
    await cloud.host("two")
    await trio.sleep(40)
    cloud.clock.advance(AWAY_S + 1)
    await cloud.settled(id_, "gone")
    assert id_ in cloud.hypervisors["one"].running
    await cloud.host("one")
    await cloud.looked()
    assert not cloud.hypervisors["one"].running
    await check_parts(cloud)
    assert not [one.name for one in (cloud.folder / "one").iterdir()]


async def test_what_a_host_that_vanished_was_building_is_built_where_there_is_room(
    cloud: Cloud, autojump_clock: MockClock
) -> None:
    image, network = await cloud.image(), await cloud.network()
    cloud.hosts["one"].end()
    id_ = await cloud.order(image, networks=[{"uuid": network}])
    none = await cloud.order(image, flavorRef="2")
    assert cloud.compute.store.records.servers.require(id_).host == "one"
    await cloud.lose("one")
    await cloud.host("two", memory_mib=512 + 512)  # room for the smaller of the two
    await trio.sleep(20)
    cloud.clock.advance(AWAY_S + 1)
    await trio.sleep(40)
    await cloud.settled(id_, "ACTIVE")
    assert id_ in cloud.hypervisors["two"].running
    shown = await cloud.settled(none, "ERROR")
    assert shown["fault"]["message"].startswith("No valid host was found. two: RamFilter")
    await check_parts(cloud)


async def test_a_host_that_is_said_to_be_down_is_shown_so(cloud: Cloud) -> None:
    id_ = await served(cloud)

    def step(records: Records, **said: object) -> None:
        note = records.host_notes.get("one") or HostNote(id="one", service_id="s")
        records.host_notes.put(replace(note, **said))  # type: ignore[arg-type]

    for said, shown in (({"disabled": True}, "MAINTENANCE"), ({"forced_down": True}, "DOWN")):
        await cloud.compute.store.change(lambda records, said=said: step(records, **said))  # type: ignore[misc]
        assert (await cloud.show(id_))["host_status"] == shown
    assert "host_status" not in (await cloud.done("GET", f"/servers/{id_}"))["server"]


@pytest.mark.parametrize("error", [HypervisorError("it says no"), InvalidError("no such bus")])
async def test_where_the_hypervisor_refuses_a_disk_the_volume_is_as_before(
    cloud: Cloud, error: HypervisorError | InvalidError
) -> None:
    id_, volume = await served(cloud), await cloud.volume()
    cloud.hypervisors["one"].fail("attach_disk", error)
    body = {"volumeAttachment": {"volumeId": volume}}
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", body)
    await cloud.settled(id_, "ACTIVE")
    assert (await cloud.show_volume(volume))["status"] == "available"
    assert (await cloud.done("GET", f"/servers/{id_}/os-volume_attachments"))["volumeAttachments"] == []
    await check_parts(cloud)
    actions = (await cloud.done("GET", f"/servers/{id_}/os-instance-actions"))["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("attach_volume", "Error")


async def test_where_the_hypervisor_refuses_a_card_its_port_is_gone(cloud: Cloud) -> None:
    id_ = await served(cloud)
    other = await cloud.network(cidr="10.0.1.0/24")
    cloud.hypervisors["one"].fail("attach_nic", HypervisorError("it says no"))
    await cloud.done("POST", f"/servers/{id_}/os-interface", {"interfaceAttachment": {"net_id": other}})
    await cloud.settled(id_, "ACTIVE")
    assert len(cloud.networks.store.records.ports.by("device", id_)) == 1
    await check_parts(cloud)


async def test_a_guest_that_does_not_let_go_keeps_its_volume(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_, volume = await served(cloud), await cloud.volume()
    body = {"volumeAttachment": {"volumeId": volume}}
    await cloud.done("POST", f"/servers/{id_}/os-volume_attachments", body)
    await cloud.settled(id_, "ACTIVE")
    cloud.hypervisors["one"].running[id_].deaf = True
    await cloud.done("DELETE", f"/servers/{id_}/os-volume_attachments/{volume}")
    await trio.sleep(30)
    assert (await cloud.show_volume(volume))["status"] == "detaching"
    cloud.clock.advance(PATIENCE_S)
    await cloud.settled(id_, "ACTIVE")
    assert (await cloud.show_volume(volume))["status"] == "in-use"
    cloud.hypervisors["one"].running[id_].deaf = False
    await cloud.done("DELETE", f"/servers/{id_}/os-volume_attachments/{volume}")
    await cloud.settled(id_, "ACTIVE")
    assert (await cloud.show_volume(volume))["status"] == "available"


async def test_a_guest_that_died_is_not_suspended_and_old_memory_is_not_gone_on_with(
    cloud: Cloud, autojump_clock: MockClock
) -> None:
    id_ = await served(cloud)
    await cloud.act(id_, "suspend")
    await cloud.settled(id_, "SUSPENDED")
    saved = cloud.folder / "one" / id_ / "memory.saved"
    assert saved.exists()
    await cloud.act(id_, "reboot", {"type": "HARD"})
    await cloud.settled(id_, "ACTIVE")
    assert not saved.exists()
    cloud.hosts["one"].end()
    await cloud.act(id_, "suspend")
    cloud.hypervisors["one"].die(id_)
    await cloud.host("one")
    await cloud.quiet()
    await cloud.until(lambda: cloud.compute.store.records.servers.require(id_).state is VmState.STOPPED)


async def test_a_registry_that_is_away_ends_no_agent(cloud: Cloud, autojump_clock: MockClock) -> None:
    """Not even where it goes while a failure is to be told."""
    id_ = await served(cloud)
    store, done = cloud.compute.store, cloud.compute.store.change
    left = 3

    async def change(step: object) -> object:
        nonlocal left
        held = store.records.servers.get(id_)
        if left and held is not None and held.transition is not None and held.transition.step:
            left -= 1
            raise RetryableError("no registry answers")
        return await done(step)  # type: ignore[arg-type]

    store.change = change  # type: ignore[method-assign, assignment]
    cloud.hypervisors["one"].fail("pause", HypervisorError("it says no"))
    await cloud.act(id_, "pause")
    await cloud.settled(id_, "ACTIVE")
    assert left == 0
    await cloud.act(id_, "pause")
    await cloud.settled(id_, "PAUSED")


async def test_a_soft_deleted_guest_that_is_back_is_ended(cloud: Cloud, autojump_clock: MockClock) -> None:
    id_ = await served(cloud)
    guest = cloud.hypervisors["one"].running[id_].guest
    await cloud.act(id_, "os-stop")
    await cloud.settled(id_, "SHUTOFF")
    await cloud.hypervisors["one"].start(guest)
    await cloud.looked()
    assert not cloud.hypervisors["one"].running
