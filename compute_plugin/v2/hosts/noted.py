"""Whoever asks for hosts sees all that live, and all that were seen before."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from compute_plugin.records.noting import note_hosts, unnoted
from compute_plugin.records.records import Records
from compute_plugin.records.states import HostState
from store.core.errors import ConflictError, RetryableError

if TYPE_CHECKING:
    from compute_plugin.service import ComputeService

AGAIN_S: Final = 5.0
_log = structlog.get_logger(__name__)


async def with_hosts(service: ComputeService) -> Records:
    """The records, in which all hosts that live are noted. Raises RetryableError."""
    records = await service.store.fresh()
    if not unnoted(records, service.states.states.hosts):
        return records

    def step(draft: Records) -> None:
        note_hosts(draft, unnoted(draft, service.states.states.hosts), service.new_id)

    await service.store.change(step)
    return await service.store.fresh()


async def keep_noted(service: ComputeService) -> None:
    """Until cancelled: each host that comes, and when one that is gone was seen last."""
    before: dict[str, HostState] = {}
    while True:
        states = {one.id: one for one in service.states.states.hosts}
        gone = [state for name, state in before.items() if name not in states]
        try:
            await with_hosts(service)
            if gone:
                await service.store.change(partial(_note_gone, gone=gone))
        except (RetryableError, ConflictError) as error:
            _log.warning("hosts cannot be noted for now", error=str(error))
            await trio.sleep(AGAIN_S)
            continue
        before = states
        if states == {one.id: one for one in service.states.states.hosts}:
            await service.states.changed()


def _note_gone(records: Records, gone: Iterable[HostState]) -> None:
    """But for those that were deleted."""
    note_hosts(records, [one for one in gone if records.host_notes.get(one.id) is not None], lambda: "")
