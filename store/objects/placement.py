"""Which devices an object's data go to: chosen when the first block is there, and recorded in the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from store.core.errors import DeviceError, FullError, QuorumError
from store.core.limits import BLOCK_BYTES, ERASURE_BYTES_MIN
from store.engine.device import Device
from store.objects.model import Policy
from store.objects.rowcodec import Placed
from store.ring import Ring, quorum


class Placement(NamedTuple):
    """Where data go, and how many of these devices must have them durably before the row may say so."""

    placed: Placed
    needed: int


def choose(ring: Ring, devices: Mapping[int, Device], policy: Policy, data_id: bytes, size: int | None) -> Placement:
    """The homes of these data in the newest layout; a device that is out or full is replaced by a handoff.

    `size` None says: at least a stripe. Small objects of an erasure-coded policy are replicated, on as many devices
    as survive the same losses. Raises QuorumError where too few devices can take data.
    """
    place = ring.place(b"data", data_id)
    erasure = policy.erasure and (size is None or size >= ERASURE_BYTES_MIN)
    if erasure:
        width, k, m, codec = policy.width, policy.k, policy.m, policy.codec
        needed = min(k + 1, k + m)
    else:
        width, k, m, codec = (policy.m + 1 if policy.erasure else policy.replicas), 0, 0, ""
        needed = quorum(width)
    homes = ring.write_sets(policy.width, place)[-1][:width]
    chosen: list[int] = []
    spare = None
    for home in homes:
        if _takes_data(devices.get(home)):
            chosen.append(home)
            continue
        if spare is None:
            known = set(homes)
            spare = (other for other in ring.handoffs(policy.width, place) if other not in known)
        chosen.append(next((other for other in spare if _takes_data(devices.get(other))), home))
    usable = sum(_takes_data(devices.get(device)) for device in chosen)
    if usable < needed:
        reasons = {home: _reason(devices.get(home)) for home in homes if not _takes_data(devices.get(home))}
        kinds = {type(reason) for reason in reasons.values()}
        if len(kinds) == 1:
            raise next(iter(reasons.values()))
        raise QuorumError("placing data", needed, usable, reasons)
    return Placement(Placed(BLOCK_BYTES, k, m, codec, tuple(chosen)), needed)


def _takes_data(device: Device | None) -> bool:
    return device is not None and device.health.failed is None and (not device.full or device.look_for_room())


def _reason(device: Device | None) -> Exception:
    if device is None:
        return DeviceError("the device is not there")
    return device.health.failed or FullError(f"device {device.id} is full")
