"""`Hypervisor`: what runs the guests of one host. Drivers keep it over libvirt, `tests/twins/hypervisor.py` in memory.

A guest is known by the id of its server (a UUID). The records of servers are the truth: a hypervisor remembers nothing
of a guest that does not run, and is told all of it (`Guest`) when it starts one. Every call stands being made twice.

Errors are those of `store.core.errors`: NotFoundError where the guest does not run, ConflictError where it is in no
state for that, InvalidError for what the hypervisor cannot make, RetryableError where nobody answers (a daemon that is
gone: it may come back), and `HypervisorError` for what it refused, in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from store.core.errors import DrystoneError


class HypervisorError(DrystoneError):
    """The hypervisor refused, for a reason that has no kind of its own here."""


class UnsupportedError(DrystoneError):
    """This kind of hypervisor cannot do that at all."""


class Power(IntEnum):
    """What a guest does, by the numbers that clients see (nova.objects.fields.InstancePowerState)."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Can(StrEnum):
    """What only some kinds of hypervisors can do."""

    PAUSE = "pause"
    SUSPEND = "suspend"
    RESCUE = "rescue"
    HAVE_DISKS = "have-several-disks"
    ATTACH_DISKS = "attach-disks"
    ATTACH_NICS = "attach-nics"
    LIVE_MIGRATION = "live-migration"
    SERIAL_CONSOLE = "serial-console"
    VNC = "vnc"
    PASSWORD = "password"  # noqa: S105 - the name of what it can set
    NMI = "nmi"


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A disk of a guest: an export of the NBD server at a Unix socket of the host, or a file."""

    target: str
    """The disk's name within the domain: vda for virtio, sda for scsi and sata, hda for ide."""
    export: str = ""
    """"" for a disk that is a file."""
    socket: str = ""
    file: str = ""
    """A path on the host, such as the config drive."""
    bus: str = "virtio"
    device: str = "disk"
    """`disk` or `cdrom`."""
    serial: str = ""
    read_only: bool = False
    boot: int | None = None
    """Place in the order in which the firmware looks for a system, from 1."""
    shareable: bool = False
    """Whether other guests have it, too."""


@dataclass(frozen=True, slots=True)
class GuestNic:
    """A network card: a tap of the host, which the agent of networks takes in."""

    tap: str
    mac: str
    mtu: int = 1500
    model: str = "virtio"


@dataclass(frozen=True, slots=True)
class Guest:
    """All that a hypervisor has to know of a guest."""

    id: str
    """Of the server."""
    name: str
    """Within the hypervisor; of letters, digits and '-' alone."""
    title: str
    """What people call the server; any text."""
    project_id: str
    memory_mib: int
    vcpus: int
    disks: tuple[GuestDisk, ...]
    nics: tuple[GuestNic, ...] = ()
    folder: str = ""
    """Of the host, for what belongs to the guest: `console.log`, `serial.sock`, `vnc.sock`. Absolute; it is there."""
    kernel: str = ""
    """Path of a kernel that is booted directly, and what goes with it; "" where the firmware boots a disk."""
    ramdisk: str = ""
    command_line: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Of the image: `hw_machine_type`, `hw_video_model`, `hw_firmware_type`, `os_command_line` ..., those that are
    known."""
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    """Of the flavor."""


@dataclass(frozen=True, slots=True)
class GuestState:
    """What a hypervisor says of a guest that it has."""

    power: Power
    waits: bool = False
    """Whether an I/O error of a volume has paused it: it goes on by itself."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a host has for guests."""

    kind: str
    """`QEMU`, `KVM`, `LXC`, `Xen`, `VMware vCenter Server` ...: hypervisor_type, as clients know it."""
    version: int
    """As libvirt counts: 7002022 is 7.2.22."""
    vcpus: int
    memory_mib: int
    cpu: Mapping[str, object]
    """arch, model, vendor, features, topology: cpu_info."""
    can: frozenset[Can]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a guest has used so far."""

    cpu_ns: tuple[int, ...]
    """Of each virtual processor."""
    memory_mib: int
    memory_used_mib: int
    disks: Mapping[str, tuple[int, int, int, int, int]]
    """By target: read bytes, read requests, written bytes, write requests, errors (-1 where it is not known)."""
    nics: Mapping[str, tuple[int, int, int, int, int, int, int, int]]
    """By MAC: received bytes, packets, errors, drops; sent ones."""
    uptime_s: int


class Changes(Protocol):
    """Guests whose state changed."""

    async def next(self) -> str:
        """The id of the next. Raises RetryableError where the hypervisor is gone."""
        ...


class Hypervisor(Protocol):
    """Of one host."""

    can: frozenset[Can]

    async def inventory(self) -> Inventory:
        """Raises RetryableError."""
        ...

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """Follow states: what changes after entering is told; but of a guest that ends just when a daemon of libvirt
        has begun anew and finds it, nobody is told, so look at `guests` now and then, too. Raises RetryableError where
        nobody answers."""
        ...

    async def guests(self) -> Mapping[str, GuestState]:
        """Those of servers that run, or that are there at all, by their ids."""
        ...

    async def start(self, guest: Guest, *, saved: str = "") -> None:
        """Have it run, from the beginning; where it runs already, nothing is done. `saved`: the path of what `save`
        wrote, from which it goes on instead. All its disks are connected such that they outlive a restart of their
        server (docs/guests.md)."""
        ...

    async def stop(self, id_: str, patience_s: float) -> None:
        """Ask its system to end, and end it where that takes longer; 0: at once. Nothing where it does not run."""
        ...

    async def reboot(self, id_: str, patience_s: float) -> bool:
        """Ask its system to start anew. Whether it did within that time; if not it may still do so later."""
        ...

    async def pause(self, id_: str) -> None: ...

    async def unpause(self, id_: str) -> None: ...

    async def save(self, id_: str, path: str) -> None:
        """Write its memory to a file, whole or not at all, and end it."""
        ...

    async def attach_disk(self, id_: str, disk: GuestDisk) -> None:
        """One that it has already: nothing."""
        ...

    async def detach_disk(self, id_: str, target: str) -> None:
        """Return when the guest has let go. One that it has not: nothing. Raises RetryableError where it does not
        answer: one may ask again."""
        ...

    async def grow_disk(self, id_: str, target: str, size: int) -> None:
        """Its volume has so many bytes now."""
        ...

    async def attach_nic(self, id_: str, nic: GuestNic) -> None: ...

    async def detach_nic(self, id_: str, mac: str) -> None: ...

    async def set_password(self, id_: str, user: str, password: str) -> None:
        """By the guest's agent. Raises ConflictError where it has none."""
        ...

    async def interrupt(self, id_: str) -> None:
        """A non-maskable interrupt: systems write a dump then."""
        ...

    async def usage(self, id_: str) -> Usage: ...

    async def console_log(self, guest_folder: str) -> bytes:
        """What the guest said on its serial console, the last part of it (100 KiB at least); b"" for nothing."""
        ...

    async def migrate(self, guest: Guest, peer: str, address: str) -> None:
        """Have it go on at another host, whose hypervisor is reached by the URI `peer`, while it runs; its memory goes
        to that IP address. It runs at one of the two afterwards, whatever fails: `guests` of both tell."""
        ...
