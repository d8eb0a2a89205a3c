"""What the commands of `drystone volume` ask the running process."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from drystone.asking import answer
from drystone.folder import DataFolder

PAGE: Final = 500

Row = dict[str, Any]


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
