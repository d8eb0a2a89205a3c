"""Which devices an object's data go to: chosen when the first block is there, and recorded in the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from store.core.errors import BusyError, DeviceError, DrystoneError, FullError, QuorumError
from store.core.limits import BLOCK_BYTES, ERASURE_BYTES_MIN
from store.device.port import SLOW_SECONDS, DevicePort
from store.objects.model import Policy
from store.objects.rowcodec import DataLocation
from store.ring import Ring, quorum

PLACING_BYTES = 8


class Placement(NamedTuple):
    """Where data go, and how many of these devices must have them durably before the row may say so."""

    data_location: DataLocation
    needed: int


def choose(
    ring: Ring, devices: Mapping[int, DevicePort], policy: Policy, data_id: bytes, size: int | None
) -> Placement:
    """The replicas of these data in the newest layout; a device that is out or full is replaced by a handoff.

    `size` None says: at least a stripe. Small objects of an erasure-coded policy are replicated, on as many devices
    as survive the same losses. Raises QuorumError where too few devices can take data.
    """
    erasure = policy.erasure and (size is None or size >= ERASURE_BYTES_MIN)
    if erasure:
        width, k, m, codec = policy.width, policy.k, policy.m, policy.codec
        needed = min(k + 1, k + m)
    else:
        width, k, m, codec = (policy.m + 1 if policy.erasure else policy.replicas), 0, 0, ""
        needed = quorum(width)
    replicas = newest_replicas(ring, policy, data_id, width)
    handoffs = ring.handoffs(policy.width, data_ring_hash(ring, data_id))
    spare = (other for other in handoffs if other not in replicas)
    chosen: list[int] = []
    refusals: dict[int, BaseException] = {}
    for replica in replicas:
        why_not = refusal(replica, devices.get(replica))
        other = replica if why_not is None else next((o for o in spare if refusal(o, devices.get(o)) is None), None)
        if other is None and why_not is not None:
            refusals[replica] = why_not
        chosen.append(replica if other is None else other)
    usable = len(chosen) - len(refusals)
    if usable < needed:
        raise verdict("placing data", needed, usable, refusals)
    return Placement(DataLocation(BLOCK_BYTES, k, m, codec, tuple(chosen)), needed)


def data_ring_hash(ring: Ring, data_id: bytes) -> int:
    """Data are placed by the first half of their id: what shares blocks has that in common, and so the same
    replicas."""
    return ring.ring_hash(b"data", data_id[:PLACING_BYTES])


def newest_replicas(ring: Ring, policy: Policy, data_id: bytes, count: int) -> tuple[int, ...]:
    """Where the newest layout has these data, which are on so many of the policy's devices."""
    return ring.write_sets(policy.width, data_ring_hash(ring, data_id))[-1][:count]


def refusal(number: int, device: DevicePort | None) -> DrystoneError | None:
    """Why a device takes no data now. Asked once a choice: room comes and goes."""
    if device is None:
        return DeviceError(f"device {number} is not there")
    if device.failed is not None:
        return device.failed
    if device.slow >= SLOW_SECONDS:
        return BusyError(f"device {number} has not answered for {device.slow:.0f} s")
    return FullError(f"device {number} is full") if device.full else None


def verdict(doing: str, needed: int, got: int, failures: Mapping[int, BaseException]) -> DrystoneError:
    """One error for several devices': theirs if they agree. That some are out, or gone, is too few of them: others may
    do when it is tried again."""
    kinds = {type(error) for error in failures.values()}
    first = next(iter(failures.values()))
    if len(kinds) == 1 and isinstance(first, DrystoneError) and not isinstance(first, DeviceError):
        return first
    return QuorumError(doing, needed, got, failures)
