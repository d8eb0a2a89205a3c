"""Servers: what they are to be, what they are, and what is being done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple

from compute_plugin.records.flavor import Flavor
from compute_plugin.tables.record_codec import record_codec


class VmState(StrEnum):
    """Where a server stands when nothing is done with it: Nova's `vm_state`. See lifecycle/table.py."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESIZED = "resized"
    RESCUED = "rescued"
    SHELVED = "shelved"
    OFFLOADED = "shelved_offloaded"
    ERROR = "error"
    SOFT_DELETED = "soft-delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDisk:
    """A disk of a server, in the order of the block device mapping."""

    source: str
    """What it is made of: `image`, `volume`, `snapshot` or `blank`."""
    source_id: str = ""
    """Of the image, volume or snapshot."""
    destination: str = "local"
    """`local`: a volume of the store that is the server's own, and no other service knows. `volume`: one of the volume
    service."""
    volume_id: str = ""
    """Of the volume service; "" as long as it is not made."""
    volume_type: str = ""
    attachment_id: str = ""
    """Of the volume service: that the server has it."""
    store_name: str = ""
    """Of the store's volume, where the disk is local."""
    size: int = 0
    """GiB; 0: as large as what it is made of."""
    size_mib: int = 0
    """Instead of `size`: of swap."""
    boot_index: int | None = None
    target: str = ""
    """`vda`, as clients see it behind /dev/."""
    bus: str = ""
    device: str = "disk"
    """`disk` or `cdrom`."""
    format: str = ""
    """Of an empty one: `swap`, `ext4`; "" for none."""
    delete_on_termination: bool = False
    tag: str | None = None
    read_only: bool = False
    shareable: bool = False
    plugged: bool = False
    """Whether it is one of the guest's. One that is not yet, or no more, is on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNic:
    """A port of a server."""

    port_id: str = ""
    """"" as long as it is not made."""
    network_id: str = ""
    fixed_ip: str = ""
    """That was asked for; "" for any."""
    tag: str | None = None
    own: bool = False
    """Whether the port was made for the server, and goes with it."""
    plugged: bool = False


class Fault(NamedTuple):
    """What went wrong last."""

    code: int
    message: str
    details: str
    created_us: int


class Transition(NamedTuple):
    """What is being done with a server. It has one host that does it; another goes on where that one died."""

    what: str
    """A line of lifecycle/table.py."""
    id: str
    request_id: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    """Of whoever asked: other services are asked in their name, whatever became of their token."""
    host: str
    """The host whose agent does the present step; "" for any."""
    step: str
    """The last step that was begun; "" at the beginning."""
    task_state: str
    """What clients see meanwhile: Nova's `task_state`."""
    arguments: dict[str, Any]
    """What was asked for and what came of it so far, as in JSON."""
    begun_us: int


