"""The root file system of the test container: busybox, an SSH server, and an init (`init.sh`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.guests.image.make import MIB, with_libraries

FOLDERS: Final = ("bin", "sbin", "dev", "proc", "sys", "etc/dropbear", "tmp", "run", "kept", "root")
NEEDED: Final = ("nbdfuse", "losetup", "partx", "mke2fs", "busybox", "dropbear")


def missing() -> str:
    """What containers cannot be started without here, "" where all is there."""
    away = [name for name in ("libvirtd", *NEEDED) if shutil.which(name) is None]
    if not list(Path("/usr/lib").glob("**/libvirt/connection-driver/libvirt_driver_lxc.so")):
        away.append("libvirt's driver of containers")
    if not Path("/dev/fuse").exists() or not Path("/dev/loop-control").exists():
        away.append("FUSE or loop devices")
    return ", ".join(away)


def make_root(folder: Path, init: str = "") -> Path:
    """An ext4 file system of 16 MiB, with another `init` than the one that is here where it is given."""
    here = Path(__file__).parent
    root = folder / "root"
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
    with_libraries(root, "dropbear")
    shutil.copy(here.parent / "image/dhcp.sh", root / "etc/dhcp")
    (root / "sbin/init").write_text(init or (here / "init.sh").read_text())
    for name in ("etc/dhcp", "sbin/init"):
        (root / name).chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    image = folder / "root.ext4"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image)], check=True)
    shutil.rmtree(root)
    return image
