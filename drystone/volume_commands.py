"""`drystone volume`: virtual disks, through the process that serves the data folder."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

import click

from drystone.access import Access, data_option
from drystone.asking import asked
from drystone.control_client import exchange
from drystone.folder import DataFolder
from drystone.lazy_group import Lazy, LazyGroup
from drystone.nbd_over_tcp import PORT as NBD_PORT
from drystone.volume_asking import Row, snapshot_rows, taking, volume_path, volume_row, volume_rows, volume_uri
from drystone.volume_reports import check, stats
from drystone.volume_sizes import parse_size, show_size
from drystone.volume_times import WINDOW_MAX_US, parse_duration, parse_time, show_time
from drystone.words import table
from store.core.clock import SystemClock
from store.core.errors import InvalidError, NotFoundError

ID_SHOWN: Final = 8
"""Of the id of a volume in the trash, so many digits are shown."""
SOCKET_PATH_MAX: Final = 107
"""Bytes of a path at which a Unix socket can be reached (sun_path)."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]*")

ELSEWHERE: Final = {
    "import": Lazy("drystone.volume_transfer:import_image", "Make a volume of a disk image."),
    "export": Lazy("drystone.volume_transfer:export_image", "Write a volume, or a snapshot, as a disk image."),
    "trash": Lazy("drystone.volume_trash:trash", "The volumes that were deleted, and can be brought back."),
    "restore": Lazy("drystone.volume_trash:restore", "Bring a volume back from the trash."),
    "purge": Lazy("drystone.volume_trash:purge", "Remove volumes in the trash for good."),
}


@click.group(cls=LazyGroup, lazy=ELSEWHERE)
def volume() -> None:
    """Virtual disks, kept in copies like objects, and served by NBD.

    \b
    Make one, and have a virtual machine use it:
        drystone volume create web --size 10G
        qemu-system-x86_64 ... -drive file=$(drystone volume uri web),format=raw,if=virtio,discard=unmap
    Have it larger, while it is in use:
        drystone volume resize web 20G
    Keep what it is now, and make another volume of that; neither copies any data:
        drystone volume snapshot web monday
        drystone volume clone web@monday web2
    Take it back to what it was before something went wrong:
        drystone volume rewind web --at '5m ago'
    Make one of a disk image, and write one as such:
        drystone volume import debian.qcow2 web
        drystone volume export web web.qcow2 --format qcow2

    What a client was answered to a flush is durable. A volume has one server: whoever connects, on any node of a
    cluster, takes it over there, and clients on another node are cut off. So do not attach one to two machines.

    Sizes are in powers of 1024: 512M, 10G, 1T.
    """


take_over_option = click.option(
    "--take-over", is_flag=True, help="Even if the volume is open on another node: its clients there are cut off."
)

volume.add_command(check)
volume.add_command(stats)

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs. Sizes are bytes.")


@volume.command()
@click.argument("name")
@click.option("--size", "size", required=True, metavar="SIZE", help="Like 512M, 10G or 1T; 64 TiB at most.")
@click.option("--policy", default="", metavar="POLICY", help="A storage policy of copies.  [default: the default one]")
@click.option(
    "--rewind",
    "window",
    default="15m",
    show_default=True,
    metavar="TIME",
    help="Keep what is overwritten for so long, so that the volume can be taken back; 0 for not at all.",
)
@data_option
@click.pass_obj
def create(access: Access, name: str, size: str, policy: str, window: str) -> None:
    """Make the empty volume NAME. It takes space as it is written."""

    def work(folder: DataFolder) -> str:
        window_us = parse_duration(window)
        if window_us > WINDOW_MAX_US:
            raise InvalidError("a volume is kept as it was for 30 days at most: make snapshots")
        wanted = {"name": name, "size": parse_size(size), "policy": policy, "window_us": window_us}
        exchange(folder, "POST", "/volumes", json.dumps(wanted).encode())
        return f"Volume {name} has {show_size(parse_size(size))}.  {volume_uri(folder, name)}"

    click.echo(asked(access, work))


@volume.command("list")
@json_option
@data_option
@click.pass_obj
def list_volumes(access: Access, as_json: bool) -> None:
    """All volumes: size, what they take in each copy, and which are open where."""
    rows = asked(access, volume_rows)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo("There are no volumes. Make one with 'drystone volume create NAME --size 10G'.")
    else:
        cells = [
            [row["name"], show_size(row["size"]), show_size(row["stored_bytes"]), row["policy"], _use(row)]
            for row in rows
        ]
        click.echo(table(["volume", "size", "stored", "policy", "open"], cells))


@volume.command()
@click.argument("name")
@json_option
@data_option
@click.pass_obj
def show(access: Access, name: str, as_json: bool) -> None:
    """What is known of volume NAME.

    It is open on the node that is named, or was when that was killed. To take it over, connect to it on another, or
    type 'drystone volume take-over' there.
    """

    def work(folder: DataFolder) -> Row:
        return {**volume_row(folder, name), "uri": volume_uri(folder, name)}

    row = asked(access, work)
    if as_json:
        click.echo(json.dumps(row, indent=2))
        return
    lines = {
        "volume": row["name"],
        "size": show_size(row["size"]),
        "stored": f"{show_size(row['stored_bytes'])} in each copy",
        "policy": row["policy"],
        "open": _use(row),
        "opened": f"{row['epoch']} times",
        "uri": row["uri"],
    }
    click.echo("\n".join(f"{word:10}{said}" for word, said in lines.items()))


