"""An upload is acknowledged by as many devices as its policy promises, and not by one less."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from store.core.errors import DeviceError, DrystoneError
from store.device.port import Done
from store.engine.device import Device
from store.objects.model import Policy
from store.objects.store import ObjectUpload
from tests.replicator.clusters import HEAD, exists, media_of, opened
from tests.simulation.limits import BLOCK_BYTES
from tests.simulation.node import SimNode
from tests.simulation.worker import Gate, SimWorker

DATA = Random(1).randbytes(3 * BLOCK_BYTES)
POLICIES = {
    "3 copies": (Policy(0, "copies", default=True), 2),
    "4 copies": (Policy(0, "copies", replicas=4, default=True), 3),
    "2+1": (Policy(0, "code", k=2, m=1, codec="zfec", default=True), 3),
    "4+2": (Policy(0, "code", k=4, m=2, codec="zfec", default=True), 5),
}
"""Each with how many devices must have an object's data."""
by_policy = pytest.mark.parametrize(("policy", "needed"), POLICIES.values(), ids=list(POLICIES))


def devices_of(node: SimNode, upload: ObjectUpload) -> list[Device]:
    placement = upload._data.placement
    assert placement is not None
    return [node.devices[number] for number in placement.data_location.devices]


def hold_syncs(device: Device) -> Gate:
    """What is written to the device from now on becomes durable when the gate opens."""
    worker = device._bulk_sync_worker.inner
    assert isinstance(worker, SimWorker)
    gate = worker._gate = Gate()
    gate.shut = True
    return gate


@by_policy
async def test_data_are_acknowledged_once_enough_devices_have_them(
    autojump_clock: MockClock, policy: Policy, needed: int
) -> None:
    async with opened(media_of(6, [policy])) as (node, container):
        gates = {number: hold_syncs(device) for number, device in node.devices.items()}
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(DATA)
            devices = devices_of(node, upload)
            for device in devices[: needed - 1]:
                gates[device.id].open()
            with trio.move_on_after(10) as waiting:
                await upload.digest()
            assert waiting.cancelled_caught, f"acknowledged by {needed - 1} devices"
            gates[devices[needed - 1].id].open()
            await upload.commit(HEAD)
        for gate in gates.values():
            gate.open()
        assert await exists(node.store, container, "o")


@by_policy
async def test_data_that_too_few_devices_took_are_refused(
    autojump_clock: MockClock, policy: Policy, needed: int
) -> None:
    async with opened(media_of(6, [policy])) as (node, container):
        async with node.store.upload(container, "o") as upload:
            assert isinstance(upload, ObjectUpload)
            await upload.write(DATA)
            for device in devices_of(node, upload)[needed - 1 :]:
                device.submit_sync = refuse  # type: ignore[method-assign]
            with pytest.raises(DrystoneError):
                await upload.commit(HEAD)
        assert not await exists(node.store, container, "o")


def refuse(losses: int, done: Done) -> None:
    raise DeviceError("no sync")
