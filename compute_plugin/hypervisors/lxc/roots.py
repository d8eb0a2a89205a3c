"""Root file systems of containers, as block devices of the host: a volume becomes a file (nbdfuse), the file a loop
device, of the whole or of its partition with Linux. libvirt mounts that within the container only.

All is found again by names below one folder: who ends what another process began needs no memory of it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import trio

from compute_plugin.hypervisors.interface import GuestDisk, HypervisorError

FOLDER: Final = "/run/drystone/roots"
MOUNT_SECONDS: Final = 20.0
"""Until a volume is a file, and until nobody has it mounted any more."""
LOOK_SECONDS: Final = 0.05
SECTOR: Final = 512
_LINUX: Final = ("0x83", "0fc63daf-8483-4772-8e79-3d69d8477de4", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
"""Types of partitions, by both kinds of tables: Linux, and the root of an x86-64 Linux."""


class Roots:
    """Below a folder that root alone writes to. Names are ids of servers."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = Path(folder)

    async def names(self, start: str) -> list[str]:
        """Of those that are there, and begin so."""
        folder = trio.Path(self._folder)
        return sorted(found.name for found in await folder.glob(f"{start}*"))

    async def attach(self, id_: str, disk: GuestDisk, *, whole: bool = False) -> str:
        """The block device of the root, or of the whole disk. Raises HypervisorError in the words of who refused."""
        await self.release(id_)
        file = disk.file
        if disk.export:
            file = str(await self._mount(id_, disk))
        elif not await trio.Path(file).exists():
            raise HypervisorError(f"there is no {file}")
        table = await _run("partx", "--noheadings", "--raw", "--output", "START,SECTORS,TYPE", file, fails=True)
        place = None if whole else linux_partition(table)
        options = [] if place is None else ["--offset", str(place[0]), "--sizelimit", str(place[1])]
        if disk.read_only:
            options.append("--read-only")
        folder = trio.Path(self._folder / id_)
        await folder.mkdir(parents=True, exist_ok=True)
        # As the kernel calls it, which is asked for the loop devices of this path.
        await (folder / "file").symlink_to(await trio.Path(file).resolve())
        return (await _run("losetup", "--find", "--show", *options, file)).strip()

    async def release(self, id_: str) -> None:
        """Nothing where there is none. It is over when nobody has the file system mounted any more: one that is mounted
        twice loses what was written to it, and the kernel unmounts it when the last process of its container is gone,
        not when that was ended. Raises HypervisorError where somebody keeps it."""
        folder = trio.Path(self._folder / id_)
        file, root = folder / "file", folder / "root"
        if await file.is_symlink():
            await _detach(str(await file.readlink()))
            await file.unlink()
        if not await folder.exists():
            return
        await _run("umount", str(root), fails=True)
        try:
            await root.unlink(missing_ok=True)
        except OSError as error:
            raise HypervisorError(f"{root} is still used: {error}") from error
        await folder.rmdir()

    async def _mount(self, id_: str, disk: GuestDisk) -> Path:
        folder = self._folder / id_
        file = folder / "root"
        await trio.Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        await trio.Path(file).touch()
        uri = f"nbd+unix:///{quote(disk.export, safe='')}?socket={quote(disk.socket)}"
        # It is no child of ours, and holds no pipe to us: the container goes on without us.
        script = 'exec setsid --fork nbdfuse "$@" > /dev/null 2>&1'
        options = ["--readonly"] if disk.read_only else []
        await _run("sh", "-c", script, "nbdfuse", *options, str(file), uri)
        with trio.move_on_after(MOUNT_SECONDS):
            while True:
                if (await trio.Path(file).stat()).st_size:
                    return file
                await trio.sleep(LOOK_SECONDS)
        raise HypervisorError(
            f"volume {disk.export} does not become a file: is nbdfuse installed, and its server there?"
        )


def linux_partition(table: str) -> tuple[int, int] | None:
    """Offset and size in bytes of the largest partition with Linux, by what partx says of a disk; None where there is
    none, and the disk may be a file system as a whole."""
    found: list[tuple[int, int]] = []
    for line in table.splitlines():
        start, sectors, kind = line.split()
        if kind.lower() in _LINUX:
            found.append((int(start) * SECTOR, int(sectors) * SECTOR))
    return max(found, key=lambda place: place[1], default=None)


async def _detach(file: str) -> None:
    """Wait until a file has no loop device any more. Raises HypervisorError."""
    with trio.move_on_after(MOUNT_SECONDS):
        while True:
            for device in await trio.to_thread.run_sync(_devices_of, file):
                # One that is open goes when it is closed.
                await _run("losetup", "--detach", device, fails=True)
            if not (devices := await trio.to_thread.run_sync(_devices_of, file)):
                return
            await trio.sleep(LOOK_SECONDS)
    raise HypervisorError(f"the root of the container is still mounted somewhere: {', '.join(devices)} is open")


def _devices_of(file: str) -> list[str]:
    """The loop devices of a file, by what the kernel says: to ask the file itself takes a server of its volume."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # it is detached just now
            if backing.read_text().rstrip("\n").removesuffix(" (deleted)") == file:
                found.append(f"/dev/{backing.parent.parent.name}")
    return found


async def _run(*command: str, fails: bool = False) -> str:
    """What it printed; "" where it may fail, and does. Raises HypervisorError."""
    try:
        done = await trio.run_process(list(command), capture_stdout=True, capture_stderr=True, check=False)
    except OSError as error:
        raise HypervisorError(f"{command[0]}: {error}") from error
    if done.returncode == 0:
        return done.stdout.decode(errors="replace")
    if not fails:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise HypervisorError(f"{command[0]}: {said[-300:]}")
    return ""
