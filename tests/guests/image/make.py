"""The image of the test guest: Debian's kernel, busybox, an SSH server, and a small init (`init.sh`) that does what
cloud-init does.

    python -m tests.guests.image.make FOLDER

makes `guest.raw`, a disk that a BIOS boots (syslinux), and `vmlinuz`, `initrd` and `root.ext4`, the same as kernel,
ramdisk and machine image. What it says on its serial console is in docs/testing.md.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from tests.guests.initrd import KERNEL, pack

MIB: Final = 1 << 20
SECTOR: Final = 512
BOOT_MIB: Final = 24
KEPT_MIB: Final = 8
MBR: Final = Path("/usr/lib/syslinux/mbr/mbr.bin")
NEEDED: Final = ("syslinux", "mcopy", "mkfs.vfat", "mke2fs", "dropbear")
MODULES: Final = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("failover", "net_failover", "virtio_net", "virtio_balloon", "virtio-rng"),
    *("scsi_common", "scsi_mod", "virtio_scsi", "sd_mod", "libata", "ata_piix", "cdrom", "sr_mod"),
    *("isofs", "fat", "vfat", "nls_cp437", "nls_ascii", "evdev", "button"),
)
"""In the order in which they need each other."""
SCRIPTS: Final = (
    ("init.sh", "init"), ("dhcp.sh", "etc/dhcp"), ("sudo.sh", "bin/sudo"), ("curl.sh", "bin/curl"),
    ("lsblk.sh", "bin/lsblk"), ("mkfs.sh", "bin/mkfs"), ("blkid.sh", "bin/blkid"),
)  # fmt: skip
"""Of this folder, and where they are in the guest."""
COMMAND_LINE: Final = "console=ttyS0 quiet panic=-1 no_timer_check"
SYSLINUX: Final = f"""\
DEFAULT guest
LABEL guest
  KERNEL vmlinuz
  INITRD initrd
  APPEND {COMMAND_LINE}
"""


class Parts(NamedTuple):
    """The guest as a kernel that is booted directly, and what goes with it; `command_line` is what it wants."""

    kernel: Path
    ramdisk: Path
    root: Path
    """A disk without partitions, which the guest keeps things on."""
    command_line: str


def missing() -> str:
    """What the image cannot be made without, "" where all is there."""
    away = [name for name in NEEDED if shutil.which(name) is None]
    if not MBR.exists():
        away.append("syslinux-common")
    if not (KERNEL / "modules/isofs.ko").exists():
        away.append("the guests' kernel (tests/guests/get-kernel)")
    return ", ".join(away)


def make_parts(folder: Path) -> Parts:
    """In this folder."""
    work = folder / "ramdisk"
    here = Path(__file__).parent
    for name in ("bin", "dev", "proc", "sys", "etc", "run", "root", "kept", "mnt", "modules", "tmp", "var"):
        (work / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, work / "bin/busybox")
    for module in MODULES:
        shutil.copy(KERNEL / "modules" / f"{module}.ko", work / "modules")
    (work / "modules/order").write_text("\n".join(MODULES) + "\n")
    with_libraries(work, "dropbear")
    for source, target in SCRIPTS:
        shutil.copy(here / source, work / target)
        (work / target).chmod(0o755)
    ramdisk = pack(work, folder / "initrd")
    shutil.rmtree(work)
    kernel = folder / "vmlinuz"
    shutil.copy(KERNEL / "vmlinuz", kernel)
    root = folder / "root.ext4"
    with root.open("wb") as file:
        file.truncate(KEPT_MIB * MIB)
    _run("mke2fs", "-q", "-t", "ext4", "-L", "kept", str(root))
    return Parts(kernel, ramdisk, root, COMMAND_LINE)


def make_image(folder: Path) -> Path:
    """A raw disk of 33 MiB: one partition that syslinux boots from, and one that the guest keeps things on."""
    parts = make_parts(folder)
    image = folder / "guest.raw"
    boot, kept = MIB, MIB * (1 + BOOT_MIB)
    with image.open("wb") as file:
        file.write(MBR.read_bytes().ljust(440, b"\0")[:440])
        file.seek(446)
        file.write(_partition(boot, BOOT_MIB * MIB, kind=0x0E, active=True))
        file.write(_partition(kept, KEPT_MIB * MIB, kind=0x83))
        file.seek(510)
        file.write(b"\x55\xaa")
        file.truncate(kept + KEPT_MIB * MIB)
        file.seek(kept)
        file.write(parts.root.read_bytes())
    _run("mkfs.vfat", "-F", "16", "--offset", str(boot // SECTOR), str(image), str(BOOT_MIB << 10))
    config = folder / "syslinux.cfg"
    config.write_text(SYSLINUX)
    _run("mcopy", "-i", f"{image}@@{boot}", *map(str, (parts.kernel, parts.ramdisk, config)), "::/")
    _run("syslinux", "-t", str(boot), "-i", str(image))
    config.unlink()
    return image


def with_libraries(work: Path, program: str) -> None:
    """Have a program there, and what it is linked with, at the same paths as here."""
    found = shutil.which(program)
    assert found is not None
    linked = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
    for path in (found, *(word for word in linked.split() if word.startswith("/"))):
        target = work / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _partition(start: int, size: int, kind: int, *, active: bool = False) -> bytes:
    """An entry of the table at the beginning of the disk. Whoever reads it goes by its sectors, not its cylinders."""
    far = b"\xfe\xff\xff"
    where = start // SECTOR, size // SECTOR
    return bytes([0x80 if active else 0]) + far + bytes([kind]) + far + struct.pack("<II", *where)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


if __name__ == "__main__":
    made = Path(sys.argv[1])
    made.mkdir(parents=True, exist_ok=True)
    print(make_image(made))
