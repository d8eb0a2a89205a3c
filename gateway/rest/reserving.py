"""Reservations of requests, and the sweep of those that were left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
import trio

from gateway.rest.quota_records import Reservation
from gateway.rest.quotas import Quotas
from store.core.errors import NotFoundError, RetryableError
from store.registry import OutcomeUnknownError

SWEEP_S: Final = 600

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def reserving(quotas: Quotas, project: str, amounts: Mapping[str, int]) -> AsyncIterator[Reservation]:
    """Reserves for the block, which commits at its end; where it fails before that, the reservation is taken back.
    Raises as Quotas.reserve does. Long work does not stand in a block: its task commits."""
    reservation = await quotas.reserve(project, amounts)
    try:
        yield reservation
    except Exception:
        try:
            await quotas.take_back(reservation)
        except (NotFoundError, RetryableError) as error:
            # It has ended already, as after a commit whose answer was lost; or it is left to be swept.
            _log.info("a reservation is not taken back", reservation=reservation.id, error=str(error))
        raise


async def not_started(quotas: Quotas, reservation: Reservation, error: Exception) -> None:
    """After a task that was to use a reservation could not be started: it is taken back, where that can be. Where the
    task may be there all the same, since the answer was lost, it stays: the task commits, or the sweep takes it."""
    if isinstance(error, OutcomeUnknownError):
        return
    with suppress(NotFoundError):
        await quotas.take_back(reservation)


async def keep_swept(
    quotas: Quotas,
    goes_on: Callable[[str], Awaitable[bool]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Sweep now and every SWEEP_S, until cancelled; started after the first time. `goes_on` as in Quotas.sweep."""
    started = False
    while True:
        try:
            count = await quotas.sweep(goes_on)
            if count:
                _log.info("reservations of the dead are taken back", count=count)
        except RetryableError as error:
            _log.warning("reservations cannot be swept now", error=str(error))
        if not started:
            task_status.started()
            started = True
        await trio.sleep(SWEEP_S)
