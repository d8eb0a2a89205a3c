"""What can be done to a host, one thing at a time. Facts; how it is done is in `commands` and `applying`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import BridgePort, Link, Route, Service

Setting = Literal["mac", "mtu", "up", "master", "quiet", "filtered"]


@dataclass(frozen=True, slots=True)
class AddSpace:
    """A namespace. Its name is `space`, as with all steps: where they are done; "" is the host."""

    space: str


@dataclass(frozen=True, slots=True)
class DeleteSpace:
    """With all that is in it; its services have been stopped before."""

    space: str


@dataclass(frozen=True, slots=True)
class AddLink:
    """Down, plugged into nothing, without addresses. A pair comes with its other end."""

    space: str
    link: Link
    peer: Link | None = None


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """A pair goes with its other end."""

    space: str
    name: str


@dataclass(frozen=True, slots=True)
class SetLink:
    """One setting. `master`: "" plugs it out; `quiet`: no addresses of IPv6 by itself; `filtered`: IP packets of a
    bridge pass the tables of `inet`."""

    space: str
    name: str
    setting: Setting
    value: str


@dataclass(frozen=True, slots=True)
class SetPort:
    """How its bridge sees a link."""

    space: str
    name: str
    port: BridgePort


@dataclass(frozen=True, slots=True)
class Entry:
    """A forwarding entry of a bridge's port, or with `remote` of a VXLAN; made, or taken away."""

    space: str
    name: str
    mac: str
    remote: str | None
    there: bool


@dataclass(frozen=True, slots=True)
class Address:
    """Of a link; given, or taken away."""

    space: str
    name: str
    address: str
    there: bool


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Made, or taken away."""

    space: str
    route: Route
    there: bool


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """A value below /proc/sys."""

    space: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class SetTables:
    """Tables of nftables, in one transaction. `before` is what is known to be there; None where nothing is known."""

    space: str
    before: tuple[Table, ...] | None
    after: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class StartService:
    """With its files; one that runs is stopped before."""

    space: str
    service: Service


@dataclass(frozen=True, slots=True)
class StopService:
    """And take its folder away."""

    folder: str
    space: str = ""


@dataclass(frozen=True, slots=True)
class ReloadService:
    """Have it read again what it can."""

    space: str
    service: Service


Step = (
    AddSpace
    | DeleteSpace
    | AddLink
    | DeleteLink
    | SetLink
    | SetPort
    | Entry
    | Address
    | SetRoute
    | SetSysctl
    | SetTables
    | StartService
    | StopService
    | ReloadService
)