@volume.command()
@click.argument("name")
@click.option("--host", metavar="HOST", help="For clients on other machines, which call this one so.")
@data_option
@click.pass_obj
def uri(access: Access, name: str, host: str | None) -> None:
    """Print where volume NAME is served, as QEMU, nbdcopy and other clients of NBD take it.

    NAME@SNAPSHOT is a snapshot, which can only be read.
    The socket is for the user that Drystone runs as, and for root.

    For other machines volumes are served where 'drystone up' has --nbd-listen. HOST has to be in the certificate there,
    and clients need one of their own: libnbd finds it with '?tls-certificates=FOLDER' behind the URI.
    """

    def work(folder: DataFolder) -> str:
        volume, _, snapshot = name.partition("@")
        if snapshot and snapshot not in [row["name"] for row in snapshot_rows(folder, volume)]:
            raise NotFoundError(f"there is no snapshot {snapshot} of volume {volume}")
        volume_row(folder, volume)
        return volume_uri(folder, name) if host is None else _uri_of_host(folder, name, host)

    click.echo(asked(access, work))
    if host is None and len(access.folder.nbd.encode()) > SOCKET_PATH_MAX:
        click.echo(
            f"(Clients cannot reach a socket whose path is longer than {SOCKET_PATH_MAX} bytes: make a symbolic link "
            "to the data folder, and give them a path through it.)",
            err=True,
        )


@volume.command()
@click.argument("name")
@click.argument("size")
@data_option
@click.pass_obj
def resize(access: Access, name: str, size: str) -> None:
    """Have volume NAME larger: SIZE in all, like 20G. It cannot shrink.

    It may be in use. Clients learn of its size when they connect again: a virtual machine when its QEMU is started
    anew, or the disk is unplugged and plugged.
    """

    def work(folder: DataFolder) -> str:
        body = json.dumps({"size": parse_size(size)}).encode()
        exchange(folder, "POST", f"{volume_path(name)}/size", body)
        return f"Volume {name} has {show_size(parse_size(size))}."

    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if clients have it open here: they are cut off.")
@take_over_option
@click.option("--keep", default="24h", show_default=True, metavar="TIME", help="How long it can be brought back.")
@click.option("--now", is_flag=True, help="For good, at once: its space comes back now.")
@data_option
@click.pass_obj
def delete(access: Access, name: str, force: bool, take_over: bool, keep: str, now: bool) -> None:
    """Delete volume NAME, and all that is in it. It is kept in the trash for a while: see 'drystone volume trash'.

    If clients have it open that is refused.
    """

    def work(folder: DataFolder) -> str:
        keep_us = 0 if now else parse_duration(keep)
        path = f"{volume_path(name)}?keep_us={keep_us}&{'force=1&' if force else ''}{taking(take_over)}"
        done = json.loads(exchange(folder, "DELETE", path, None, timeout=None))  # a large volume has many objects
        if not keep_us:
            return f"Volume {name} is deleted."
        return (
            f"Volume {name} is in the trash, and goes for good in {keep}. To bring it back: "
            f"drystone volume restore {done['id'][:ID_SHOWN]}"
        )

    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@click.argument("new")
@data_option
@click.pass_obj
def rename(access: Access, name: str, new: str) -> None:
    """Give volume NAME the name NEW. Clients that have it open go on; others find it by the new name."""

    def work(folder: DataFolder) -> str:
        exchange(folder, "POST", f"{volume_path(name)}/name", json.dumps({"name": new}).encode())
        return f"Volume {name} is {new} now."

    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@click.argument("snapshot")
@click.option("--at", metavar="TIME", help="Not now, but at this time: '2026-11-29 16:05:30' (UTC), or '5m ago'.")
@take_over_option
@data_option
@click.pass_obj
def snapshot(access: Access, name: str, snapshot: str, at: str | None, take_over: bool) -> None:
    """Keep what volume NAME is now, as SNAPSHOT. No data are copied, and clients go on meanwhile.

    It is as after a loss of power: all is in it that a client was answered. It can be read (drystone volume uri
    NAME@SNAPSHOT), and other volumes made of it (drystone volume clone).

    Type it on the node that has the volume open.
    """

    def work(folder: DataFolder) -> str:
        body = json.dumps({"name": snapshot, "time_us": None if at is None else parse_time(at, _now_us())})
        path = f"{volume_path(name)}/snapshots?{taking(take_over)}"
        exchange(folder, "POST", path, body.encode(), timeout=None)
        return f"Volume {name} has the snapshot {snapshot}.  {volume_uri(folder, f'{name}@{snapshot}')}"

    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@json_option
