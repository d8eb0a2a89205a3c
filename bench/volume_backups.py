"""`python -m bench volume-backups`: a full backup of a volume, an incremental one after a part of it was overwritten,
and the restoring of both; of each how long it takes, what it reads and stores, and the processor time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import click

from bench.process_figures import processor_seconds, read
from bench.service_client import MIB, Service, token_of, until_there
from bench.targets import Target, administrator, drystone
from bench.volume_client import fio, volume_uri
from bench.volumes import COPIES, DEVICES

GIB = 1 << 30
CONTAINER = "volumebackups"


@click.command()
@click.option("--size", default=10, show_default=True, help="Of the volume, in GiB.")
@click.option("--filled", default=2048, show_default=True, help="MiB of it that are written before the full backup.")
@click.option("--changed", default=100, show_default=True, help="MiB that are overwritten before the incremental one.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(size: int, filled: int, changed: int, where: str) -> None:
    """Backups of volumes, full and incremental."""
    with drystone("drystone", where, DEVICES, [f"standard={COPIES}"]) as target:
        settings = administrator(target.folder)
        base, token = settings["OS_AUTH_URL"].removesuffix("/identity/v3"), token_of(settings)
        volumes = Service("drystone", f"{base}/volume/v3", token, (target.pid,))
        volume = json.loads(volumes.ask("POST", "/volumes", {"volume": {"size": size}})[1])["volume"]["id"]
        until_there(volumes, volume)
        uri = volume_uri(target.folder, f"volume-{volume}")
        fio(uri, "write", "1m", 8, filled * MIB)
        _measured(target, "a full backup", lambda: _back_up(volumes, volume, incremental=False))
        fio(uri, "write", "1m", 8, changed * MIB, f"--offset={filled * MIB // 2}")
        newest = _measured(target, "an incremental backup", lambda: _back_up(volumes, volume, incremental=True))
        _measured(target, "restoring both", lambda: _restore(volumes, newest))


def _measured(target: Target, what: str, act: Callable[[], str]) -> str:
    """What `act` returns; what it cost is printed."""
    stored, reads, used, began = _stored(target), read(target.pid), processor_seconds([target.pid]), time.monotonic()
    result = act()
    seconds = time.monotonic() - began
    click.echo(
        f"{what}: {seconds:.1f} s, {(read(target.pid) - reads) / MIB:,.0f} MiB read, "
        f"{(_stored(target) - stored) / MIB:,.0f} MiB of objects, "
        f"{processor_seconds([target.pid]) - used:.1f} s of a processor"
    )
    return result


def _stored(target: Target) -> int:
    """Bytes of all objects of backups."""
    objects = Service("drystone", target.account_url, target.token)
    made = json.loads(objects.ask("GET", "?format=json")[1] or b"[]")
    return sum(container["bytes"] for container in made if container["name"] == CONTAINER)


def _back_up(volumes: Service, volume: str, *, incremental: bool) -> str:
    """The id of the backup, once it is there."""
    wanted = {"backup": {"volume_id": volume, "incremental": incremental}}
    id_ = str(json.loads(volumes.ask("POST", "/backups", wanted)[1])["backup"]["id"])
    _until_available(volumes, id_)
    return id_


def _restore(volumes: Service, backup: str) -> str:
    """The id of a new volume that has what was backed up."""
    answer = json.loads(volumes.ask("POST", f"/backups/{backup}/restore", {"restore": {}})[1])["restore"]
    _until_available(volumes, backup)
    return str(answer["volume_id"])


def _until_available(volumes: Service, backup: str) -> None:
    while True:
        shown = json.loads(volumes.ask("GET", f"/backups/{backup}")[1])["backup"]
        if shown["status"] == "available":
            return
        if "error" in shown["status"]:
            raise OSError(f"the backup is {shown['status']}: {shown['fail_reason']}")
        time.sleep(0.1)
