"""Hosts are noted: whoever was seen once is known until an administrator deletes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from compute_plugin.records.operating import HostNote
from compute_plugin.records.records import Records
from compute_plugin.records.states import HostState


def unnoted(records: Records, states: Iterable[HostState]) -> list[HostState]:
    """Those of which something is to be noted. A host that takes no servers is none until it takes some."""
    return [one for one in states if _is_news(records.host_notes.get(one.id), one)]


def note_hosts(records: Records, states: Iterable[HostState], new_id: Callable[[], str]) -> None:
    """A step of a change."""
    for state in states:
        note = records.host_notes.get(state.id) or HostNote(id=state.id, service_id=new_id())
        number = note.number or records.next_number("host")
        records.host_notes.put(replace(note, number=number, last=state))


def _is_news(note: HostNote | None, state: HostState) -> bool:
    if note is None or note.last is None:
        return state.vcpus > 0 or note is not None
    return _lasting(note.last) != _lasting(state)


def _lasting(state: HostState) -> HostState:
    """Without what changes all the time."""
    return replace(state, free_disk_gib=0, started_us=0, seen_us=0, problems=())
