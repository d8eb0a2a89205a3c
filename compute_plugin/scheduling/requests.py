"""What is asked of the scheduler for a server, from the records. Pure."""

from __future__ import annotations

from compute_plugin.hypervisors.interface import Can
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.states import States
from compute_plugin.scheduling.choice import choose
from compute_plugin.scheduling.filters import Request
from compute_plugin.scheduling.hosts import Host, claimed_gib, hosts_of, local_gib
from compute_plugin.settings import Settings


def request_for(
    records: Records,
    server: Server,
    flavor: Flavor | None = None,
    *,
    host: str = "",
    others_than: frozenset[str] = frozenset(),
) -> Request:
    """`flavor`: the one that it is to have, where that is another."""
    group = records.groups.get(server.group_id) if server.group_id else None
    members = [one for one in records.servers.by("group", server.group_id) if one.id != server.id] if group else []
    size = flavor or server.flavor
    return Request(
        server=server,
        flavor=size,
        image_properties=server.image_properties,
        group=group,
        members=members,
        zone=server.zone,
        host=host,
        others_than=others_than,
        # One that only goes to another host takes its disks along.
        local_gib=max(0, local_gib(server, size) - claimed_gib(server)),
        can=frozenset({Can.HAVE_DISKS}) if len(server.disks) + server.config_drive > 1 else frozenset(),
    )


def place(
    records: Records,
    states: States,
    settings: Settings,
    server: Server,
    flavor: Flavor | None = None,
    *,
    host: str = "",
    others_than: frozenset[str] = frozenset(),
) -> Host:
    """The host that a server is to be on. Raises NoHostError."""
    request = request_for(records, server, flavor, host=host, others_than=others_than)
    return choose(hosts_of(records, states, settings), request)
