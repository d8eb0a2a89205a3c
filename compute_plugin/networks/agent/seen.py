"""What is on a host, as far as the plan has a say in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compute_plugin.networks.plan.ruleset import Table
from compute_plugin.networks.plan.wiring import BridgePort, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLink:
    """A link."""

    name: str
    index: int = 0
    kind: str = ""
    """As the kernel calls it: `bridge`, `vxlan`, `vlan`, `veth`, `tun`; "" for a physical one."""
    details: tuple[object, ...] = ()
    """Of a VXLAN: VNI, local address, port; of a VLAN: the link's name and its number; of a bridge: whether IP packets
    pass the tables of `inet`."""
    peer: int = 0
    """Of one end of a pair: the index of the other."""
    mac: str = ""
    mtu: int = 0
    up: bool = False
    master: str | None = None
    port: BridgePort = field(default_factory=BridgePort)
    quiet: bool = False
    """Whether it makes itself no address of IPv6."""
    macs: frozenset[str] = frozenset()
    remotes: frozenset[tuple[str, str]] = frozenset()
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenService:
    """A service that runs, or files of one."""

    space: str = ""
    """The namespace that it runs in; "" where that is none of ours."""
    command: tuple[str, ...] | None = None
    """Of the process that its pid file names; None where none runs."""
    process: int = 0
    """Its number; 0 for none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """By paths: texts. What there is in its folder."""
    told: str = ""
    """Digest of the files that the process was told to read last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpace:
    """The host, or a namespace."""

    name: str
    links: Mapping[str, SeenLink] = field(default_factory=dict)
    routes: frozenset[Route] = frozenset()
    """Made by somebody, not by the kernel itself."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] | None = None
    """Ours; None where it is not known what they are now."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it."""

    spaces: Mapping[str, SeenSpace]
    services: Mapping[str, SeenService] = field(default_factory=dict)
    """By their folders."""
    broken: frozenset[str] = frozenset()
    """Names of namespaces behind which there is none any more."""
