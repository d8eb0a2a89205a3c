"""Runs tests of those who use devices once more with devices that answer late and in another order, and, where a test
says that a quorum is enough for it, with one that never answers.

A test that opens a store over devices (`open_node`, `opened`) runs both ways, unless it is marked `at_once`: with the
reason, which is that it is about the insides of a device, or about times. Marked `own_devices` it does not run with
devices behind links: it is about what only the process does that has the devices. Marked `quorum_suffices` it runs with
one that never answers, too.
"""

from __future__ import annotations

import pytest
import trio

from store.device.port import DevicePort
from store.engine.device import Device
from store.remote.device import RemoteDevice
from store.remote.service import NEWS_SECONDS
from tests.device.delayed import DelayedDevice, late, never
from tests.device.over_wire import OverWire, engine_behind
from tests.simulation.node import SimMedia

AT_ONCE, LATE, ONE_NEVER, OVER_WIRE = "at once", "late", "one never", "over wire"
SILENT = 1
"""The device that never answers."""


def answers(metafunc: pytest.Metafunc) -> None:
    """Run the test in all ways that suit it."""
    opens = {"open_node", "opened"} & set(vars(metafunc.module)) and "autojump_clock" in metafunc.fixturenames
    if not opens or "store" in metafunc.fixturenames:
        return
    node = metafunc.definition
    ways = [AT_ONCE]
    if node.get_closest_marker("at_once") is None:
        ways.append(LATE)
        if node.get_closest_marker("own_devices") is None:
            ways.append(OVER_WIRE)
        if node.get_closest_marker("quorum_suffices") is not None:
            ways.append(ONE_NEVER)
    metafunc.parametrize("answering", ways, indirect=True)


def answer(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Have the devices of the stores that are opened from now on answer in this way."""

    def port(device: Device) -> DevicePort:
        if way == AT_ONCE:
            return device
        if way == OVER_WIRE:
            return _over_wire(device)
        silent = way == ONE_NEVER and device.id == SILENT
        return DelayedDevice(device, never if silent else late(device.id))

    monkeypatch.setattr(SimMedia, "port", staticmethod(port))
    if way == OVER_WIRE:
        monkeypatch.setattr(SimMedia, "reached", staticmethod(_reached))


def _over_wire(device: Device) -> RemoteDevice:
    over_wire = OverWire(device)
    trio.lowlevel.spawn_system_task(over_wire.run)
    return over_wire.remote


async def _reached(port: DevicePort) -> None:
    assert isinstance(port, RemoteDevice)
    engine = engine_behind(port)
    while port.failed is not None and engine.failed is None:
        await trio.sleep(NEWS_SECONDS)
