"""Doing something in another network namespace: in a thread of its own, which ends with it."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

FOLDER: Final = "/run/netns"
_CLONE_NEWNET: Final = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def path(space: str) -> str:
    return f"{FOLDER}/{space}"


def within(space: str, work: Callable[[], T]) -> T:
    """What `work` returns there. Raises OSError where there is no such namespace, and what `work` raises. It must be
    quick. The host itself is ""."""
    return within_path(path(space), work) if space else work()


def within_path(file: str, work: Callable[[], T]) -> T:
    """The same, by the namespace's file."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    answers: list[T] = []
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            answers.append(work())
        except BaseException as error:
            errors.append(error)

    try:
        thread = threading.Thread(target=inside, name=f"in {file}")
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            raise OSError(errno.EAGAIN, str(error)) from error
        thread.join()
    finally:
        os.close(descriptor)
    if errors:
        raise errors[0]
    return answers[0]
