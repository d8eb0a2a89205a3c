"""`drystone volume trash`, `restore` and `purge`: volumes that were deleted, and are kept for a while."""

from __future__ import annotations

import json

import click

from drystone.access import Access, data_option
from drystone.asking import asked
from drystone.control_client import exchange
from drystone.folder import DataFolder
from drystone.volume_asking import Row, volume_uri
from drystone.volume_commands import ID_SHOWN, json_option
from drystone.volume_sizes import show_size
from drystone.volume_times import show_time
from drystone.words import table
from store.core.errors import ConflictError, InvalidError, NotFoundError


@click.command()
@json_option
@data_option
@click.pass_obj
def trash(access: Access, as_json: bool) -> None:
    """The volumes that were deleted, and can be brought back: those that were deleted last come first.

    They take what is stored until they go, or are purged.
    """
    rows = asked(access, _rows)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo("There are no volumes in the trash.")
    else:
        cells = [
            [
                row["id"][:ID_SHOWN],
                row["name"],
                show_size(row["size"]),
                show_size(row["stored_bytes"]),
                show_time(row["deleted_us"]),
                show_time(row["goes_us"]),
            ]
            for row in rows
        ]
        click.echo(table(["id", "volume", "size", "stored", "deleted", "goes"], cells))


@click.command()
@click.argument("of", metavar="NAME|ID")
@click.option("--as", "new", default="", metavar="NEW", help="Under this name, where there is another of its own.")
@data_option
@click.pass_obj
def restore(access: Access, of: str, new: str) -> None:
    """Bring a volume back from the trash, with its snapshots. Of several with one name say the id."""

    def work(folder: DataFolder) -> str:
        found = _the_one(_rows(folder), of)
        done = json.loads(exchange(folder, "POST", f"/trash/{found['id']}", json.dumps({"name": new}).encode()))
        return f"Volume {done['name']} is back.  {volume_uri(folder, done['name'])}"

    click.echo(asked(access, work))


@click.command()
@click.argument("of", metavar="[NAME|ID]", required=False)
@click.option("--all", "all_", is_flag=True, help="All that are in the trash.")
@data_option
@click.pass_obj
def purge(access: Access, of: str | None, all_: bool) -> None:
    """Remove a volume in the trash for good, before its time has come. Of several with one name say the id."""
    if (of is None) != all_:
        raise click.UsageError("name a volume in the trash, or say --all")

    def work(folder: DataFolder) -> str:
        rows = _rows(folder) if of is None else [_the_one(_rows(folder), of)]
        for row in rows:
            exchange(folder, "DELETE", f"/trash/{row['id']}", None, timeout=None)  # a large volume has many objects
        if of is None:
            return f"{len(rows)} volume{'' if len(rows) == 1 else 's'} removed for good."
        return f"Volume {rows[0]['name']} is removed for good."

    click.echo(asked(access, work))


def _rows(folder: DataFolder) -> list[Row]:
    rows: list[Row] = json.loads(exchange(folder, "GET", "/trash", None))
    return rows


def _the_one(rows: list[Row], of: str) -> Row:
    """That of this name, or whose id begins so. Raises NotFoundError, ConflictError where there are several."""
    if not of:
        raise InvalidError("name a volume in the trash")
    found = [row for row in rows if row["name"] == of] or [row for row in rows if row["id"].startswith(of)]
    if not found:
        raise NotFoundError(f"there is no volume {of} in the trash")
    if len(found) > 1:
        ids = ", ".join(row["id"][: max(ID_SHOWN, len(of) + 1)] for row in found)
        raise ConflictError(f"there are {len(found)} of {of} in the trash: say the id of one ({ids})")
    return found[0]
