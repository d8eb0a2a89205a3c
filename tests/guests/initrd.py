"""The system of the test guest: Debian's kernel, its virtio modules, busybox, and a shell on the serial console."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

KERNEL = Path(sys.prefix) / "guest-kernel"
"""Where get-kernel has brought it."""
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
"""In the order in which they need each other."""
READY = "guest is ready"

INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
for module in {" ".join(MODULES)}; do insmod /$module.ko; done
grep -q probe /proc/cmdline && poweroff -f
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
stty -echo -onlcr -icanon min 1 time 0
echo "{READY}"
sh -c 'while IFS= read -r line; do eval "$line" < /dev/null; done' < /dev/ttyS0 &
wait
poweroff -f
"""
"""The shell of the console is not the first process, which gets the children of those that end: busybox's `read`
forgets what it has read of a line when a child ends meanwhile."""


def make(folder: Path) -> Path:
    """The initial file system, as an archive that the kernel unpacks."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "mnt"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin/busybox")
    for module in MODULES:
        shutil.copy(KERNEL / "modules" / f"{module}.ko", root)
    init = root / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    return pack(root, folder / "initrd")


def pack(root: Path, archive: Path) -> Path:
    """A folder as an archive that a kernel unpacks."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with archive.open("wb") as file:
        subprocess.run(
            ["busybox", "cpio", "-o", "-H", "newc"],
            input=names.encode(),
            stdout=file,
            stderr=subprocess.DEVNULL,
            cwd=root,
            check=True,
        )
    return archive
