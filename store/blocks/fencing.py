"""Fencing the homes of a log object: from then on they take nothing of lower epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import trio

from store.blocks.disk import OwnerReplacedError
from store.core.errors import BusyError, DeviceError, DrystoneError, FencedError
from store.device.port import DevicePort, Fenced

GRACE_SECONDS = 0.5
"""So long those that are late are waited for, once enough have answered."""
FENCE_SECONDS = 10.0


class FenceAnswers(NamedTuple):
    """What devices said, and why others did not. `losses` are the `data_losses` of each as they were before."""

    fenced: dict[int, Fenced]
    failures: dict[int, DrystoneError]
    losses: dict[int, int]


async def fence(
    devices: Mapping[int, DevicePort], numbers: Iterable[int], data_id: bytes, epoch: int, needed: int
) -> FenceAnswers:
    """Ask devices to take nothing of these data below an epoch. Waits for all, but for no longer than a moment once as
    many as are needed have answered. Raises OwnerReplacedError where a higher epoch has been there."""
    asked = tuple(numbers)
    answers = FenceAnswers({}, {}, {})
    enough, all_ = trio.Event(), trio.Event()

    def answered(number: int, fenced: Fenced | None, error: DrystoneError | None) -> None:
        if fenced is not None:
            answers.fenced[number] = fenced
        else:
            answers.failures[number] = error or BusyError(f"device {number} says nothing")
        if len(answers.fenced) >= needed:
            enough.set()
        if len(answers.fenced) + len(answers.failures) == len(asked):
            enough.set()
            all_.set()

    for number in asked:
        device = devices.get(number)
        try:
            if device is None:
                raise DeviceError(f"device {number} is not there")
            answers.losses[number] = device.data_losses
            device.submit_fence(data_id, epoch, answered)
        except DrystoneError as error:
            answered(number, None, error)
    with trio.move_on_after(FENCE_SECONDS):
        await enough.wait()
        with trio.move_on_after(GRACE_SECONDS):
            await all_.wait()
    for number in asked:
        if number not in answers.fenced:
            answers.failures.setdefault(number, BusyError(f"device {number} has not answered"))
    if any(isinstance(error, FencedError) for error in answers.failures.values()):
        raise OwnerReplacedError("somebody else has opened the volume since")
    # What is answered from now on counts for nothing.
    return FenceAnswers(dict(answers.fenced), dict(answers.failures), answers.losses)