class Before(NamedTuple):
    """What a server was before it was resized or moved, until that is confirmed or reverted."""

    flavor: Flavor
    host: str
    state: VmState
    """`active` or `stopped`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Times are microseconds since the epoch."""

    id: str
    number: int
    """Of the cloud: in the name that hypervisors know."""
    project_id: str
    user_id: str
    name: str
    hostname: str
    flavor: Flavor
    """As it was when the server was made or resized."""
    created_us: int
    updated_us: int
    description: str | None = None
    image_id: str = ""
    """"" for a server that boots from a volume."""
    image_properties: dict[str, str] = field(default_factory=dict)
    """Of the image that it boots from, also where that is in a volume."""
    key_name: str | None = None
    public_key: str = ""
    key_type: str = "ssh"
    user_data: str = ""
    """Base64, as it was sent."""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    """Names or ids for ports that are made."""
    config_drive: bool = False
    zone: str = ""
    """That was asked for; "" for any."""
    wanted_host: str = ""
    """That was asked for, by administrators."""
    hints: dict[str, Any] = field(default_factory=dict)
    group_id: str | None = None
    host: str = ""
    """Which has it, and what it claims; "" for none."""
    state: VmState = VmState.BUILDING
    transition: Transition | None = None
    power: int = 0
    """Nova's `power_state`, as its host saw it last."""
    progress: int = 0
    fault: Fault | None = None
    locked: str = ""
    """`owner` or `admin`; "" for one that is not."""
    locked_reason: str | None = None
    auto_disk: bool = True
    """OS-DCF:diskConfig: AUTO."""
    disks: tuple[ServerDisk, ...] = ()
    nics: tuple[ServerNic, ...] = ()
    reservation_id: str = ""
    index: int = 0
    """Among those that were made at once."""
    launched_us: int = 0
    terminated_us: int = 0
    before: Before | None = None
    rescue_image_id: str = ""
    rescue_disk: ServerDisk | None = None
    saved: bool = False
    """Whether its memory is in a file of its host."""
    password: str = ""
    """That the guest posted, encrypted for the key pair's owner (os-server-password)."""
    admin_password: str = ""
    """For the config drive and the metadata service, until the guest has run once."""
    trusted_certificates: tuple[str, ...] | None = None
    access4: str = ""
    """accessIPv4: that people say of it; of nobody here."""
    access6: str = ""

    @property
    def claims(self) -> tuple[tuple[str, Flavor], ...]:
        """What it takes of which host: until a resize is confirmed, of both."""
        held = [(self.host, self.flavor)] if self.host else []
        if self.before is not None and self.before.host:
            held.append((self.before.host, self.before.flavor))
        return tuple(held)

    @property
    def moves_between(self) -> tuple[str, ...]:
        """The hosts that its guest leaves, and goes to, while it runs, as long as it has not arrived."""
        if self.transition is None or self.transition.what != "live-migrate":
            return ()
        target = str(self.transition.arguments.get("target", ""))
        return (self.host, target) if target not in ("", self.host) else ()

    def with_disk(self, at: int, **changes: Any) -> Server:
        """With one disk that is otherwise."""
        return replace(self, disks=(*self.disks[:at], replace(self.disks[at], **changes), *self.disks[at + 1 :]))

    def with_nic(self, at: int, **changes: Any) -> Server:
        """With one network card that is otherwise."""
        return replace(self, nics=(*self.nics[:at], replace(self.nics[at], **changes), *self.nics[at + 1 :]))


def _plain(value: Any) -> Any:
    """For msgpack: records within records are lists of their fields."""
    if isinstance(value, Flavor | ServerDisk | ServerNic):
        return [_plain(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _flavor(stored: Any) -> Flavor:
    return Flavor(**dict(zip((one.name for one in fields(Flavor)), stored, strict=True)))


def _disk(stored: Any) -> ServerDisk:
    return ServerDisk(**dict(zip((one.name for one in fields(ServerDisk)), stored, strict=True)))


def _nic(stored: Any) -> ServerNic:
    return ServerNic(**dict(zip((one.name for one in fields(ServerNic)), stored, strict=True)))


def _listed(value: Any) -> Any:
    """What was JSON has lists, not tuples."""
    if isinstance(value, tuple):
        return [_listed(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _listed(one) for key, one in value.items()}
    return value


def _transition(stored: Any) -> Transition | None:
    if stored is None:
        return None
    made = Transition(*stored)
    return made._replace(arguments=_listed(made.arguments))


SERVER_CODEC: Final = record_codec(
    "server",
    Server,
    pack=_plain,
    flavor=_flavor,
    state=VmState,
    hints=_listed,
    transition=_transition,
    fault=lambda value: None if value is None else Fault(*value),
    disks=lambda values: tuple(_disk(one) for one in values),
    nics=lambda values: tuple(_nic(one) for one in values),
    before=lambda value: None if value is None else Before(_flavor(value[0]), value[1], VmState(value[2])),
    rescue_disk=lambda value: None if value is None else _disk(value),
)
