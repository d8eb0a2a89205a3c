"""`Records`: all of what servers are to be, in memory. Pure.

compute/<kind>/<id>     a record
"""

from __future__ import annotations

from typing import Any, Final

from compute_plugin.records.action import ACTION_CODEC, MIGRATION_CODEC, Migration, ServerAction
from compute_plugin.records.console import CONSOLE_TOKEN_CODEC, ConsoleToken
from compute_plugin.records.flavor import FLAVOR_CODEC, Flavor
from compute_plugin.records.grouping import AGGREGATE_CODEC, GROUP_CODEC, Aggregate, ServerGroup
from compute_plugin.records.keypair import KEYPAIR_CODEC, KeyPair
from compute_plugin.records.operating import COUNTER_CODEC, HOST_NOTE_CODEC, QUOTA_CODEC, Counter, HostNote, Quota
from compute_plugin.records.server import SERVER_CODEC, Server
from compute_plugin.tables.table import Kind, Table
from compute_plugin.tables.tables import Tables

SERVERS: Final = Kind(
    "server",
    SERVER_CODEC,
    {
        "project": lambda one: (one.project_id,),
        "host": lambda one: tuple({host for host, _ in one.claims}),
        "group": lambda one: (one.group_id,) if one.group_id else (),
        "doing": lambda one: (one.transition.host,) if one.transition else (),
        "moving": lambda one: one.moves_between,
        "volume": lambda one: tuple(disk.volume_id for disk in one.disks if disk.volume_id),
        "port": lambda one: tuple(nic.port_id for nic in one.nics if nic.port_id),
        "name": lambda one: (one.name,),
    },
    called="Instance",
)
FLAVORS: Final = Kind("flavor", FLAVOR_CODEC, {"name": lambda one: (one.name,)}, called="Flavor")
KEYPAIRS: Final = Kind("keypair", KEYPAIR_CODEC, {"user": lambda one: (one.user_id,)}, called="Keypair")
GROUPS: Final = Kind("group", GROUP_CODEC, {"project": lambda one: (one.project_id,)}, called="Instance group")
AGGREGATES: Final = Kind("aggregate", AGGREGATE_CODEC, {"host": lambda one: one.hosts}, called="Aggregate")
QUOTAS: Final = Kind("quota", QUOTA_CODEC)
HOST_NOTES: Final = Kind("host-note", HOST_NOTE_CODEC)
COUNTERS: Final = Kind("counter", COUNTER_CODEC)
ACTIONS: Final = Kind("action", ACTION_CODEC, {"server": lambda one: (one.server_id,)}, called="Action")
MIGRATIONS: Final = Kind(
    "migration",
    MIGRATION_CODEC,
    {"server": lambda one: (one.server_id,), "number": lambda one: (one.number,)},
    called="Migration",
)
CONSOLE_TOKENS: Final = Kind("console-token", CONSOLE_TOKEN_CODEC, {"server": lambda one: (one.server_id,)})


class Records(Tables):
    """All tables. One over another (`below`) is what a change sees: its own writes, and nobody else does."""

    prefix = b"compute/"

    def __init__(self, below: Records | None = None) -> None:
        under = {table.kind.name: table for table in below.tables()} if below is not None else {}

        def lie(kind: Kind[Any]) -> Table[Any]:
            return Table(kind, under.get(kind.name))

        self.servers: Table[Server] = lie(SERVERS)
        self.flavors: Table[Flavor] = lie(FLAVORS)
        self.keypairs: Table[KeyPair] = lie(KEYPAIRS)
        self.groups: Table[ServerGroup] = lie(GROUPS)
        self.aggregates: Table[Aggregate] = lie(AGGREGATES)
        self.quotas: Table[Quota] = lie(QUOTAS)
        self.host_notes: Table[HostNote] = lie(HOST_NOTES)
        self.counters: Table[Counter] = lie(COUNTERS)
        self.actions: Table[ServerAction] = lie(ACTIONS)
        self.migrations: Table[Migration] = lie(MIGRATIONS)
        self.console_tokens: Table[ConsoleToken] = lie(CONSOLE_TOKENS)

    def next_number(self, kind: str) -> int:
        """From 1, each once; where the change that asked for it is not done, another gets it."""
        held = self.counters.get(kind)
        value = held.value + 1 if held is not None else 1
        self.counters.put(Counter(id=kind, value=value))
        return value
