"""What the commands of `drystone volume` ask the running process, and how they tell what went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import quote

import click

from drystone.access import Access
from drystone.control_client import exchange, need_process
from drystone.folder import DataFolder
from store.core.errors import DrystoneError

PAGE: Final = 500

Row = dict[str, Any]
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


def volume_rows(folder: DataFolder) -> list[Row]:
    """Of all volumes."""
    rows: list[Row] = []
    while True:
        after = quote(rows[-1]["name"], safe="") if rows else ""
        page: list[Row] = answer(folder, f"/volumes?limit={PAGE}&after={after}")
        if not page:
            return rows
        rows += page


def volume_row(folder: DataFolder, name: str) -> Row:
    """Raises NotFoundError."""
    row: Row = answer(folder, volume_path(name))
    return row


def snapshot_rows(folder: DataFolder, name: str) -> list[Row]:
    """Of the snapshots of a volume. Raises NotFoundError."""
    rows: list[Row] = answer(folder, f"{volume_path(name)}/snapshots")
    return rows


def volume_path(name: str) -> str:
    return f"/volumes/{quote(name, safe='')}"


def volume_uri(folder: DataFolder, name: str) -> str:
    """Where a volume, or NAME@SNAPSHOT, is served on this machine."""
    return f"nbd+unix:///{quote(name, safe='@')}?socket={quote(folder.nbd)}"


def taking(take_over: bool) -> str:
    """The query that has a volume taken over, if it is to be."""
    return "take_over=1" if take_over else ""
