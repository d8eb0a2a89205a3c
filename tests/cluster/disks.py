"""Disks of a machine: file systems of their own, mounted where only the machine sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.machines import Machine


class Disk:
    """A mounted file system on a machine. `path` is where its processes find it, `seen` where a test does."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.path = machine.folder / name
        self.path.mkdir()

    @property
    def seen(self) -> Path:
        return self.machine.path(self.path)

    def copy_to(self, folder: Path) -> None:
        """All that is on it now, to a new folder elsewhere."""
        shutil.copytree(self.seen, folder)

    def wipe(self) -> None:
        """Take away all that is on it."""
        for entry in self.seen.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def put_back(self, folder: Path) -> None:
        """Have what `copy_to` took, and nothing else."""
        self.wipe()
        shutil.copytree(folder, self.seen, dirs_exist_ok=True)


class MemoryDisk(Disk):
    """A tmpfs: fast, and it can fill up. To sync it costs nothing."""

    def __init__(self, machine: Machine, name: str, size: int) -> None:
        super().__init__(machine, name)
        machine.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path))


class LoopDisk(Disk):
    """An ext4 in a file over a loop device: it can be slow, or hang."""

    def __init__(self, machine: Machine, name: str, size: int) -> None:
        super().__init__(machine, name)
        image = machine.folder / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(size)
        machine.run("mkfs.ext4", "-q", str(image))
        machine.run("mount", "-o", "loop", str(image), str(self.path))

    @property
    def numbers(self) -> str:
        """Major and minor of its block device."""
        device = os.stat(self.seen).st_dev
        return f"{os.major(device)}:{os.minor(device)}"
