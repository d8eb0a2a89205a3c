"""A device as the ring knows it: where it stands and how much it may hold."""

from __future__ import annotations

from dataclasses import dataclass

DEVICE_ID_MAX = 0xFFFF
"""Tables hold device ids in 16 bits. Ids are never reused, so this bounds the devices of a cluster's whole life."""

TIERS = ("region", "zone", "machine", "device")
"""Failure domains from widest to narrowest. Each contains those that follow it."""

Domain = tuple[int | str, ...]
"""A failure domain's full address: a zone 1 of region 1 is another zone than the zone 1 of region 2."""


@dataclass(frozen=True, slots=True)
class Device:
    """One disk, or one directory standing for a disk.

    `weight` is a share in proportion to other weights, in whatever unit the operator likes (terabytes are customary).
    Weight 0 means: hold nothing, but still belong to the cluster, which is how a device is emptied in good order.
    """

    id: int
    region: int
    zone: int
    machine: str
    weight: float
    label: str

    def __post_init__(self) -> None:
        if not 0 <= self.id <= DEVICE_ID_MAX:
            raise ValueError(f"device id {self.id} is not within 0 to {DEVICE_ID_MAX}")
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"device {self.id}: weight {self.weight} is not a finite number of 0 or more")

    @property
    def domains(self) -> tuple[Domain, Domain, Domain, Domain]:
        """The domains it stands in, one for each of TIERS."""
        full: Domain = (self.region, self.zone, self.machine, self.id)
        return full[:1], full[:2], full[:3], full