@data_option
@click.pass_obj
def snapshots(access: Access, name: str, as_json: bool) -> None:
    """The snapshots of volume NAME."""
    rows = asked(access, lambda folder: snapshot_rows(folder, name))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(f"Volume {name} has no snapshots. Make one with 'drystone volume snapshot {name} SNAPSHOT'.")
    else:
        cells = [
            [row["name"], show_size(row["size"]), show_time(row["created_us"]), str(row["clones"])] for row in rows
        ]
        click.echo(table(["snapshot", "size", "made", "clones"], cells))


@volume.command("delete-snapshot")
@click.argument("name")
@click.argument("snapshot")
@data_option
@click.pass_obj
def delete_snapshot(access: Access, name: str, snapshot: str) -> None:
    """Delete SNAPSHOT of volume NAME. Clones of it stay as they are: what they need of it is kept for them."""

    def work(folder: DataFolder) -> str:
        exchange(folder, "DELETE", f"{volume_path(name)}/snapshots/{quote(snapshot, safe='')}", None)
        return f"Snapshot {snapshot} of volume {name} is deleted."

    click.echo(asked(access, work))


@volume.command()
@click.argument("of", metavar="NAME@SNAPSHOT")
@click.argument("new")
@click.option("--size", "size", metavar="SIZE", help="Like 20G; as large as the snapshot, or larger.")
@data_option
@click.pass_obj
def clone(access: Access, of: str, new: str, size: str | None) -> None:
    """Make the volume NEW, which begins as a snapshot. No data are copied."""

    def work(folder: DataFolder) -> str:
        name, _, snapshot = of.partition("@")
        wanted = {"snapshot": snapshot, "name": new, "size": None if size is None else parse_size(size)}
        exchange(folder, "POST", f"{volume_path(name)}/clones", json.dumps(wanted).encode())
        return f"Volume {new} is a clone of {of}.  {volume_uri(folder, new)}"

    if not all(of.partition("@")):
        raise click.UsageError("name the snapshot as NAME@SNAPSHOT")
    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@click.option("--at", required=True, metavar="TIME", help="'2026-11-29 16:05:30' (UTC), or '5m ago'.")
@take_over_option
@data_option
@click.pass_obj
def rewind(access: Access, name: str, at: str, take_over: bool) -> None:
    """Have volume NAME be what it was at a time, within what it was made with (create --rewind).

    Nothing is lost: what it was until now is a volume of its own afterwards, which it is a clone of. It must not be in
    use.
    """

    def work(folder: DataFolder) -> str:
        body = json.dumps({"time_us": parse_time(at, _now_us())}).encode()
        path = f"{volume_path(name)}/rewind?{taking(take_over)}"
        done = json.loads(exchange(folder, "POST", path, body, timeout=None))
        return (
            f"Volume {name} is what it was. What it was until now is volume {done['before']}: delete that when it is "
            "not needed."
        )

    click.echo(asked(access, work))


@volume.command()
@click.argument("name")
@take_over_option
@data_option
@click.pass_obj
def flatten(access: Access, name: str, take_over: bool) -> None:
    """Copy what volume NAME has of those that it is a clone of: it needs them no more, and their space can come back.

    It may be in use meanwhile. It must have no snapshots.
    """

    def work(folder: DataFolder) -> str:
        exchange(folder, "POST", f"{volume_path(name)}/flatten?{taking(take_over)}", None, timeout=None)
        return f"Volume {name} is no clone any more."

    click.echo(asked(access, work))


@volume.command("take-over")
@click.argument("name")
@data_option
@click.pass_obj
def take_over(access: Access, name: str) -> None:
    """Have volume NAME open on this node, whichever had it: clients there are cut off, and can change nothing any more.

    It is closed again when nobody connects to it here within seconds: then no node has it.
    """

    def work(folder: DataFolder) -> str:
        had = json.loads(exchange(folder, "POST", f"{volume_path(name)}/take-over", None, timeout=None))
        if not had["node"]:
            return f"Volume {name} is open here. No other node had it."
        return f"Volume {name} is open here. It was open on node {had['node']} since {show_time(had['since_us'])}."

    click.echo(asked(access, work))


def _now_us() -> int:
    return SystemClock().wall_us()


def _uri_of_host(folder: DataFolder, name: str, host: str) -> str:
    """Raises InvalidError."""
    port: int | None = json.loads(exchange(folder, "GET", "/nbd-port", None))["port"]
    if port is None:
        raise InvalidError("volumes are served to this machine alone: start 'drystone up' with --nbd-listen")
    bare = host.strip("[]")
    if not _HOST.fullmatch(bare):
        raise InvalidError(f"{host!r} is no name or address of a machine; the port is known")
    place = f"[{bare}]" if ":" in bare else bare
    return f"nbds://{place}{'' if port == NBD_PORT else f':{port}'}/{quote(name, safe='@')}"


def _use(row: Row) -> str:
    if row["connections"] is not None:
        return f"here, {row['connections']} connection{'' if row['connections'] == 1 else 's'}"
    return f"{row['holder']}, since {show_time(row['since_us'])}" if row["holder"] else "no"
