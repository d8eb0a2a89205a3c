"""Hosts as they stand: what each has, and what is claimed of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compute_plugin.records.flavor import Flavor
from compute_plugin.records.grouping import Aggregate
from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.states import HostState, States
from compute_plugin.settings import Settings

ZONE = "availability_zone"
"""Of an aggregate's metadata."""


@dataclass(frozen=True, slots=True)
class Store:
    """What the disks of all servers are in: wherever a server is, they are on the devices of all hosts."""

    gib: int
    used_gib: int


@dataclass(frozen=True, slots=True)
class Host:
    """A host whose agent lives, at one moment."""

    state: HostState
    note: HostNote | None
    aggregates: tuple[Aggregate, ...]
    servers: tuple[Server, ...]
    """Those that claim something of it."""
    zone: str
    vcpus: int
    """That servers may have in all; of memory the same."""
    ram_mib: int
    vcpus_used: int
    ram_used_mib: int
    disk_used_gib: int
    """Of the store, by its own servers."""
    store: Store
    disk_gib: int
    """That all servers may have, wherever they are."""

    @property
    def name(self) -> str:
        return self.state.id


def hosts_of(records: Records, states: States, settings: Settings) -> Iterator[Host]:
    """All that live, by their names."""
    store = store_of(records, states)
    for state in sorted(states.hosts, key=lambda one: one.id):
        yield host_of(records, state, settings, store)


def store_of(records: Records, states: States) -> Store:
    """What is there of it is what the hosts have that live; a host may have none."""
    return Store(sum(state.disk_gib for state in states.hosts), sum(map(claimed_gib, records.servers)))


def claimed_gib(server: Server) -> int:
    """What a server takes of the store: once, however many hosts it claims something of."""
    return max((local_gib(server, flavor) for _, flavor in server.claims), default=0)


def host_of(records: Records, state: HostState, settings: Settings, store: Store) -> Host:
    """What a host says of itself, and what is said of it."""
    servers = tuple(records.servers.by("host", state.id))
    claims = [(server, flavor) for server in servers for host, flavor in server.claims if host == state.id]
    aggregates = tuple(records.aggregates.by("host", state.id))
    return Host(
        state=state,
        note=records.host_notes.get(state.id),
        aggregates=aggregates,
        servers=servers,
        zone=zone_of(aggregates, settings),
        vcpus=int(state.vcpus * settings.cpu_ratio),
        ram_mib=int((state.memory_mib - settings.ram_reserved_mib) * settings.ram_ratio),
        vcpus_used=sum(flavor.vcpus for _, flavor in claims),
        ram_used_mib=sum(flavor.ram for _, flavor in claims),
        disk_used_gib=sum(local_gib(server, flavor) for server, flavor in claims),
        store=store,
        disk_gib=int(store.gib * settings.disk_ratio),
    )


def local_gib(server: Server, flavor: Flavor) -> int:
    """Of its disks that are no volumes of the volume service, as it has them with a flavor."""
    of_volume = any(disk.boot_index == 0 and disk.destination == "volume" for disk in server.disks)
    return (0 if of_volume else flavor.disk) + flavor.ephemeral + -(-flavor.swap // 1024)


def zone_of(aggregates: tuple[Aggregate, ...], settings: Settings) -> str:
    """The zone that a host's aggregates put it in."""
    return next((one.metadata[ZONE] for one in aggregates if ZONE in one.metadata), settings.zone)
