"""All hosts that are known, whether their agents live or not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.records.states import HostState, States
from compute_plugin.scheduling.hosts import Host, Store, host_of, zone_of
from compute_plugin.settings import Settings

BINARY: Final = "nova-compute"
"""The one service of each host."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host and its service."""

    note: HostNote
    state: HostState
    """What it says of itself; what it said last where its agent is gone."""
    alive: bool
    zone: str

    @property
    def name(self) -> str:
        return self.note.id

    @property
    def up(self) -> bool:
        return self.alive and not self.note.forced_down

    @property
    def disabled(self) -> bool:
        """By an administrator, or since it cannot run servers."""
        return self.note.disabled or bool(self.alive and self.state.problems)

    @property
    def disabled_reason(self) -> str | None:
        if self.note.disabled:
            return self.note.disabled_reason
        return f"AUTO: {'; '.join(self.state.problems)}" if self.disabled else None

    @property
    def updated_us(self) -> int:
        return max(self.state.seen_us, self.note.updated_us)


def host_rows(records: Records, states: States, settings: Settings) -> list[HostRow]:
    """In the order in which they were first seen."""
    return [
        row_of(records, states, settings, note)
        for note in sorted(records.host_notes, key=lambda one: (one.number, one.id))
        if note.last is not None
    ]


def row_of(records: Records, states: States, settings: Settings, note: HostNote) -> HostRow:
    """Of a host that was seen."""
    state = states.hosts.get(note.id)
    known = state or note.last
    assert known is not None
    zone = zone_of(tuple(records.aggregates.by("host", note.id)), settings)
    return HostRow(note, known, state is not None, zone)


def amounts_of(records: Records, row: HostRow, settings: Settings, store: Store) -> Host:
    """What is claimed of a host, and of the store."""
    return host_of(records, row.state, settings, store)


def servers_on(records: Records, host: str) -> list[Server]:
    """That are there, and not only claim something."""
    return [one for one in records.servers.by("host", host) if one.host == host]
