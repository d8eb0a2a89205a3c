"""What commands ask the running process, and how they tell what went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from drystone.access import Access
from drystone.control_client import exchange, need_process
from drystone.folder import DataFolder
from store.core.errors import DrystoneError

T = TypeVar("T")


def asked(access: Access, work: Callable[[DataFolder], T]) -> T:
    """What the running process answers. Raises ClickException."""
    try:
        need_process(access.folder)
        return work(access.folder)
    except DrystoneError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the running process does not answer: {error}") from error


def answer(folder: DataFolder, path: str) -> Any:
    """What it says to a GET."""
    return json.loads(exchange(folder, "GET", path, None))
