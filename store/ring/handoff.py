"""Where data goes when its replicas cannot take it: every other device, in an order that all agree on."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator

from store.ring.device import Device, Domain


def handoff_order(partition: int, devices: Iterable[Device], replicas: Iterable[Device]) -> Iterator[int]:
    """The ids of `devices` that are no replicas and have weight, each once, best first.

    The next is always one whose region, then zone, then machine holds the fewest of those before it (replicas
    included); between equals a draw decides that is weighted and fixed by partition and device, so that the handoffs of
    different partitions spread over the cluster in proportion to weight.
    """
    used: Counter[Domain] = Counter()
    taken = set()
    for replica in replicas:
        used.update(replica.domains)
        taken.add(replica.id)
    waiting = {device: _draw(partition, device) for device in devices if device.weight > 0 and device.id not in taken}
    while waiting:
        best = min(
            waiting, key=lambda device: (*[used[domain] for domain in device.domains], waiting[device], device.id)
        )
        del waiting[best]
        used.update(best.domains)
        yield best.id


def _draw(partition: int, device: Device) -> float:
    """The lower the better: an exponential variate of rate `weight`, the first of which falls on a device with a
    chance in proportion to its weight."""
    digest = hashlib.blake2b(b"%d %d" % (partition, device.id), digest_size=8, person=b"drystone handoff").digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(uniform) / device.weight
