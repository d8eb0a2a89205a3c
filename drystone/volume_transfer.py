"""`drystone volume import` and `export`: volumes of disk images, and disk images of volumes, by QEMU's `qemu-img`."""

from __future__ import annotations

import json
import os
import secrets
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import click

from drystone.access import Access, data_option
from drystone.asking import asked
from drystone.control_client import exchange
from drystone.folder import NBD_SOCKET, DataFolder, sync_folder
from drystone.volume_asking import snapshot_rows, taking, volume_path, volume_row, volume_uri
from drystone.volume_commands import take_over_option
from drystone.volume_sizes import parse_size, show_size
from drystone.volume_times import WINDOW_MAX_US, parse_duration
from image_registry.conversion.files import inspect_file
from image_registry.conversion.qemu_img import Progress, disk_to_image, image_to_disk, inspect, nbd_node
from image_registry.formats.bounds import Bounds
from image_registry.formats.detection import format_of
from image_registry.formats.plan import HEAD_BYTES
from store.core.errors import ConflictError, DrystoneError, InvalidError, NotFoundError, RetryableError

BLOCK_BYTES: Final = 4096
"""A volume has whole blocks of so many bytes."""
NAME_KEPT: Final = 100
"""Of a volume's name, so many letters are in the name that it has while it is imported."""
FORMATS: Final = ("raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc")
_IN_QEMU: Final = {"vhd": "vpc", "iso": "raw"}
_IN_GLANCE: Final = {"vpc": "vhd"}
"""What other than by the name that QEMU has for a format it is inspected by."""
STEPS: Final = 1000
"""Of a progress bar."""


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("name")
@click.option(
    "--format",
    "format_",
    type=click.Choice([*FORMATS, "auto"]),
    default="auto",
    show_default=True,
    help="What FILE is. auto takes what has no mark of another for raw.",
)
@click.option("--size", "size", metavar="SIZE", help="Like 20G.  [default: the image's, in blocks of 4 KiB]")
@click.option("--policy", default="", metavar="POLICY", help="A storage policy of copies.  [default: the default one]")
@click.option(
    "--rewind",
    "window",
    default="15m",
    show_default=True,
    metavar="TIME",
    help="As of 'drystone volume create'.",
)
@data_option
@click.pass_obj
def import_image(
    access: Access, file: str, name: str, format_: str, size: str | None, policy: str, window: str
) -> None:
    """Make the volume NAME of the disk image FILE. It is there when all of it is, and durable.

    An image that needs other files (a backing file), or a key, is refused. Space that the image does not use, the
    volume does not use either.
    """

    def work(folder: DataFolder) -> str:
        from store.blocks.interface import check_name

        check_name(name)
        with _opened(file) as descriptor:
            found = _format(descriptor) if format_ == "auto" else format_
            if found != "raw":
                inspect_file(descriptor, _IN_GLANCE.get(found, found), Bounds(fixed_vhd=True))
            wanted = _size(inspect(file, found, descriptor), size)
            _check_free(folder, name)
            made = {"size": wanted, "policy": policy, "window_us": _window_us(window)}
            with _volume_being_made(folder, name, made) as temporary, _shown(f"Importing {name}") as progress:
                disk = nbd_node(NBD_SOCKET, temporary)
                image_to_disk(file, found, descriptor, folder.path, disk, progress)
        return f"Volume {name} has {show_size(wanted)}, of {file} ({found}).  {volume_uri(folder, name)}"

    click.echo(asked(access, work))


@click.command("export")
@click.argument("of", metavar="NAME[@SNAPSHOT]")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--format", "format_", type=click.Choice(["raw", "qcow2"]), default="raw", show_default=True)
@click.option("--force", is_flag=True, help="Replace FILE where there is one.")
@take_over_option
@data_option
@click.pass_obj
def export_image(access: Access, of: str, file: str, format_: str, force: bool, take_over: bool) -> None:
    """Write volume NAME, or a snapshot of it, to FILE as a disk image. FILE is there when all of it is, and durable.

    The volume may be in use: a snapshot is made for this and deleted afterwards, so the image is as after a loss of
    power. FILE is for its owner alone, and has no room for what is zeros in the volume.
    """

    def work(folder: DataFolder) -> str:
        name, _, snapshot = of.partition("@")
        path = os.path.abspath(file)
        _check_target(path, force)
        volume_row(folder, name)
        if snapshot and snapshot not in [each["name"] for each in snapshot_rows(folder, name)]:
            raise NotFoundError(f"there is no snapshot {snapshot} of volume {name}")
        with _replaced(path, force) as partial:
            if snapshot:
                _export(folder, of, partial, format_)
            else:
                with _snapshot_for(folder, name, take_over) as made:
                    _export(folder, f"{name}@{made}", partial, format_)
        return f"{file} is {of}, as {format_}."

    click.echo(asked(access, work))


def _export(folder: DataFolder, export: str, path: str, format_: str) -> None:
    with _shown(f"Exporting {export}") as progress:
        disk_to_image(folder.path, nbd_node(NBD_SOCKET, export), path, format_, progress)


# -- what is read -----------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A regular file, to be read. What was looked at is what is copied, whatever the path leads to meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidError(f"{path} is no regular file: copy it into one first")
        yield descriptor
    finally:
        os.close(descriptor)


def _format(descriptor: int) -> str:
    """By the mark that the image has. A fixed VHD has none at its beginning, and is raw but for its last sector; an ISO
    is raw."""
    found = format_of(os.pread(descriptor, HEAD_BYTES, 0))
    return _IN_QEMU.get(found, found)


def _size(image: int, typed: str | None) -> int:
    """Of a volume for an image of so many bytes."""
    if not image:
        raise InvalidError("the image is empty")
    wanted = -(-image // BLOCK_BYTES) * BLOCK_BYTES if typed is None else parse_size(typed)
    if wanted < image:
        raise InvalidError(f"the image has {image} bytes ({show_size(image)}): the volume needs as many")
    return wanted


def _window_us(typed: str) -> int:
    window_us = parse_duration(typed)
    if window_us > WINDOW_MAX_US:
        raise InvalidError("a volume is kept as it was for 30 days at most: make snapshots")
    return window_us


# -- volumes and snapshots that are there for a while -----------------------------------------------------------------


def _check_free(folder: DataFolder, name: str) -> None:
    """Before much is copied: whether that is so counts when it is named."""
    try:
        volume_row(folder, name)
    except NotFoundError:
        return
    raise ConflictError(f"there is a volume {name} already")


@contextmanager
def _volume_being_made(folder: DataFolder, name: str, wanted: dict[str, object]) -> Iterator[str]:
    """A volume of another name, which it has while it is filled; when this ends all is durable, and it has its own. It
    is removed where this fails."""
    temporary = f"{name[:NAME_KEPT]}-importing-{secrets.token_hex(4)}"
    with _ended_by_signals():
        try:
            exchange(folder, "POST", "/volumes", json.dumps({**wanted, "name": temporary}).encode())
            yield temporary
            done = json.loads(exchange(folder, "POST", f"{volume_path(temporary)}/flush", None, timeout=None))
            if done["epoch"] != 1:  # what was answered before may be lost with the power that failed
                raise RetryableError("the volume was opened anew while it was written: import it again")
        except BaseException:
            _remove(folder, volume_path(temporary) + "?force=1&take_over=1", f"volume {temporary}")
            raise
        _give_name(folder, temporary, name)


def _give_name(folder: DataFolder, temporary: str, name: str) -> None:
    """Where nobody can tell whether it has its name it is left: it is whole, and may be there under both."""
    try:
        exchange(folder, "POST", f"{volume_path(temporary)}/name", json.dumps({"name": name}).encode())
    except ConflictError:
        _remove(folder, volume_path(temporary) + "?force=1&take_over=1", f"volume {temporary}")
        raise
    except BaseException:
        click.echo(
            f"The volume is whole, and called {temporary}. Give it its name: drystone volume rename {temporary} {name}",
            err=True,
        )
        raise


@contextmanager
def _snapshot_for(folder: DataFolder, name: str, take_over: bool) -> Iterator[str]:
    """A snapshot of a volume, for so long."""
    snapshot = f"export-{secrets.token_hex(4)}"
    with _ended_by_signals():
        try:
            body = json.dumps({"name": snapshot, "time_us": None}).encode()
            exchange(folder, "POST", f"{volume_path(name)}/snapshots?{taking(take_over)}", body, timeout=None)
            yield snapshot
        finally:
            _remove(folder, f"{volume_path(name)}/snapshots/{snapshot}", f"snapshot {snapshot} of volume {name}")


def _remove(folder: DataFolder, path: str, what: str) -> None:
    """What may be there. That it cannot be removed is said, and does not hide what came before."""
    try:
        exchange(folder, "DELETE", path, None, timeout=None)
    except NotFoundError:
        return
    except (DrystoneError, OSError) as error:
        click.echo(f"The {what} is left, and to be deleted: {error}", err=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end this as Ctrl-C does: what was begun is removed."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- what is written --------------------------------------------------------------------------------------------------


def _check_target(path: str, force: bool) -> None:
    if os.path.lexists(path):
        if not force:
            raise ConflictError(f"there is a file {path} already: name another, or say --force")
        if not os.path.isfile(path):
            raise InvalidError(f"{path} is no regular file")


@contextmanager
def _replaced(path: str, force: bool) -> Iterator[str]:
    """A file beside it, which takes its place, durably, when this ends; and is removed where this fails."""
    partial = f"{path}.partial-{secrets.token_hex(4)}"
    with _ended_by_signals():
        try:
            descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise InvalidError(f"{path} cannot be written: {error.strerror}") from error
        try:
            yield partial
            _check_target(path, force)  # it may have come meanwhile
            _put(descriptor, partial, path)
        except BaseException:
            with suppress(FileNotFoundError):  # it has its name already
                os.unlink(partial)
            raise
        finally:
            os.close(descriptor)


def _put(descriptor: int, partial: str, path: str) -> None:
    """Make a file durable, and then give it its name."""
    try:
        os.fsync(descriptor)
        os.replace(partial, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        raise RetryableError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _shown(label: str) -> Iterator[Progress]:
    """How much is done, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=STEPS, label=label, file=sys.stderr) as bar:
        yield lambda part: bar.update(int(part * STEPS) - bar.pos)
